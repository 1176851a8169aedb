"""Paths of sources that are files: found, made real, and refused with the mend when they can't be read."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

from headrace.domain.errors import SourceError, UserError


def path_setting(kind: str, settings: Mapping[str, Any]) -> str:
    """The `path` of the settings. Raises UserError when there is none."""
    path = settings.get("path")
    if not isinstance(path, str) or not path:
        raise UserError(f"A {kind} source needs a path. Add path: to it.", code="setting_missing", setting="path")
    return path


def seconds_setting(settings: Mapping[str, Any], default_s: float = 600.0) -> float:
    """`statement_timeout` in seconds. Raises UserError unless it is a number above 0."""
    value = settings.get("statement_timeout")
    if value is None:
        return default_s
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**7:
        raise UserError(
            f"statement_timeout is {value!r}; it must be a number of seconds above 0.",
            code="setting_invalid",
            setting="statement_timeout",
        )
    return float(value)


def real_file(path: str) -> str:
    """The file's real path. Raises SourceError when it is missing, no file, or not ours to read."""
    if not os.path.exists(path):
        raise _unreachable(path, "does not exist", "Check the path; it is relative to the file that names it.")
    if not os.path.isfile(path):
        raise _unreachable(path, "is not a file", "Name the file itself.")
    if not os.access(path, os.R_OK):
        raise _unreachable(path, "may not be read by this user", "Give the user that runs headrace the right to read.")
    return os.path.realpath(path)


def real_files(pattern: str) -> list[str]:
    """The real paths of all files that a path or glob names, in order of name.

    Raises SourceError when there are none, and when a glob meets a link that leads out of its folder: whoever can put
    a file there could otherwise have any file of this machine read.
    """
    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return [real_file(pattern)]
    found = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    if not found:
        raise _unreachable(pattern, "matches no file", "Check the pattern; ** stands for any depth of folders.")
    fixed = pattern[: next(at for at, sign in enumerate(pattern) if sign in "*?[")]
    folder = os.path.realpath(os.path.dirname(fixed) or ".")
    real = [real_file(path) for path in found]
    for path, target in zip(found, real, strict=True):
        if os.path.commonpath([folder, target]) != folder:
            raise _unreachable(path, "is a link that leads out of its folder", "Copy the file or name its own path.")
    return real


def _unreachable(path: str, why: str, mend: str) -> SourceError:
    return SourceError(f'The file "{path}" {why}. {mend}', code="source_unreachable", path=path)

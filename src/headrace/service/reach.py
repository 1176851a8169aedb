"""What a configuration that came over the network may reach: which files of this machine, which of its variables.

Whoever may edit a workspace is not thereby let into the machine that serves it. What is there already may stay; the
command line, whose user can read the files anyway, is not held to this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.domain.errors import Finding
from headrace.service.documents import SECTION

_MAGIC = "*?["
_OWN_VARIABLES = "HEADRACE_"
_MEND = "Ask whoever runs the server to name the folder in HEADRACE_FILES, or to `apply` the source there."


@dataclass(frozen=True, slots=True)
class Reach:
    """`folders` are those that the environment allows (HEADRACE_FILES), `projects` those that `apply` read here.

    Sources may read files below either; secrets may be read from files below the first only. Nothing that is hidden,
    nothing of the workspace itself.
    """

    folders: tuple[Path, ...]
    projects: Callable[[], Sequence[Path]]
    workspace: Path | None

    @classmethod
    def read(
        cls, environment: Mapping[str, str], projects: Callable[[], Sequence[Path]], workspace: Path | None
    ) -> Reach:
        """HEADRACE_FILES: folders, separated as PATH is."""
        named = [Path(one).expanduser() for one in environment.get("HEADRACE_FILES", "").split(os.pathsep) if one]
        return cls(tuple(named), projects, workspace)

    def taken(
        self, kind: str, name: str, document: Mapping[str, Any], before: Mapping[str, Any] | None, *, admin: bool
    ) -> tuple[dict[str, Any], list[Finding]]:
        """The document with its paths made whole, and what in it is out of reach for who asks."""
        was: Mapping[str, Any] = before or {}
        whole = dict(document)
        findings: list[Finding] = []
        base = f"{SECTION[kind]}.{name}"
        if kind == "source" and isinstance(path := whole.get("path"), str) and path != was.get("path"):
            found = self._path(path, [*self.folders, *self.projects()])
            if found is None:
                message = f'The file "{path}" is out of reach of this server\'s API. {_MEND}'
                findings.append(Finding("path_not_allowed", message, f"{base}.path"))
            else:
                whole["path"] = found
        stays = whole.get("sql") is not None and whole.get("sql_file") == was.get("sql_file")
        if kind == "model" and whole.get("sql_file") is not None and not stays:
            message = "Over the network a model brings its SQL itself. Write `sql` in place of `sql_file`."
            findings.append(Finding("path_not_allowed", message, f"{base}.sql_file"))
        if kind not in ("model", "sync"):
            findings += self._references(whole, was, base, admin=admin)
            findings += _addresses(whole, was, base, admin=admin)
        return whole, findings

    def _path(self, path: str, folders: Sequence[Path]) -> str | None:
        """The path made whole; None where it leads out of every folder, into the workspace, or to what is hidden."""
        if not folders or "\0" in path:
            return None
        written = Path(path) if os.path.isabs(path) else folders[0] / path
        fixed = Path(*_until_magic(written.parts))
        real = Path(os.path.realpath(fixed))
        if self.workspace is not None and _is_inside(real, self.workspace):
            return None
        for folder in folders:
            root = Path(os.path.realpath(folder))
            if _is_inside(real, root):
                rest = (*real.relative_to(root).parts, *written.parts[len(fixed.parts) :])
                hidden = any(part.startswith(".") for part in rest)
                return None if hidden else str(written)
        return None

    def _references(
        self, document: Mapping[str, Any], was: Mapping[str, Any], base: str, *, admin: bool
    ) -> Iterator[Finding]:
        known = [reference for _, reference in _references_in(was, "")]
        for place, reference in _references_in(document, base):
            if reference in known:
                continue
            (how, where), *_ = reference.items()
            if how == "file" and self._path(str(where), self.folders) is None:
                message = f'A secret can\'t be read from "{where}" over the network. Keep it here instead: '
                yield Finding("path_not_allowed", message + "`headrace secret set`, or the secret's own field.", place)
            elif how == "env" and str(where).upper().startswith(_OWN_VARIABLES):
                message = f"{where} is a setting of the server itself, and no destination is told it."
                yield Finding("variable_not_allowed", message, place)
            elif how in ("env", "file") and not admin:
                message = "Only an admin points a secret at the server's environment or files. Keep the secret in the "
                yield Finding("admin_needed", message + "workspace instead, or ask an admin.", place)


def _is_inside(path: Path, folder: Path) -> bool:
    return path == folder or path.is_relative_to(folder)


def _until_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if any(sign in part for sign in _MAGIC):
            return
        yield part


def _references_in(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(address, reference) of every `{env: ...}` and `{file: ...}`, wherever it stands."""
    if isinstance(node, Mapping):
        if len(node) == 1 and next(iter(node)) in ("env", "file"):
            yield place, dict(node)
            return
        for key, value in node.items():
            yield from _references_in(value, f"{place}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _references_in(value, f"{place}.{number}")


def _addresses(document: Mapping[str, Any], was: Mapping[str, Any], base: str, *, admin: bool) -> Iterator[Finding]:
    """An address decides who is sent the secrets: whoever sets it could have them sent to themselves."""
    if admin:
        return
    for key, value in document.items():
        if (key.endswith("url") or key in ("host", "port")) and value != was.get(key):
            message = f'Only an admin changes "{key}": it decides which machine is sent the secrets. Ask an admin.'
            yield Finding("admin_needed", message, f"{base}.{key}")

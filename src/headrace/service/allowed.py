"""Which files of this machine a configuration may name that came over HTTP: those below folders that were allowed.

On the command line one's own files are one's own business. Over HTTP a path is a wish to read the server's disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.domain.errors import Finding

if TYPE_CHECKING:
    from headrace.service.files import Declaration

_SECTION = {"source": "sources", "model": "models", "destination": "destinations", "sync": "syncs"}


@dataclass(frozen=True, slots=True)
class FilesAllowed:
    """`folders` gives those of HEADRACE_FILES, and those whose configuration `apply` took on this machine."""

    folders: Callable[[], Sequence[Path]]

    @property
    def roots(self) -> Sequence[Path]:
        return self.folders()

    @property
    def home(self) -> Path:
        """What relative paths are relative to."""
        return self.roots[0] if self.roots else Path(os.sep)

    def refused(self, declarations: Iterable[Declaration]) -> list[Finding]:
        """A finding for each path that leads elsewhere, links followed."""
        return [
            Finding("path_not_allowed", self._message(path), f"{_SECTION[one.kind]}.{one.name}.{key}")
            for one in declarations
            if one.kind in _SECTION
            for key, path in _paths(one.document)
            if not self._allows(path)
        ]

    def _allows(self, path: str) -> bool:
        try:
            real = (self.home / path).resolve()
            return any(real.is_relative_to(root.resolve()) for root in self.roots)
        except (OSError, ValueError):
            return False

    def _message(self, path: str) -> str:
        allowed = ", ".join(map(str, self.roots)) or "none"
        return (
            f'The path "{path[:200]}" is not below a folder whose files may be used from here ({allowed}). '
            "Allow a folder with HEADRACE_FILES, or apply this on the server itself with `headrace apply`."
        )


def _paths(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key of an object that names a file, and the path."""
    for key, value in document.items():
        if key in ("path", "sql_file") and isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            if isinstance(value.get("file"), str) and len(value) == 1:
                yield f"{key}.file", value["file"]
            for inner, one in value.items():
                if isinstance(one, dict) and isinstance(one.get("file"), str) and len(one) == 1:
                    yield f"{key}.{inner}.file", one["file"]

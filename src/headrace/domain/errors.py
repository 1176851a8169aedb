"""Everything that can go wrong, in one tree.

HeadraceError
  x UserError      the user can mend it now (configuration, wrong use, refused by the guard)
  x WorldError     somebody else's machine failed (source, destination, network, disk): wait, or tell them
  x Bug            we broke a promise: report it; never swallowed

A message says what happened to which thing, why we think so, and the mend. Facts ride along as attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HeadraceError(Exception):
    """What every error of ours is. `code` is stable and has a heading in the reference of codes."""

    exit_code = 3

    def __init__(self, message: str, *, code: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.facts = facts


class UserError(HeadraceError):
    """The person at the keyboard can mend this now."""

    exit_code = 2


class WorldError(HeadraceError):
    """Somebody else's machine failed: a source, the destination, the network, the disk."""


class Bug(HeadraceError):
    """We broke a promise of our own."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message, code="bug", **facts)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's files something stands; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault that lint found. `path` is its address in the configuration: `syncs.accounts.fields.name`.

    A warning never stops anything.
    """

    code: str
    message: str
    path: str = ""
    place: Place | None = None
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else f"{self.path}: " if self.path else ""
        # A line of a file may hold a whole sync: the message says which part of it, or its address does.
        last = self.path.rpartition(".")[2]
        at = f" ({self.path})" if self.place and last and last not in self.message else ""
        return f"{where}{'warning: ' if self.warning else ''}{self.code}: {self.message}{at}"


class ConfigurationError(UserError):
    """The configuration has faults. All of them are in `findings`, in the order of the files."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        count = "1 fault" if len(self.findings) == 1 else f"{len(self.findings)} faults"
        super().__init__(f"The configuration has {count}.", code=self.findings[0].code if self.findings else "invalid")


class NotFound(UserError):
    """A thing was asked for by a name that nothing has."""

    def __init__(self, kind: str, name: str, known: Sequence[str] = ()) -> None:
        choices = f" There are: {', '.join(sorted(known)[:20])}." if known else ""
        super().__init__(f'There is no {kind} "{name}".{choices}', code="not_found", kind=kind, name=name)


class SourceError(WorldError):
    """A source refused, died or could not be reached. The message holds the database's own words."""

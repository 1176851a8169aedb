"""Who may do what: scopes, the roles that hold them, and the actor that a verb of the service is asked by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headrace.domain.errors import UserError


class Scope(StrEnum):
    """What a verb of the service needs. Each verb needs exactly one."""

    READ = "read"
    RUN = "run"
    CONFIGURE = "configure"
    ADMIN = "admin"


class Role(StrEnum):
    """What a person is to a workspace."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    @property
    def scopes(self) -> frozenset[Scope]:
        match self:
            case Role.VIEWER:
                return frozenset({Scope.READ})
            case Role.EDITOR:
                return frozenset({Scope.READ, Scope.RUN, Scope.CONFIGURE})
            case Role.ADMIN:
                return frozenset(Scope)


PROGRAM = frozenset({"scheduler", "worker"})
"""Names of parts of the program."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `name` stands in the audit log: an e-mail address, `key:<prefix>`, `cli:<user>`, `scheduler`.

    `user_id` is the person, also where one of that person's API keys asks (`key_id`). `address` is where a request
    came from, as far as that is known.
    """

    name: str
    scopes: frozenset[Scope]
    user_id: int | None = None
    address: str | None = None
    key_id: int | None = None

    @property
    def is_program(self) -> bool:
        """Whether the program asks by itself: what it does stands in the runs, not in the audit log."""
        return self.name in PROGRAM

    def demand(self, scope: Scope, verb: str) -> None:
        """Raises UserError `forbidden` where this actor does not hold the scope."""
        if scope not in self.scopes:
            held = ", ".join(sorted(self.scopes)) or "nothing"
            message = f"{self.name} may not do this: {verb} needs the scope {scope}, and {self.name} has {held}. "
            message += "Ask an admin of the workspace for another role or key."
            raise UserError(message, code="forbidden", scope=str(scope), verb=verb)


def whole(name: str) -> Actor:
    """An actor with every scope: the person who can read the workspace itself, or a part of the program."""
    return Actor(name, frozenset(Scope))

"""The verbs of the service: what a person can ask for, each with the scope it needs, checked where it is done.

Command line, API and pages say once who acts (`acting_as`); without that no verb does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from headrace.domain.access import Actor, Scope
from headrace.domain.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

_actor: ContextVar[Actor | None] = ContextVar("headrace_actor", default=None)


@dataclass(frozen=True, slots=True)
class Verb:
    """`name` is `<module>.<method>`: `runs.trigger`, `catalog.put`."""

    name: str
    needs: Scope


VERBS: dict[str, Verb] = {}
"""Every verb by its name. Filled when the service is imported; tests hold faces and roles against it."""


def verb(needs: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a method of the service as something that can be asked for, by whom holds that scope."""

    def mark(method: Callable[P, R]) -> Callable[P, R]:
        name = f"{method.__module__.rpartition('.')[2]}.{method.__name__}"
        VERBS[name] = Verb(name, needs)

        @wraps(method)
        def checked(*arguments: P.args, **named: P.kwargs) -> R:
            current_actor().demand(needs, name)
            return method(*arguments, **named)

        return checked

    return mark


def current_actor() -> Actor:
    """Who acts now. Raises UserError `signed_out` where nobody was named: the safe end of a mistake."""
    actor = _actor.get()
    if actor is None:
        raise UserError("Nobody is signed in. Sign in, or send an API key.", code="signed_out")
    return actor


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """What is asked for inside is asked by this actor; threads that asyncio starts inside know it too."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)

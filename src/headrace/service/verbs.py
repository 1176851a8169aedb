"""The verbs of the service: what a person can ask for, each with the scope it needs, checked where it is done.

Command line, API and pages say once who acts (`acting_as`); without that no verb does anything. A verb that changes
something says what, and leaves an entry in the audit log when it is done.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from headrace.domain.access import Actor, Scope
from headrace.domain.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Verb:
    """`name` is `<module>.<method>`: `runs.trigger`, `catalog.put`. `changes`: whether it leaves an audit entry."""

    name: str
    needs: Scope
    changes: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb did to one thing. Documents are configuration; a secret is never in one."""

    subject: str
    before: Any = None
    after: Any = None


Record = Callable[[Actor, str, Change], None]
"""Writes one entry of the audit log: who, by which verb, what."""

VERBS: dict[str, Verb] = {}
"""Every verb by its name. Filled when the service is imported; tests hold faces and roles against it."""

_actor: ContextVar[Actor | None] = ContextVar("headrace_actor", default=None)
_record: ContextVar[Record | None] = ContextVar("headrace_record", default=None)
_noted: ContextVar[list[Change] | None] = ContextVar("headrace_noted", default=None)


def verb(needs: Scope, *, changes: Callable[..., str] | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a method of the service as something that can be asked for, by whom holds that scope.

    `changes` takes the method's own arguments, without `self`, and names what they change (`run 12`). A method that
    knows more calls `note` for each thing it changed.
    """

    def mark(method: Callable[P, R]) -> Callable[P, R]:
        name = f"{method.__module__.rpartition('.')[2]}.{method.__name__}"
        VERBS[name] = Verb(name, needs, changes is not None)
        signature = inspect.signature(method)

        @wraps(method)
        def checked(*arguments: P.args, **named: P.kwargs) -> R:
            current_actor().demand(needs, name)
            if changes is None or (record := _record.get()) is None:
                return method(*arguments, **named)
            inner = _noted.set([])
            try:
                done = method(*arguments, **named)
                noted = _noted.get() or []
            finally:
                _noted.reset(inner)
            if not noted:
                bound = signature.bind(*arguments, **named)
                bound.apply_defaults()
                noted = [Change(changes(**{key: one for key, one in bound.arguments.items() if key != "self"}))]
            for change in noted:
                record(current_actor(), name, change)
            return done

        return checked

    return mark


def note(subject: str, before: Any = None, after: Any = None) -> None:
    """Says what the verb under way changed, for the audit log."""
    noted = _noted.get()
    if noted is not None:
        noted.append(Change(subject, before, after))


def current_actor() -> Actor:
    """Who acts now. Raises UserError `signed_out` where nobody was named: the safe end of a mistake."""
    actor = _actor.get()
    if actor is None:
        raise UserError("Nobody is signed in. Sign in, or send an API key.", code="signed_out")
    return actor


@contextmanager
def acting_as(actor: Actor, record: Record | None = None) -> Iterator[None]:
    """What is asked for inside is asked by this actor; threads that asyncio starts inside know it too.

    `record` keeps the audit log. Without it the one around this context goes on, if there is one.
    """
    acting = _actor.set(actor)
    recording = _record.set(record or _record.get())
    try:
        yield
    finally:
        _record.reset(recording)
        _actor.reset(acting)

"""The verbs of the service: what a person can ask for, each with the scope it needs, checked where it is done.

Command line, API and pages say once who acts (`acting_as`); without that no verb does anything. A verb that changes
something says what, and leaves an entry in the audit log, beside what it writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from headrace.domain.access import Actor, Scope
from headrace.domain.errors import UserError
from headrace.store.changes import Doing, doing, note

__all__ = ["VERBS", "Verb", "acting_as", "current_actor", "note", "verb"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Verb:
    """`name` is `<module>.<method>`: `runs.trigger`, `catalog.put`. `changes`: whether it leaves an audit entry."""

    name: str
    needs: Scope
    changes: bool
    says: str
    """The first line of its docstring."""


VERBS: dict[str, Verb] = {}
"""Every verb by its name. Filled when the service is imported; tests hold faces and roles against it."""

_actor: ContextVar[Actor | None] = ContextVar("headrace_actor", default=None)


def verb(needs: Scope, *, changes: Callable[..., str] | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a method of the service as something that can be asked for, by whom holds that scope.

    `changes` takes the method's own arguments, without `self`, and names what they change (`run 12`). A method that
    knows more calls `note` for each thing it changes, before it writes that.
    """

    def mark(method: Callable[P, R]) -> Callable[P, R]:
        name = f"{method.__module__.rpartition('.')[2]}.{method.__name__}"
        VERBS[name] = Verb(name, needs, changes is not None, (inspect.getdoc(method) or "").partition("\n")[0])
        signature = inspect.signature(method)

        def allowed() -> AbstractContextManager[Doing | None]:
            actor = current_actor()
            actor.demand(needs, name)
            if changes is None or actor.is_program:
                return nullcontext()
            return doing(name, actor.name, actor.address)

        def finish(this: Doing | None, *arguments: Any, **named: Any) -> None:
            """The entry of a verb that noted nothing itself. One that wrote nothing changed nothing."""
            if this is None or changes is None or not this.wrote:
                return
            bound = signature.bind(*arguments, **named)
            bound.apply_defaults()
            this.end(changes(**{key: one for key, one in bound.arguments.items() if key != "self"}))

        @wraps(method)
        def checked(*arguments: P.args, **named: P.kwargs) -> R:
            with allowed() as this:
                answer = method(*arguments, **named)
                finish(this, *arguments, **named)
            return answer

        @wraps(method)
        async def checked_later(*arguments: Any, **named: Any) -> Any:
            with allowed() as this:
                answer = await method(*arguments, **named)  # type: ignore[misc]
                finish(this, *arguments, **named)
            return answer

        return checked_later if inspect.iscoroutinefunction(method) else checked  # type: ignore[return-value]

    return mark


def current_actor() -> Actor:
    """Who acts now. Raises UserError `signed_out` where nobody was named: the safe end of a mistake."""
    actor = _actor.get()
    if actor is None:
        raise UserError("Nobody is signed in. Sign in, or send an API key.", code="signed_out")
    return actor


@contextmanager
def acting_as(actor: Actor | None) -> Iterator[None]:
    """What is asked for inside is asked by this actor; threads that asyncio starts inside know it too.

    None is nobody, also where somebody acts around it: a server that a person started must not answer strangers as
    that person.
    """
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)

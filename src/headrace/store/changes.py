"""Who changes what, written beside the change: an entry of the audit log is in the transaction that it tells of.

The service says which verb is being done (`doing`); whatever writes says what it changes (`note`); a transaction
keeps the entries as it ends, or drops them with the rest. Outside a verb nothing is kept: the program's own upkeep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, insert, select, update

from headrace.store.access_tables import audit, audit_head
from headrace.store.tables import iso

FIRST = "0" * 64
"""What the first entry is chained to."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed. `before` is None for what was made, `after` for what is gone. Never a secret's value."""

    subject: str
    before: Any = None
    after: Any = None


@dataclass(slots=True)
class Doing:
    """A verb under way: by whom, from where, and what it changed so far."""

    verb: str
    actor: str
    address: str | None
    waiting: list[Change] = field(default_factory=list)
    kept: int = 0
    writer: Engine | None = None

    @property
    def wrote(self) -> bool:
        return self.writer is not None

    def end(self, subject: str) -> None:
        """Keeps what was noted after the last write, and for a verb that noted nothing an entry about `subject`."""
        assert self.writer is not None
        if not self.kept and not self.waiting:
            self.waiting.append(Change(subject))
        if self.waiting:
            with self.writer.connect() as connection, connection.begin():
                self.keep(connection)

    def keep(self, connection: Connection) -> None:
        """Adds what waits to the log, in the connection's transaction."""
        while self.waiting:
            _append(connection, self, self.waiting.pop(0))
            self.kept += 1


_doing: ContextVar[Doing | None] = ContextVar("headrace_doing", default=None)


@contextmanager
def doing(verb: str, actor: str, address: str | None) -> Iterator[Doing]:
    """Inside, what is noted is noted of this verb. A verb inside a verb leaves entries of its own name."""
    outer = _doing.get()
    this = Doing(verb, actor, address)
    token = _doing.set(this)
    try:
        yield this
    finally:
        _doing.reset(token)
        if outer is not None:
            outer.kept += this.kept


def note(subject: str, before: Any = None, after: Any = None) -> None:
    """Says what changes: kept at the end of the present transaction, or else of the next one of this verb."""
    this = _doing.get()
    if this is not None:
        this.waiting.append(Change(subject, before, after))


@contextmanager
def kept_with(connection: Connection) -> Iterator[None]:
    """Keeps what was noted together with what the connection writes. What fails leaves no entry."""
    this = _doing.get()
    if this is None:
        yield
        return
    already = len(this.waiting)
    try:
        yield
    except BaseException:
        del this.waiting[already:]
        raise
    this.writer = connection.engine
    this.keep(connection)


def _append(connection: Connection, this: Doing, change: Change) -> None:
    # Whoever appends holds the head until the transaction ends, so that the chain has no fork.
    head = connection.execute(select(audit_head).with_for_update()).one()
    entry = {
        "id": head.entries + 1,
        "at": datetime.now(UTC),
        "actor": this.actor,
        "address": this.address,
        "verb": this.verb,
        "subject": change.subject,
        "before": change.before,
        "after": change.after,
    }
    chain = link(head.chain, entry)
    connection.execute(insert(audit), {**entry, "chain": chain})
    connection.execute(update(audit_head).values(entries=entry["id"], chain=chain))


def link(previous: str, entry: dict[str, Any]) -> str:
    """The hash over an entry and the one before it."""
    said = [previous, entry["id"], iso(entry["at"])]
    said += [entry[key] for key in ("actor", "address", "verb", "subject", "before", "after")]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

"""The audit log as it is read: entries newest first, and the proof that none was altered, put in or taken out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from headrace.store.access_tables import audit, audit_head
from headrace.store.changes import FIRST, link
from headrace.store.database import Database
from headrace.store.page import LIMIT, Page, parse_cursor


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `before` and `after` are documents without secrets, None where there was, or is, nothing."""

    id: int
    at: datetime
    actor: str
    address: str | None
    verb: str
    subject: str
    before: Any
    after: Any
    chain: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look at the whole chain found. `broken_at` is the first entry that does not fit; None: all do.

    Kept elsewhere, `head` shows later that the log up to `entries` is still the same.
    """

    entries: int
    head: str
    broken_at: int | None


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self,
        subject: str | None = None,
        limit: int = LIMIT,
        cursor: str | None = None,
        *,
        actor: str | None = None,
        verb: str | None = None,
    ) -> Page[AuditEntry]:
        """Newest first. Raises UserError `cursor_invalid`."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        for column, wanted in ((audit.c.subject, subject), (audit.c.actor, actor), (audit.c.verb, verb)):
            if wanted is not None:
                query = query.where(column == wanted)
        before = parse_cursor(cursor, 1)
        if before:
            query = query.where(audit.c.id < before[0])
        with self._database.read() as connection:
            found = [AuditEntry(**row._mapping) for row in connection.execute(query)]
        return Page(tuple(found[:limit]), str(found[limit - 1].id) if len(found) > limit else None)

    def verify(self) -> Proof:
        """Follows the chain from the first entry to the last. Its end is kept apart: entries cut off it are missed."""
        with self._database.read() as connection:
            head = connection.execute(select(audit_head)).one_or_none()
            chain, number = FIRST, 0
            for row in connection.execute(select(audit).order_by(audit.c.id)).yield_per(1000):
                expected = link(chain, dict(row._mapping))
                if row.id != number + 1 or row.chain != expected:
                    return Proof(number, chain, number + 1)
                chain, number = expected, number + 1
        if head is None or (head.entries, head.chain) != (number, chain):
            return Proof(number, chain, number + 1)
        return Proof(number, chain, None)

"""The audit log: who changed what, from where. Rows are only ever added, and each is chained to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from headrace.store.access_tables import audit
from headrace.store.database import Database
from headrace.store.page import LIMIT, Page, parse_cursor
from headrace.store.tables import iso

_FIRST = "0" * 64


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


class Audit:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def add(self, actor: str, address: str | None, verb: str, subject: str, before: Any, after: Any) -> None:
        """Adds an entry and its link of the chain, in one transaction."""
        with self._database.write() as connection:
            said = {
                "at": self._now(),
                "actor": actor,
                "address": address,
                "verb": verb,
                "subject": subject,
                "before": before,
                "after": after,
            }
            connection.execute(insert(audit), {**said, "chain": _link(_last(connection), said)})

    def list(self, subject: str | None = None, limit: int = LIMIT, cursor: str | None = None) -> Page[AuditEntry]:
        """Newest first."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        before = parse_cursor(cursor, 1)
        if before:
            query = query.where(audit.c.id < before[0])
        with self._database.read() as connection:
            found = [AuditEntry(**row._mapping) for row in connection.execute(query)]
        return Page(tuple(found[:limit]), str(found[limit - 1].id) if len(found) > limit else None)

    def first_broken(self) -> int | None:
        """The id of the first entry that does not fit the one before; None where the whole chain holds."""
        last = _FIRST
        with self._database.read() as connection:
            for row in connection.execute(select(audit).order_by(audit.c.id)):
                entry = dict(row._mapping)
                if last != _FIRST or row.id == 1:
                    expected = _link(last, entry)
                    if expected != row.chain:
                        return int(row.id)
                last = row.chain
        return None


def _last(connection: Connection) -> str:
    return connection.scalar(select(audit.c.chain).order_by(audit.c.id.desc()).limit(1)) or _FIRST


def _link(last: str, said: dict[str, Any]) -> str:
    named = {key: said[key] for key in ("actor", "address", "verb", "subject", "before", "after")}
    document = orjson.dumps([iso(said["at"]), named], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(last.encode() + document).hexdigest()

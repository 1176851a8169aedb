"""Due instants and pauses of what has a schedule. A due one is claimed by its instant: of many servers, one gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from headrace.store.database import Database
from headrace.store.service_tables import schedules

ScheduleKind = Literal["sync", "sequence"]
Key = tuple[ScheduleKind, str]
CLAIM_LASTS = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """One schedule as the store knows it. `rule` is what `due_at` was reckoned from; both None: manual, or paused."""

    kind: ScheduleKind
    name: str
    rule: dict[str, Any] | None = None
    due_at: datetime | None = None
    claimed_at: datetime | None = None
    fired_at: datetime | None = None
    skipped_at: datetime | None = None
    skipped_why: str | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None

    @property
    def key(self) -> Key:
        return self.kind, self.name


class Schedules:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def all(self) -> dict[Key, ScheduleEntry]:
        with self._database.read() as connection:
            rows = connection.execute(select(schedules).order_by(schedules.c.kind, schedules.c.name))
            return {entry.key: entry for entry in map(_entry, rows)}

    def get(self, key: Key) -> ScheduleEntry:
        """What is known of it; an empty entry where nothing is."""
        with self._database.read() as connection:
            return _get(connection, key) or ScheduleEntry(*key)

    def set_rule(self, key: Key, rule: dict[str, Any], due_at: datetime) -> None:
        """Reckoned anew under a rule. Does nothing where another server has done it already."""
        with self._database.write() as connection:
            entry = _get(connection, key)
            if entry is None or entry.rule != rule:
                due = None if entry and entry.paused_at else due_at
                self._put(connection, key, rule=rule, due_at=due, claimed_at=None)

    def claim(self, entry: ScheduleEntry, next_due: datetime) -> bool:
        """Takes a due schedule for this server; False where another was faster, or it was paused or changed."""
        return self._claim(entry, schedules.c.due_at == entry.due_at, due_at=next_due)

    def claim_again(self, entry: ScheduleEntry) -> bool:
        """Takes over a claim whose server died before it had fired."""
        return self._claim(entry, schedules.c.claimed_at == entry.claimed_at)

    def _claim(self, entry: ScheduleEntry, as_seen: ColumnElement[bool], **values: Any) -> bool:
        here = and_(*_is(entry.key), as_seen, schedules.c.paused_at.is_(None))
        with self._database.write() as connection:
            claimed = {"claimed_at": self._now(), **values}
            return bool(connection.execute(update(schedules).where(here).values(claimed)).rowcount)

    def fired(self, key: Key) -> None:
        """It was fired: the claim is settled."""
        with self._database.write() as connection:
            self._put(connection, key, claimed_at=None, fired_at=self._now())

    def skipped(self, key: Key, why: str) -> None:
        """It was due, and nothing was started."""
        with self._database.write() as connection:
            self._put(connection, key, claimed_at=None, skipped_at=self._now(), skipped_why=why)

    def pause(self, key: Key, by: str) -> ScheduleEntry:
        """Saying it twice keeps who said it first."""
        with self._database.write() as connection:
            entry = _get(connection, key)
            if entry is None or entry.paused_at is None:
                self._put(connection, key, paused_at=self._now(), paused_by=by, due_at=None, claimed_at=None)
            return _get(connection, key) or ScheduleEntry(*key)

    def resume(self, key: Key) -> ScheduleEntry:
        """Takes the pause away; what is due is reckoned anew, since the rule is forgotten."""
        with self._database.write() as connection:
            self._put(connection, key, paused_at=None, paused_by=None, rule=None, due_at=None)
            return _get(connection, key) or ScheduleEntry(*key)

    def make_manual(self, key: Key) -> None:
        """It has no schedule any more. A pause stays, for the day that it has one again."""
        with self._database.write() as connection:
            self._put(connection, key, rule=None, due_at=None, claimed_at=None)

    def forget(self, key: Key) -> None:
        with self._database.write() as connection:
            connection.execute(delete(schedules).where(*_is(key)))

    def _put(self, connection: Connection, key: Key, **values: Any) -> None:
        if not connection.execute(update(schedules).where(*_is(key)).values(values)).rowcount:
            connection.execute(insert(schedules).values(kind=key[0], name=key[1], **values))


def _is(key: Key) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return schedules.c.kind == key[0], schedules.c.name == key[1]


def _get(connection: Connection, key: Key) -> ScheduleEntry | None:
    row = connection.execute(select(schedules).where(*_is(key))).one_or_none()
    return _entry(row) if row is not None else None


def _entry(row: Any) -> ScheduleEntry:
    return ScheduleEntry(**{one.name: row._mapping[one.name] for one in fields(ScheduleEntry)})

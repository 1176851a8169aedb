"""Numbers over many runs: the last runs of each sync as bars, what was delivered by hour and day, how long stages took.

Each query goes through an index of `runs`, so that it reads the runs that it tells of and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, union_all

from headrace.domain.outcome import RunStatus
from headrace.store.database import Database
from headrace.store.service_tables import run_events
from headrace.store.tables import outcomes, runs

AT_ONCE = 100
"""So many parts a compound SELECT may have in any database."""
Width = Literal["hour", "day"]
_DIGITS: dict[Width, int] = {"hour": 13, "day": 10}  # of the ISO text of an instant, in UTC
COUNTED = ("delivered", "skipped", "invalid", "rejected", "owed", "requests")


@dataclass(frozen=True, slots=True)
class Bar:
    """One run, as small as it is drawn."""

    run_id: int
    status: RunStatus
    at: datetime
    delivered: int
    faulty: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Slot:
    """What the runs of one sync that ended in one hour or day came to. `start` is ISO text: `2026-01-31T09`."""

    start: str
    sync: str
    runs: int
    delivered: int
    skipped: int
    invalid: int
    rejected: int
    owed: int
    requests: int


@dataclass(frozen=True, slots=True)
class StageStart:
    """When a run began a stage; its end is `finished`."""

    run_id: int
    stage: str
    at: datetime


class Insights:
    def __init__(self, database: Database) -> None:
        self._database = database

    def bars(self, syncs: Sequence[str], each: int) -> dict[str, list[Bar]]:
        """The last ended runs of each sync, oldest first; test runs do not count."""
        number = self._database.backend.number_in
        r = runs.c
        found: dict[str, list[Bar]] = {name: [] for name in syncs}
        faulty = number(r.counts, "rejected") + number(r.counts, "invalid")
        columns = (r.sync, r.id, r.status, r.ended_at, number(r.counts, "delivered"), faulty, r.seconds)
        for first in range(0, len(found), AT_ONCE):
            parts = []
            for name in list(found)[first : first + AT_ONCE]:
                here = (r.sync == name, r.kind == "sync", r.ended_at.is_not(None))
                last = select(r.id).where(*here).order_by(r.id.desc()).limit(each)
                parts.append(select(*columns).where(r.id.in_(select(last.subquery().c.id))))
            with self._database.read() as connection:
                for sync, run_id, status, at, delivered, faults, seconds in connection.execute(union_all(*parts)):
                    bar = Bar(run_id, RunStatus(status), at, delivered or 0, faults or 0, seconds)
                    found[sync].append(bar)
        return {name: sorted(bars, key=lambda one: one.run_id) for name, bars in found.items()}

    def slots(self, since: datetime, width: Width, sync: str | None = None) -> list[Slot]:
        """Sums by hour or day, and by sync, of the runs that ended since. In order of time."""
        r = runs.c
        number = self._database.backend.number_in
        start = func.substr(r.ended_at, 1, _DIGITS[width]).label("start")
        sums = [func.coalesce(func.sum(number(r.counts, name)), 0) for name in COUNTED]
        query = select(start, r.sync, func.count(), *sums).where(r.ended_at >= since, r.kind == "sync")
        if sync is not None:
            query = query.where(r.sync == sync)
        query = query.group_by(start, r.sync).order_by(start, r.sync)
        with self._database.read() as connection:
            return [Slot(*row[:3], *(int(value) for value in row[3:])) for row in connection.execute(query)]

    def stages(self, run_ids: Sequence[int]) -> list[StageStart]:
        """When these runs began what they did, in order."""
        e = run_events.c
        told = select(e.run_id, e.kind, e.document, e.at).where(
            e.run_id.in_(run_ids), e.kind.in_(("stage", "finished"))
        )
        with self._database.read() as connection:
            rows = connection.execute(told.order_by(e.run_id, e.number))
            return [StageStart(row.run_id, row.document.get("stage", row.kind), row.at) for row in rows]

    def delivered_before(self, key: str, sync: str, sequence: int) -> tuple[int, int] | None:
        """(run, call) that last delivered this row of the sync before that place in the log."""
        o = outcomes.c
        query = (
            select(o.run_id, o.call)
            .join(runs, runs.c.id == o.run_id)
            .where(o.key == key, o.sequence < sequence, o.outcome == "delivered", runs.c.sync == sync)
            .where(o.call.is_not(None))
            .order_by(o.sequence.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            return (row.run_id, row.call) if row is not None else None

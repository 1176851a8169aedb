"""Throws away what is older than it is kept: calls, outcomes, events, runs, and small things of the service.

In short transactions with long pauses between, so that a run that writes meanwhile hardly notices. Never a row that a
fold still needs: whose sync has a plan that is not folded, and the newest run of each sync.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from headrace.domain.outcome import RunStatus
from headrace.domain.retention import Keep
from headrace.store.database import Database
from headrace.store.service_tables import deliveries, run_events, sequence_runs, workers
from headrace.store.tables import call_rows, calls, outcomes, runs

LONGEST_S = 0.025
"""How long one transaction should take: others wait for it. Measured after each, and the next one made to fit."""
SHARE = 0.1
"""How much of its time the sweep holds the store; it rests for the others."""
FEWEST, MOST = 20, 5_000
CALL_OVERHEAD = 1_000
"""Bytes a call takes beside its bodies: headers, address, indexes."""
WORKER_GONE = timedelta(days=1)
HOLD_LASTS = timedelta(days=2)
LIVE = (RunStatus.RUNNING, RunStatus.QUEUED)

Rest = Callable[[float], bool]
"""Waits so many seconds; True where the sweep is to end."""


@dataclass(slots=True)
class Swept:
    """How much was thrown away."""

    calls: int = 0
    rows: int = 0
    runs: int = 0
    others: int = 0
    longest_s: float = 0.0
    """The longest that a writer could have been kept waiting."""


@dataclass(frozen=True, slots=True)
class _Past:
    """What a sweep needs to know of a run."""

    id: int
    sync: str
    sync_id: str
    status: str
    at: datetime
    first_outcome: int | None
    last_outcome: int | None


_r = runs.c
_PAST = select(
    *(_r.id, _r.sync, _r.sync_id, _r.status),
    func.coalesce(_r.ended_at, _r.created_at, type_=_r.ended_at.type),
    *(_r.first_outcome, _r.last_outcome),
)


class _Stopped(Exception):
    """The sweep was told to end."""


@dataclass(slots=True)
class Sweeper:
    """`keep_of` says how long a sync's things are kept, by its name; `in_need` whether a plan of it waits for its fold.

    Both are asked for each run. Usable again and again; `rest` is where it waits.
    """

    database: Database
    now: Callable[[], datetime]
    keep_of: Callable[[str], Keep]
    in_need: Callable[[str], bool]
    rest: Rest
    timer: Callable[[], float] = time.perf_counter
    _at_once: int = 200
    _bytes: dict[int, int] = field(default_factory=dict)
    """Bytes of the calls of runs that have ended: they are counted once."""

    def sweep(self, calls_mb: float | None = None) -> Swept:
        """Throws away what is too old, then the oldest calls until the rest fits `calls_mb`. Raises `store_...`."""
        swept = Swept()
        try:
            self._sweep_calls(swept, calls_mb)
            self._sweep_rows(swept)
            self._sweep_runs(swept)
            self._sweep_others(swept)
        except _Stopped:
            pass  # the next one goes on here
        return swept

    # Calls ----------------------------------------------------------------------------------------------------------

    def _sweep_calls(self, swept: Swept, calls_mb: float | None) -> None:
        kept: list[int] = []
        for run_id in self._runs_with_calls():
            run = self._run(run_id)
            if run is None or self._is_older(run, self.keep_of(run.sync).calls_days):
                self._throw_calls(run_id, swept)
            elif run.status not in LIVE:
                kept.append(run_id)
        if calls_mb is None:
            return
        room = calls_mb * 1_000_000
        for run_id in reversed(kept):
            room -= self._bytes_of(run_id)
            if room < 0:
                self._throw_calls(run_id, swept)

    def _runs_with_calls(self) -> Iterator[int]:
        """From one to the next by the primary key; calls are many and runs few."""
        last = -1
        while True:
            with self.database.read() as connection:
                last = connection.scalar(select(func.min(calls.c.run_id)).where(calls.c.run_id > last))
            if last is None:
                return
            yield last

    def _bytes_of(self, run_id: int) -> int:
        if run_id not in self._bytes:
            bodies = (func.coalesce(func.length(one), 0) for one in (calls.c.request_body, calls.c.response_body))
            total = func.sum(sum(bodies, start=CALL_OVERHEAD))
            with self.database.read() as connection:
                self._bytes[run_id] = int(connection.scalar(select(total).where(calls.c.run_id == run_id)) or 0)
        return self._bytes[run_id]

    def _throw_calls(self, run_id: int, swept: Swept) -> None:
        self._bytes.pop(run_id, None)
        mine = calls.c.run_id == run_id
        while True:
            query = select(calls.c.number, calls.c["keys"]).where(mine).order_by(calls.c.number).limit(self._at_once)
            with self.database.read() as connection:
                found = connection.execute(query).all()
            if not found:
                return
            carried = [{"k": key, "n": number} for number, keys in found for key in keys]
            last = found[-1].number

            def throw(connection: Connection, carried: Any = carried, last: int = last) -> None:
                if carried:
                    _throw_call_rows(connection, run_id, carried)
                swept.calls += connection.execute(delete(calls).where(mine, calls.c.number <= last)).rowcount

            self._write(swept, throw)

    # Rows -----------------------------------------------------------------------------------------------------------

    def _sweep_rows(self, swept: Swept) -> None:
        with_rows = runs.c.first_outcome.is_not(None)
        for run in self._ended_runs(with_rows):
            keep = self.keep_of(run.sync)
            is_older = self._is_older(run, keep.rows_days) or self._is_older(run, keep.runs_days)
            if is_older and not self.in_need(run.sync_id):
                self._throw_rows(run, swept)

    def _throw_rows(self, run: _Past, swept: Swept) -> None:
        o = outcomes.c
        first, last = run.first_outcome or 0, run.last_outcome or 0
        while first <= last:
            until = first + self._at_once
            here = (o.sequence >= first, o.sequence < until, o.sequence <= last, o.run_id + 0 == run.id)

            def throw(connection: Connection, here: Any = here) -> None:
                swept.rows += connection.execute(delete(outcomes).where(*here)).rowcount

            self._write(swept, throw)
            first = until
        nowhere = {"first_outcome": None, "last_outcome": None}
        forget = update(runs).where(runs.c.id == run.id).values(nowhere)
        self._write(swept, lambda connection: connection.execute(forget))

    # Runs -----------------------------------------------------------------------------------------------------------

    def _sweep_runs(self, swept: Swept) -> None:
        empty = runs.c.first_outcome.is_(None)
        for run in self._ended_runs(empty):
            if self._is_older(run, self.keep_of(run.sync).runs_days) and not self.in_need(run.sync_id):
                self._throw_calls(run.id, swept)  # a sync may keep calls longer than runs: they go together
                self._write(swept, partial(_throw_run, run_id=run.id))
                swept.runs += 1

    def _ended_runs(self, *where: Any) -> Iterator[_Past]:
        """Oldest first, without the newest of each sync; each page is a read of its own."""
        newest = select(func.max(runs.c.id)).where(runs.c.kind == "sync").group_by(runs.c.sync_id)
        query = _PAST.where(_r.status.not_in(LIVE), *where).order_by(_r.id).limit(500)
        with self.database.read() as connection:
            spared: Collection[int] = set(connection.scalars(newest))
        last = 0
        while True:
            with self.database.read() as connection:
                found = [_Past(*row) for row in connection.execute(query.where(_r.id > last))]
            if not found:
                return
            last = found[-1].id
            yield from (one for one in found if one.id not in spared)

    def _run(self, run_id: int) -> _Past | None:
        with self.database.read() as connection:
            row = connection.execute(_PAST.where(_r.id == run_id)).one_or_none()
        return _Past(*row) if row else None

    def _is_older(self, run: _Past, days: float | None) -> bool:
        if days is None or run.status in LIVE:
            return False
        age = self.now() - run.at
        return age > timedelta(days=days) and (run.status != RunStatus.HELD or age > HOLD_LASTS)

    # The small things of the service --------------------------------------------------------------------------------

    def _sweep_others(self, swept: Swept) -> None:
        keep = self.keep_of("")
        now = self.now()
        gone = [delete(workers).where(workers.c.seen_at < now - WORKER_GONE)]
        if keep.calls_days is not None:
            before = now - timedelta(days=keep.calls_days)
            gone.append(delete(deliveries).where(deliveries.c.due_at.is_(None), deliveries.c.at < before))
        if keep.runs_days is not None:
            gone.append(delete(sequence_runs).where(sequence_runs.c.ended_at < now - timedelta(days=keep.runs_days)))
        for statement in gone:

            def throw(connection: Connection, statement: Any = statement) -> None:
                swept.others += connection.execute(statement).rowcount

            self._write(swept, throw)

    # One short transaction ------------------------------------------------------------------------------------------

    def _write(self, swept: Swept, work: Callable[[Connection], Any]) -> None:
        with self.database.write() as connection:
            began = self.timer()  # the lock is ours from here
            work(connection)
        took = self.timer() - began
        swept.longest_s = max(swept.longest_s, took)
        fitting = self._at_once * LONGEST_S / max(took, 1e-6)
        self._at_once = int(min(MOST, max(FEWEST, min(fitting, self._at_once * 2))))
        if self.rest(took * (1 - SHARE) / SHARE):
            raise _Stopped


def _throw_call_rows(connection: Connection, run_id: int, carried: list[dict[str, Any]]) -> None:
    c = call_rows.c
    here = (c.key == bindparam("k"), c.run_id == run_id, c.number == bindparam("n"))
    connection.execute(delete(call_rows).where(*here), carried)


def _throw_run(connection: Connection, run_id: int) -> None:
    connection.execute(delete(run_events).where(run_events.c.run_id == run_id))
    connection.execute(delete(runs).where(runs.c.id == run_id, runs.c.status.not_in(LIVE)))

"""Runs of sequences: how far each is, and how it ended. Every step forward names the position it starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from headrace.domain.errors import NotFound, UserError
from headrace.domain.outcome import RunStatus
from headrace.store.database import Database
from headrace.store.page import LIMIT, Page, parse_cursor
from headrace.store.service_tables import sequence_runs
from headrace.store.tables import runs

_LIVE = (str(RunStatus.QUEUED), str(RunStatus.RUNNING))


@dataclass(frozen=True, slots=True)
class SequenceRun:
    """One run of a sequence. `syncs` are those that it was started with, `position` counts those that are done."""

    id: int
    sequence: str
    status: RunStatus
    syncs: tuple[str, ...]
    position: int
    reason: str
    requested_by: str | None
    message: str | None
    created_at: datetime
    ended_at: datetime | None


class SequenceRuns:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, sequence: str, syncs: Sequence[str], reason: str, by: str, *, queue: bool) -> SequenceRun:
        """A run of it, running at once where none is live; behind a running one queued, where `queue` allows.

        Raises UserError `sequence_busy`.
        """
        with self._database.write() as connection:
            live = _rows(connection, sequence_runs.c.sequence == sequence, sequence_runs.c.status.in_(_LIVE))
            if live and (not queue or len(live) > 1):
                message = f'Sequence "{sequence}" has run {live[-1].id} {live[-1].status}, so another was not started.'
                raise UserError(message, code="sequence_busy", sequence_run=live[-1].id)
            values = {
                "sequence": sequence,
                "status": str(RunStatus.QUEUED if live else RunStatus.RUNNING),
                "syncs": list(syncs),
                "reason": reason,
                "requested_by": by,
                "created_at": self._now(),
            }
            statement = insert(sequence_runs).values(values).returning(sequence_runs.c.id)
            return _get(connection, connection.execute(statement).scalar_one())

    def get(self, run_id: int) -> SequenceRun:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _get(connection, run_id)

    def live(self) -> list[SequenceRun]:
        """Queued and running ones, oldest first."""
        with self._database.read() as connection:
            return _rows(connection, sequence_runs.c.status.in_(_LIVE))

    def list(self, sequence: str | None = None, *, limit: int = LIMIT, cursor: str | None = None) -> Page[SequenceRun]:
        """Newest first."""
        query = select(sequence_runs).order_by(sequence_runs.c.id.desc()).limit(limit + 1)
        if sequence is not None:
            query = query.where(sequence_runs.c.sequence == sequence)
        if before := parse_cursor(cursor, 1):
            query = query.where(sequence_runs.c.id < before[0])
        with self._database.read() as connection:
            found = [_run(row) for row in connection.execute(query)]
        return Page(tuple(found[:limit]), str(found[limit - 1].id) if len(found) > limit else None)

    def steps(self, run_id: int) -> dict[str, int]:
        """Sync -> number of its newest run within that run of a sequence."""
        query = select(runs.c.sync, runs.c.id).where(runs.c.sequence_run == run_id, runs.c.kind == "sync")
        with self._database.read() as connection:
            return {row.sync: row.id for row in connection.execute(query.order_by(runs.c.id))}

    def start(self, run_id: int) -> bool:
        """A queued one runs; False where it was cancelled, or started by another server."""
        return self._change(run_id, RunStatus.QUEUED, status=str(RunStatus.RUNNING))

    def step(self, run: SequenceRun) -> bool:
        """One sync further; False where another server has gone there."""
        return self._change(run.id, RunStatus.RUNNING, run.position, position=run.position + 1)

    def end(self, run: SequenceRun, status: RunStatus, message: str | None) -> bool:
        """The end of a running one, at that position; False where another server has ended it."""
        ended = {"status": str(status), "message": message, "ended_at": self._now()}
        return self._change(run.id, RunStatus.RUNNING, run.position, **ended)

    def cancel(self, run_id: int, message: str) -> SequenceRun:
        """Raises NotFound, UserError `run_ended`."""
        with self._database.write() as connection:
            run = _get(connection, run_id)
            if run.status.is_end:
                raise UserError(f"Run {run_id} of a sequence has ended already: it is {run.status}.", code="run_ended")
            ended = {"status": str(RunStatus.CANCELLED), "message": message, "ended_at": self._now()}
            connection.execute(update(sequence_runs).where(sequence_runs.c.id == run_id).values(ended))
            return _get(connection, run_id)

    def _change(self, run_id: int, seen: RunStatus, at: int | None = None, **values: Any) -> bool:
        here = update(sequence_runs).where(sequence_runs.c.id == run_id, sequence_runs.c.status == str(seen))
        if at is not None:
            here = here.where(sequence_runs.c.position == at)
        with self._database.write() as connection:
            return bool(connection.execute(here.values(values)).rowcount)


def _rows(connection: Connection, *conditions: Any) -> list[SequenceRun]:
    rows = connection.execute(select(sequence_runs).where(*conditions).order_by(sequence_runs.c.id))
    return [_run(row) for row in rows]


def _get(connection: Connection, run_id: int) -> SequenceRun:
    found = _rows(connection, sequence_runs.c.id == run_id)
    if not found:
        raise NotFound("run of a sequence", str(run_id))
    return found[0]


def _run(row: Any) -> SequenceRun:
    values = {**row._mapping, "status": RunStatus(row.status), "syncs": tuple(row.syncs)}
    return SequenceRun(**values)

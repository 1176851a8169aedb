"""The log of one run: calls, outcomes and what was learned, a group at a time. The hottest writer of the house.

Runs in a thread beside the loop, which sends meanwhile, but for what Python itself has to do here. So rows go to the
driver many at a time: one long statement is one step of SQLite, in which the loop is not held up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from itertools import chain, groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

import orjson
from sqlalchemy import ClauseElement, bindparam, delete, func, insert, literal_column, select, update

from headrace.domain.errors import WorldError
from headrace.domain.outcome import Counts, RunStatus
from headrace.engine.ports import CallRecord, Learned, OutcomeRecord
from headrace.store import sqlite
from headrace.store.database import Database
from headrace.store.tables import call_rows, calls, identities, iso, outcomes, runs


class RunLogWriter:
    """Implements `engine.ports.RunLog`. One thread writes groups; others, and processes, read freely meanwhile."""

    def __init__(self, database: Database, run_id: int, scope: str, now: Callable[[], datetime]) -> None:
        self._path = database.path
        self._run_id = run_id
        self._scope = scope
        self._now = now
        self._connection = database.dedicated()
        for pragma in sqlite.HOT_WRITER:
            self._connection.execute(pragma)

        def sql(statement: ClauseElement) -> str:
            return str(statement.compile(dialect=database.dialect))

        forget = (identities.c[name] == bindparam(name) for name in ("scope", "kind", "external_id"))
        self._writing = threading.Lock()
        self._insert_call = _Insert(sql(insert(calls)))
        self._insert_call_row = _Insert(sql(insert(call_rows)))
        self._insert_outcome = _Insert(_INSERT_OUTCOME, len(_SHARED))
        self._extend_span = sql(_extend_span())
        self._learn = sql(sqlite.upsert(identities, ["scope", "kind", "external_id"]))
        self._forget = sql(delete(identities).where(*forget))
        shown: dict[Any, Any] = {runs.c.counts: bindparam("counts"), runs.c.progress: bindparam("progress")}
        self._set_counts = sql(update(runs).where(runs.c.id == bindparam("run")).values(shown))
        self._cancelled = sql(select(runs.c.cancel_requested).where(runs.c.id == bindparam("run")))

    def append(
        self, calls: Sequence[CallRecord], outcomes: Sequence[OutcomeRecord], learned: Sequence[Learned] = ()
    ) -> None:
        """Writes one group: all or nothing, on the disk when this returns. Raises WorldError `store_write_failed`."""
        run_id = self._run_id
        call_values = [_call_values(run_id, call) for call in calls]
        alike = [(same, list(map(_KEY_AND_POSITION, rows))) for same, rows in groupby(outcomes, _ALIKE)]
        undecided = [(key, run_id, number) for number, key in _undecided(calls, alike)]
        with self._writing, self._undone_on_failure():
            self._connection.execute(sqlite.BEGIN_WRITE)
            self._insert_call.write(self._connection, call_values)
            self._insert_call_row.write(self._connection, undecided)
            for same, rows in alike:
                self._insert_outcome.write(self._connection, rows, (run_id, *map(_plain, same)))
            if outcomes and not self._connection.execute(self._extend_span, (len(outcomes) - 1, run_id)).rowcount:
                raise run_lost(run_id)
            self._write_learned(self._connection.executemany, learned)
            self._connection.execute("COMMIT")

    def progress(self, counts: Counts, to_send: int, waiting_s: float) -> None:
        """Shows the numbers to other processes. Nothing rests on them, so no disk is waited for."""
        with self._writing:  # no group is open: SQLite refuses the pragma within a transaction
            try:
                self._connection.execute("PRAGMA synchronous = OFF")
                try:
                    progress = orjson.dumps({"to_send": to_send, "waiting_s": round(waiting_s, 3)}).decode()
                    values = (orjson.dumps(counts).decode(), progress, self._run_id)
                    self._connection.execute(self._set_counts, values)
                finally:
                    self._connection.execute("PRAGMA synchronous = FULL")
            except sqlite.driver.OperationalError as error:
                raise sqlite.write_failed(error, self._path) from error

    def cancel_requested(self) -> bool:
        try:
            row = self._connection.execute(self._cancelled, (self._run_id,)).fetchone()
        except sqlite.driver.OperationalError as error:
            raise sqlite.read_failed(error, self._path) from error
        return row is not None and bool(row[0])

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_learned(self, write: Callable[[str, Any], Any], learned: Sequence[Learned]) -> None:
        """Each record's last word counts."""
        if not learned:
            return
        last = {(self._scope, item.kind, item.external_id): item.record_id for item in learned}
        at = iso(self._now())
        write(self._learn, [(*record, record_id, at) for record, record_id in last.items() if record_id is not None])
        write(self._forget, [record for record, record_id in last.items() if record_id is None])

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        """Rolls the open group back when its body fails."""
        try:
            yield
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if sqlite.is_of_world(error):
                raise sqlite.write_failed(error, self._path) from error
            raise


class _Insert:
    """An INSERT of one row, as statements of many rows: so many that there are few of each, prepared once.

    The first `shared` columns hold the same in each row of a call, and are bound once for all of them.
    """

    _AT_ONCE = (64, 8, 1)

    def __init__(self, statement: str, shared: int = 0) -> None:
        head, values, row = statement.rpartition("VALUES")
        own = row.count("?") - shared
        same = [f"?{place}" for place in range(1, shared + 1)]
        self._many = {
            count: head + values + ",".join(_marks(same, shared + own * number, own) for number in range(count))
            for count in self._AT_ONCE
        }

    def write(self, connection: Any, rows: Sequence[tuple[Any, ...]], shared: tuple[Any, ...] = ()) -> None:
        start = 0
        for count, statement in self._many.items():
            while len(rows) - start >= count:
                own = chain.from_iterable(rows[start : start + count])
                connection.execute(statement, (*shared, *own))
                start += count


def _marks(same: Sequence[str], before: int, own: int) -> str:
    """The numbered placeholders of one row: those it shares, then its own."""
    return f"({','.join([*same, *(f'?{before + place}' for place in range(1, own + 1))])})"


def _quoted(name: str) -> str:
    return f'"{outcomes.c[name].name}"'


_SHARED = ("run_id", *(name for name in OutcomeRecord._fields if name not in ("key", "position")))
"""Columns in which rows that ended alike do not differ."""
_OUTCOME_COLUMNS = (*_SHARED, "key", "position")
_INSERT_OUTCOME = (
    f"INSERT INTO {outcomes.name} ({', '.join(map(_quoted, _OUTCOME_COLUMNS))}) "
    f"VALUES ({', '.join('?' * len(_OUTCOME_COLUMNS))})"
)
_ALIKE = itemgetter(*(OutcomeRecord._fields.index(name) for name in _SHARED[1:]))
_KEY_AND_POSITION = itemgetter(*map(OutcomeRecord._fields.index, ("key", "position")))
_CALL = _SHARED[1:].index("call")


def _undecided(
    calls: Sequence[CallRecord], alike: Sequence[tuple[Sequence[Any], Sequence[tuple[str, int | None]]]]
) -> Iterator[tuple[int, str]]:
    """(number, key) of the rows that a call carried and did not decide. What it decided stands in the outcome."""
    decided: dict[int, list[str]] = {}
    for same, rows in alike:
        decided.setdefault(same[_CALL], []).extend(key for key, _ in rows)
    for call in calls:
        keys = decided.get(call.number)
        if keys != list(call.keys):
            missing = set(call.keys).difference(keys or ())
            yield from ((call.number, key) for key in missing)


def _extend_span() -> ClauseElement:
    """Notes where a run's outcomes lie: inside the transaction of their group they end the log, in one piece."""
    last = select(func.max(outcomes.c.sequence)).scalar_subquery()
    first = func.coalesce(runs.c.first_outcome, last - bindparam("before_last"))
    span = {runs.c.first_outcome: first, runs.c.last_outcome: last}
    alive = runs.c.status == literal_column(f"'{RunStatus.RUNNING}'")
    return update(runs).where(runs.c.id == bindparam("run"), alive).values(span)


def run_lost(run_id: int) -> WorldError:
    """What stops a process whose run was ended behind its back: its lease ran out, and another goes on."""
    message = f"Run {run_id} was taken from this process: it did not show that it lived for too long, so the run was "
    message += "ended and another goes on with the sync. Nothing is lost."
    return WorldError(message, code="run_lost", run_id=run_id)


def _call_values(run_id: int, call: CallRecord) -> tuple[Any, ...]:
    """The values of one row of `calls`, in the order of its columns."""
    return (
        run_id,
        call.number,
        iso(call.at),
        call.api,
        call.purpose,
        call.method,
        call.url,
        _headers(call.request_headers),
        call.request_body,
        call.status,
        None if call.response_headers is None else _headers(call.response_headers),
        call.response_body,
        call.duration_ms,
        call.waited_ms,
        call.attempt,
        call.verdict.value,
        call.reason,
        orjson.dumps(call.keys if type(call.keys) in (tuple, list) else list(call.keys)).decode(),
    )


def _plain(value: Any) -> Any:
    """The text of an enumeration: the driver takes no other kind of text for one."""
    return value.value if isinstance(value, Enum) else value


def _headers(headers: Any) -> str:
    return orjson.dumps(headers if type(headers) is dict else dict(headers)).decode()

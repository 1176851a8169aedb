"""Writes the log of a run into SQLite.

Rows go to the driver many at a time: one long statement is one step of SQLite, in which the loop beside this thread
is not held up by Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ClauseElement, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert

from headrace.domain.outcome import RunStatus
from headrace.store.group import OUTCOME_COLUMNS, SHARED, Group
from headrace.store.tables import call_rows, calls, identities, outcomes, runs

HOT_WRITER = ("PRAGMA wal_autocheckpoint = 4000", "PRAGMA cache_size = -16000")
"""16 MB of pages, and as much between checkpoints, so that the index of keys is written seldom."""
_DIALECT = sqlite.dialect(paramstyle="qmark")


class SqliteLog:
    """Implements `group.GroupWriter`."""

    def __init__(self, connection: Any, learn: Insert) -> None:
        self._connection = connection
        for pragma in HOT_WRITER:
            connection.execute(pragma)
        forget = (identities.c[name] == bindparam(name) for name in ("scope", "kind", "external_id"))
        here = (runs.c.id == bindparam("run"), runs.c.status == literal_column(f"'{RunStatus.RUNNING}'"))
        shown: dict[Any, Any] = {runs.c.counts: bindparam("counts"), runs.c.progress: bindparam("progress")}
        self._insert_call = _Insert(_sql(insert(calls)))
        self._insert_call_row = _Insert(_sql(insert(call_rows)))
        self._insert_outcome = _Insert(_INSERT_OUTCOME, len(SHARED))
        self._extend_span = _sql(update(runs).where(*here).values(_span()))
        self._is_running = _sql(select(runs.c.id).where(*here))
        self._learn = _sql(learn)
        self._forget = _sql(delete(identities).where(*forget))
        self._show = _sql(update(runs).where(*here).values(shown))
        self._cancelled = _sql(select(runs.c.cancel_requested).where(runs.c.id == bindparam("run")))

    def write(self, group: Group) -> bool:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            self._insert_call.write(self._connection, group.calls)
            self._insert_call_row.write(self._connection, group.call_rows)
            for same, rows in group.outcomes:
                self._insert_outcome.write(self._connection, rows, same)
            if not self._is_ours(group):
                execute("ROLLBACK")
                return False
            if group.learned:
                self._connection.executemany(self._learn, group.learned)
            if group.forgotten:
                self._connection.executemany(self._forget, group.forgotten)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return True

    def _is_ours(self, group: Group) -> bool:
        """Whether the run still runs; notes where its outcomes lie, too."""
        count = sum(len(rows) for _, rows in group.outcomes)
        if count:
            return bool(self._connection.execute(self._extend_span, (count - 1, group.run_id)).rowcount)
        return self._connection.execute(self._is_running, (group.run_id,)).fetchone() is not None

    def show(self, run_id: int, counts: str, progress: str) -> bool:
        self._connection.execute("PRAGMA synchronous = OFF")
        try:
            return bool(self._connection.execute(self._show, (counts, progress, run_id)).rowcount)
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")

    def cancel_requested(self, run_id: int) -> bool:
        row = self._connection.execute(self._cancelled, (run_id,)).fetchone()
        return row is not None and bool(row[0])

    def close(self) -> None:
        self._connection.close()


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


def _sql(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT))


def _span() -> dict[Any, Any]:
    """Where a run's outcomes lie: inside the transaction of their group they end the log, in one piece."""
    last = select(func.max(outcomes.c.sequence)).scalar_subquery()
    first = func.coalesce(runs.c.first_outcome, last - bindparam("before_last"))
    return {runs.c.first_outcome: first, runs.c.last_outcome: last}


_QUOTED = ", ".join(f'"{name}"' for name in OUTCOME_COLUMNS)
_INSERT_OUTCOME = f"INSERT INTO {outcomes.name} ({_QUOTED}) VALUES ({', '.join('?' * len(OUTCOME_COLUMNS))})"

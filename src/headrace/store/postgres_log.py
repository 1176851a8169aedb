"""Writes the log of a run into Postgres.

A group goes out in one piece, each table's rows as arrays, one a column, and is one transaction by itself: the server
never waits for this process in the midst of one, so that a process that is suspended holds no lock on its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection, errors
from sqlalchemy import BigInteger, Column, Float, LargeBinary, Table

from headrace.domain.outcome import RunStatus
from headrace.store.group import OUTCOME_COLUMNS, Group
from headrace.store.tables import call_rows, calls, identities, outcomes

_TYPES: Sequence[tuple[type[Any], str]] = ((BigInteger, "bigint"), (Float, "float8"), (LargeBinary, "bytea"))


class PostgresLog:
    """Implements `group.GroupWriter`."""

    def __init__(self, connection: Connection[Any]) -> None:
        """`connection` is in autocommit, and ours alone."""
        self._connection = connection

    def write(self, group: Group) -> bool:
        try:
            with self._connection.pipeline():
                self._insert(_INSERT_CALLS, group.calls)
                self._insert(_INSERT_CALL_ROWS, group.call_rows)
                # In the order of the keys: two runs that learn the same wait for each other, and never both.
                self._insert(_LEARN, sorted(group.learned))
                self._insert(_FORGET, sorted(group.forgotten))
                self._close_with_span(group)
        except errors.DivisionByZero:
            return False
        return True

    def _close_with_span(self, group: Group) -> None:
        """Writes the outcomes and notes their span, where the run still runs. Last, as it locks the run's row."""
        if group.outcomes:
            rows = [(*same, *own) for same, alike in group.outcomes for own in alike]
            self._connection.execute(_INSERT_OUTCOMES, (*_columns(rows), group.run_id))
        else:
            self._connection.execute(_IS_RUNNING, (group.run_id,))

    def _insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._connection.execute(statement, _columns(rows))

    def show(self, run_id: int, counts: str, progress: str) -> bool:
        try:
            with self._connection.pipeline():
                self._connection.execute("SELECT set_config('synchronous_commit', 'off', true)")
                self._connection.execute(_SHOW, (counts, progress, run_id))
        except errors.DivisionByZero:
            return False
        return True

    def cancel_requested(self, run_id: int) -> bool:
        row = self._connection.execute("SELECT cancel_requested FROM runs WHERE id = %s", (run_id,)).fetchone()
        return row is not None and bool(row[0])

    def close(self) -> None:
        self._connection.close()


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _array(column: Column[Any]) -> str:
    """A parameter that holds one value a row, in the binary format: no value is quoted and read again."""
    name = next((name for kind, name in _TYPES if isinstance(column.type, kind)), "text")
    return f"%b::{name}[]"


def _rows(table: Table, names: Sequence[str]) -> str:
    return f"unnest({', '.join(_array(table.c[name]) for name in names)})"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _insert(table: Table, names: Sequence[str]) -> str:
    return f"INSERT INTO {table.name} ({_quoted(names)}) SELECT * FROM {_rows(table, names)}"


_KEY = ("scope", "kind", "external_id")
_RUNS = f"status = '{RunStatus.RUNNING}'"
_INSERT_CALLS = _insert(calls, calls.c.keys())
_INSERT_CALL_ROWS = _insert(call_rows, call_rows.c.keys())

# Fails, and the whole transaction with it, where no run is left to write for: there is no other way to make the server
# decide without asking this process back.
_OR_FAIL = "SELECT 1 / count(*) FROM alive"
_INSERT_OUTCOMES = (
    f"WITH written AS ({_insert(outcomes, OUTCOME_COLUMNS)} RETURNING sequence),"
    " span AS (SELECT min(sequence) AS first, max(sequence) AS last FROM written),"
    " alive AS (UPDATE runs SET first_outcome = coalesce(first_outcome, span.first), last_outcome = span.last"
    f" FROM span WHERE id = %s AND {_RUNS} RETURNING id) {_OR_FAIL}"
)
_IS_RUNNING = f"WITH alive AS (SELECT id FROM runs WHERE id = %s AND {_RUNS} FOR UPDATE) {_OR_FAIL}"
_LEARN = (
    f"{_insert(identities, identities.c.keys())} ON CONFLICT ({_quoted(_KEY)})"
    " DO UPDATE SET record_id = excluded.record_id, learned_at = excluded.learned_at"
)
_FORGET = f"DELETE FROM identities WHERE ({_quoted(_KEY)}) IN (SELECT * FROM {_rows(identities, _KEY)})"
_SHOW = f"WITH alive AS (UPDATE runs SET counts = %s, progress = %s WHERE id = %s AND {_RUNS} RETURNING id) {_OR_FAIL}"

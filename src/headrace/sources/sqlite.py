"""SQLite files, read-only and in one transaction a read.

SQLite types values, not columns. So a column's kind comes from all its values: one pass over the model says which
storage classes each column holds, and the rows follow in the same transaction.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa

from headrace.domain.columns import Columns
from headrace.domain.errors import SourceError
from headrace.sources import Query, Table
from headrace.sources.files import path_setting, real_file, seconds_setting
from headrace.sources.names import chosen_columns, find_table, quoted, refuse_repeated_names
from headrace.sources.sqlite_types import ARROW, column_of, declared_column, to_array
from headrace.sources.statements import line_at, one_statement, refuse_unless_select, sql_fault, tokens
from headrace.sources.streams import guarded_reader

try:
    import pysqlite3 as sqlite3  # newer than the one many systems come with
except ImportError:
    import sqlite3

_BATCH_ROWS = 20_000
_STEPS_BETWEEN_LOOKS = 20_000  # virtual machine steps; about a millisecond
_STARTS = frozenset({"select", "with", "values"})
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})


class _Clock:
    """Stops a statement at its time limit. The time that the reader of the rows takes is not counted."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._ends = time.monotonic() + limit_s
        self.rang = False

    def look(self) -> bool:
        self.rang = self.rang or time.monotonic() > self._ends
        return self.rang

    @contextmanager
    def paused(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._ends += time.monotonic() - began


class SqliteSource:
    """One SQLite database file."""

    kind: ClassVar[str] = "sqlite"
    speaks_duckdb: ClassVar[bool] = False

    def __init__(self, path: str, *, statement_timeout_s: float) -> None:
        self._path = path
        self._limit_s = statement_timeout_s

    @classmethod
    def open(cls, settings: Mapping[str, Any], scratch_dir: str) -> Self:
        return cls(path_setting(cls.kind, settings), statement_timeout_s=seconds_setting(settings))

    def start_ahead(self) -> None:
        return

    def check(self) -> str:
        with self._session() as (connection, _):
            tables = len(_table_names(connection))
        noun = "table" if tables == 1 else "tables"
        return f"SQLite {sqlite3.sqlite_version}, file {os.path.basename(self._path)}, {tables} {noun}"

    def tables(self) -> list[Table]:
        """Types are as declared, so a guess: `columns` measures them."""
        with self._session() as (connection, _):
            return [Table(name, _declared_columns(connection, name)) for name in _table_names(connection)]

    def columns(self, query: Query) -> Columns:
        with self._session() as (connection, clock):
            sql = _model_sql(connection, query)
            return _measured_columns(connection, sql, clock)

    @contextmanager
    def read(
        self,
        query: Query,
        *,
        columns: Sequence[str] | None = None,
        select: str | None = None,
        keys: pa.Table | None = None,
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatchReader]:
        assert select is None, "a SQLite source does not speak DuckDB"
        assert keys is None, "a SQLite source does not speak DuckDB"
        with self._session() as (connection, clock):
            sql = _model_sql(connection, query)
            kept = chosen_columns(_measured_columns(connection, sql, clock), columns)
            schema = pa.schema([(column.name, ARROW[column.type]) for column in kept])
            with guarded_reader(schema, _batches(connection, sql, kept, schema, limit, clock)) as reader:
                yield reader

    @contextmanager
    def _session(self) -> Iterator[tuple[sqlite3.Connection, _Clock]]:
        """A read-only connection inside one read transaction, with its clock running."""
        file = real_file(self._path)
        clock = _Clock(self._limit_s)
        connection = _connect(file)
        try:
            # The first statement takes the transaction's snapshot and proves that the file is a database.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            connection.set_progress_handler(clock.look, _STEPS_BETWEEN_LOOKS)
        except sqlite3.Error as refused:
            connection.close()
            raise _cannot_open(file, refused) from refused
        try:
            yield connection, clock
        finally:
            connection.close()


def _connect(file: str) -> sqlite3.Connection:
    """Opens read-only. A WAL database needs files beside it even then; in a folder that takes none, nobody writes."""
    folder = os.path.dirname(file)
    unchanging = not os.access(folder, os.W_OK) and not os.path.exists(f"{file}-wal")
    uri = f"{Path(file).as_uri()}?mode=ro{'&immutable=1' if unchanging else ''}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
        connection.execute("PRAGMA query_only = true")
        connection.execute("PRAGMA trusted_schema = false")
        connection.execute("BEGIN")
    except sqlite3.Error as refused:
        raise _cannot_open(file, refused) from refused
    return connection


def _cannot_open(file: str, refused: Exception) -> SourceError:
    words = str(refused)
    if "locked" in words or "busy" in words:
        mend = "Another process is writing to it: try again when it is done, or switch the file to WAL mode."
    elif "not a database" in words:
        mend = "Check the path; encrypted files can't be read."
    else:
        mend = "Check the rights on the file and its folder, and that no crashed writer left a -journal beside it."
    return SourceError(
        f'The SQLite file "{file}" can\'t be opened: {words}. {mend}', code="source_unreachable", path=file
    )


def _only_reading(action: int, first: str | None, second: str | None, *_: object) -> int:
    """SQLite's authorizer: asked while a statement is prepared, about everything that it would do."""
    harmless = action == sqlite3.SQLITE_FUNCTION and (second or "").casefold() not in _REFUSED_FUNCTIONS
    allowed: int = sqlite3.SQLITE_OK if action in _READING or harmless else sqlite3.SQLITE_DENY
    return allowed


def _model_sql(connection: sqlite3.Connection, query: Query) -> str:
    """The model's SELECT. From here on the connection obeys only reading statements."""
    if query.sql is None:
        (name,) = find_table(query.table or "", [(name,) for name in _table_names(connection)])
        sql = f"SELECT * FROM {quoted(name)}"
    else:
        sql = one_statement(query.sql)
        refuse_unless_select(sql, _STARTS)
    connection.set_authorizer(_only_reading)
    return sql


def _table_names(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    return sorted(name for (name,) in found)


def _declared_columns(connection: sqlite3.Connection, table: str) -> Columns:
    try:
        found = connection.execute("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1", [table]).fetchall()
    except sqlite3.Error:  # A view over a table that is gone still has a name, and reading it says what is wrong.
        return ()
    return tuple(declared_column(name, declared) for name, declared in found)


def _measured_columns(connection: sqlite3.Connection, sql: str, clock: _Clock) -> Columns:
    """The model's columns with the storage classes of all their values."""
    model = f"(\n{sql}\n) AS model"
    try:
        names = [item[0] for item in connection.execute(f"SELECT * FROM {model} LIMIT 0").description]
        # In a subquery SQLite itself renames a second `a` to `a:1`.
        refuse_repeated_names([_without_suffix(name, names) for name in names])
        classes = " || ".join(f"substr(typeof({quoted(name)}), 1, 1)" for name in names)
        found = connection.execute(f"SELECT DISTINCT {classes} FROM {model}").fetchall()
        seen = ["".join(letters) for letters in zip(*(row for (row,) in found), strict=True)] or [""] * len(names)
        mixed = [name for name, letters in zip(names, seen, strict=True) if {"i", "r"} <= set(letters)]
        widest = _widest(connection, model, mixed)
    except sqlite3.Error as failure:
        raise _fault(connection, failure, sql, clock) from failure
    return tuple(column_of(name, letters, widest.get(name, 0)) for name, letters in zip(names, seen, strict=True))


def _widest(connection: sqlite3.Connection, model: str, names: Sequence[str]) -> dict[str, int]:
    """The largest whole number, without its sign, of each column that mixes whole and real numbers."""
    if not names:
        return {}
    wide = ", ".join(
        f"max(CASE typeof({quoted(n)}) WHEN 'integer' THEN max({quoted(n)}, -1 - {quoted(n)}) END)" for n in names
    )
    row = connection.execute(f"SELECT {wide} FROM {model}").fetchone()
    return dict(zip(names, row, strict=True))


def _batches(
    connection: sqlite3.Connection, sql: str, kept: Columns, schema: pa.Schema, limit: int | None, clock: _Clock
) -> Generator[pa.RecordBatch]:
    names = ", ".join(quoted(column.name) for column in kept)
    ending = "" if limit is None else f" LIMIT {int(limit)}"
    try:
        cursor = connection.execute(f"SELECT {names} FROM (\n{sql}\n) AS model{ending}")
        while rows := cursor.fetchmany(_BATCH_ROWS):
            arrays = [to_array(column, values) for column, values in zip(kept, zip(*rows, strict=True), strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            with clock.paused():
                yield batch
    except sqlite3.Error as failure:
        raise _fault(connection, failure, sql, clock) from failure


def _without_suffix(name: str, names: Sequence[str]) -> str:
    base, colon, number = name.rpartition(":")
    return base if colon and number.isdigit() and base in names else name


def _fault(connection: sqlite3.Connection, failure: Exception, sql: str, clock: _Clock) -> SourceError:
    words = str(failure)
    if words == "not authorized":
        words = "not authorized: a model may only SELECT from tables"
    if clock.rang:
        return SourceError(
            f"The model's SQL took longer than {clock.limit_s:g} s and was stopped. Make it faster, or raise"
            " statement_timeout of the source.",
            code="source_timeout",
            limit_s=clock.limit_s,
        )
    if any(sign in words for sign in ("malformed", "disk I/O", "locked", "not a database", "Could not decode")):
        # The words about text that is no UTF-8 go on with the text itself, which is a customer's.
        words = words.partition(" with text ")[0]
        return SourceError(f"The SQLite file can't be read further: {words}.", code="source_failed")
    return sql_fault(words, sql, _line_of(connection, words, sql))


def _line_of(connection: sqlite3.Connection, words: str, sql: str) -> int | None:
    """The line that SQLite's message means. It names a word and no place, so each place of the word is tried:
    the one is right whose change changes the message.
    """
    named = [token for token in tokens(sql) if token.kind in ("word", "name") and token.text.strip('"`') in words]
    places = [token for token in named if f'"{token.text}"' in words or words.endswith(token.text.strip('"`'))] or named
    for token in places:
        changed = f"{sql[: token.start]}hr_{len(places)}_zz{sql[token.end :]}"
        try:
            connection.execute(f"EXPLAIN SELECT * FROM (\n{changed}\n) AS model")
        except Exception as other:  # noqa: BLE001 - any answer but the same one is an answer
            if words not in str(other):
                return line_at(sql, token.start)
    return line_at(sql, places[0].start) if places else None

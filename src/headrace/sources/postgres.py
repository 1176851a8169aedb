"""PostgreSQL and what speaks its protocol, by ADBC: rows arrive as Arrow from the server's own binary COPY.

Every statement runs in a read-only transaction with a time limit, in UTC. A read-only transaction does not stop
functions that act outside it (files of the server, other sessions); `postgres_guard` refuses those by name, and a role
with SELECT rights only is what really stops them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Self

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from headrace.domain.columns import Column, Columns
from headrace.domain.errors import SourceError
from headrace.sources import Query, Table
from headrace.sources.files import seconds_setting
from headrace.sources.names import chosen_columns, find_table, quoted_path, refuse_repeated_names, shown
from headrace.sources.postgres_guard import refuse_acting_functions
from headrace.sources.postgres_types import arrival, column_of, native_name, unnamed_oid
from headrace.sources.postgres_uri import connection_uri, without_secret
from headrace.sources.statements import line_at, one_statement, refuse_unless_select, sql_fault
from headrace.sources.streams import guarded_reader

_STARTS = frozenset({"select", "with", "values", "table"})
_BEFORE_THE_SQL = "SELECT * FROM ("
_BATCH_BYTES = 8 << 20
_WRITES_AS = {"TimeZone": "UTC", "DateStyle": "ISO", "IntervalStyle": "postgres", "extra_float_digits": "1"}
"""How the server writes what arrives as text: the same for every role, else another role's rows would look changed."""

_TABLES = """
    SELECT n.nspname, c.relname, pg_table_is_visible(c.oid) AS visible
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY 1, 2
"""
_TABLE_COLUMNS = """
    SELECT n.nspname, c.relname, a.attname, coalesce(base.typname, t.typname) AS typname,
           t.typcategory::text, format_type(a.atttypid, a.atttypmod) AS native
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type base ON base.oid = nullif(t.typbasetype, 0)
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    ORDER BY a.attnum
"""


class PostgresSource:
    """One PostgreSQL database. Each method opens a connection of its own and closes it."""

    kind: ClassVar[str] = "postgres"
    speaks_duckdb: ClassVar[bool] = False

    def __init__(self, uri: str, *, secret: str, statement_timeout_s: float) -> None:
        self._uri = uri
        self._secret = secret
        self._limit_s = statement_timeout_s

    @classmethod
    def open(cls, settings: Mapping[str, Any], scratch_dir: str) -> Self:
        uri, secret = connection_uri(settings)
        return cls(uri, secret=secret, statement_timeout_s=seconds_setting(settings))

    def start_ahead(self) -> None:
        return

    def check(self) -> str:
        with self._session() as cursor:
            version, database = _rows(cursor, "SELECT current_setting('server_version'), current_database()")[0]
        return f"PostgreSQL {version.split()[0]}, database {database}"

    def tables(self) -> list[Table]:
        with self._session() as cursor:
            found: dict[tuple[str, str], list[Column]] = {}
            visible = {}
            for schema, name, seen in _rows(cursor, _TABLES):
                found[schema, name] = []
                visible[schema, name] = seen
            for schema, name, column, typname, category, native in _rows(cursor, _TABLE_COLUMNS):
                if (schema, name) in found:
                    found[schema, name].append(column_of(column, typname, category, native))
        tables = (Table(shown(path[1:] if visible[path] else path), tuple(found[path])) for path in found)
        return sorted(tables, key=lambda table: table.name)

    def columns(self, query: Query) -> Columns:
        with self._session() as cursor:
            return self._describe(cursor, self._model_sql(cursor, query))

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
        assert select is None, "a Postgres source does not speak DuckDB"
        assert keys is None, "a Postgres source does not speak DuckDB"
        with self._session() as cursor:
            sql = self._model_sql(cursor, query)
            kept = chosen_columns(self._describe(cursor, sql), columns)
            wanted = ", ".join(map(arrival, kept))
            ending = "" if limit is None else f" LIMIT {int(limit)}"
            try:
                cursor.execute(f"SELECT {wanted} FROM (\n{sql}\n) AS model{ending}")
                rows = cursor.fetch_record_batch()
            except (adbc.Error, OSError) as failure:
                raise self._fault(failure, sql) from failure
            with guarded_reader(rows.schema, self._batches(rows, sql)) as reader:
                yield reader

    def _batches(self, rows: pa.RecordBatchReader, sql: str) -> Generator[pa.RecordBatch]:
        try:
            yield from rows
        except (adbc.Error, OSError, pa.ArrowException) as failure:  # In mid-stream ADBC has an OSError for everything.
            raise self._fault(failure, sql) from failure

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """A cursor inside one read-only transaction. Leaving it stops a statement that still runs."""
        try:
            connection = adbc.connect(self._uri, autocommit=True)
        except (adbc.Error, OSError) as refused:
            words = without_secret(_words(refused), self._secret)
            raise SourceError(
                f"The Postgres source can't be reached: {words} Check host, port, user, password and sslmode.",
                code="source_unreachable",
            ) from None  # The cause would print the address, and the password with it.
        # The cursor must go first: a connection that is closed before it leaves the driver in pieces.
        with connection, connection.cursor() as cursor:
            try:
                cursor.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute(f"SET LOCAL statement_timeout = {int(self._limit_s * 1000)}")
                for setting, value in _WRITES_AS.items():
                    cursor.execute(f"SET LOCAL {setting} = '{value}'")
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
            except (adbc.Error, OSError) as failure:
                raise self._fault(failure, "") from failure
            try:
                yield cursor
            finally:
                with suppress(adbc.Error, OSError):  # Nothing may be running any more, and the server may be gone.
                    cursor.adbc_cancel()

    def _model_sql(self, cursor: Any, query: Query) -> str:
        if query.sql is None:
            paths = [(schema, name) for schema, name, _ in _rows(cursor, _TABLES)]
            return f"SELECT * FROM {quoted_path(find_table(query.table or '', paths, preferred_schema='public'))}"
        sql = one_statement(query.sql)
        refuse_unless_select(sql, _STARTS)
        refuse_acting_functions(sql)
        return sql

    def _describe(self, cursor: Any, sql: str) -> Columns:
        """Names and types as the server itself describes the prepared statement. Nothing is run."""
        try:
            schema = cursor.adbc_execute_schema(f"{_BEFORE_THE_SQL}{sql}\n) AS model")
        except (adbc.Error, OSError) as failure:
            raise self._fault(failure, sql) from failure
        refuse_repeated_names(schema.names)
        oids = [oid for field in schema if (oid := unnamed_oid(field)) is not None]
        own = _types_of(cursor, oids) if oids else {}
        columns = []
        for field in schema:
            typname, category, native = own.get(unnamed_oid(field), native_name(field))
            columns.append(column_of(field.name, typname, category, native))
        return tuple(columns)

    def _fault(self, failure: Exception, sql: str) -> SourceError:
        words = without_secret(_words(failure), self._secret)
        state = getattr(failure, "sqlstate", None) or ""
        if "statement timeout" in words:
            return SourceError(
                f"The model's SQL took longer than {self._limit_s:g} s and was stopped: {words} Make it faster, or"
                " raise statement_timeout of the source.",
                code="source_timeout",
                limit_s=self._limit_s,
            )
        # In mid-stream there is no state; an ERROR is about the statement, anything else about the connection.
        if state.startswith(("08", "53", "57", "58", "XX")) or not (state or "ERROR:" in str(failure)):
            return SourceError(f"The Postgres source broke off: {words}", code="source_failed", sqlstate=state)
        position = dict(getattr(failure, "details", None) or ()).get(b"PG_DIAG_STATEMENT_POSITION")
        at = int(position) - 1 - len(_BEFORE_THE_SQL) if position else None
        return sql_fault(words, sql, None if at is None else line_at(sql, min(at, len(sql))))


def _rows(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    try:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]
    except (adbc.Error, OSError) as failure:
        raise SourceError(f"The Postgres source broke off: {_words(failure)}", code="source_failed") from failure


def _types_of(cursor: Any, oids: Sequence[int]) -> dict[int | None, tuple[str, str, str]]:
    """Name, category and shown name of types that the driver does not know: enums, ranges, composites, their arrays."""
    listed = ", ".join(map(str, oids))
    found = _rows(
        cursor,
        "SELECT oid::bigint, typname::text, typcategory::text, format_type(oid, NULL)"
        f" FROM pg_type WHERE oid IN ({listed})",
    )
    return {oid: (typname, category, native) for oid, typname, category, native in found}


def _words(failure: BaseException) -> str:
    """The server's own words: its message, and its hint, without the driver's frame and drawing."""
    details = {name: value.decode() for name, value in getattr(failure, "details", None) or ()}
    if message := details.get("PG_DIAG_MESSAGE_PRIMARY"):
        parts = (message, details.get("PG_DIAG_MESSAGE_DETAIL"), details.get("PG_DIAG_MESSAGE_HINT"))
        return " ".join(part.rstrip(".") + "." for part in parts if part)
    text = str(failure).partition("\nQuery was:")[0].partition("\nLINE ")[0]
    for frame in ("ERROR:", "FATAL:", "[libpq]"):
        text = text.rpartition(frame)[2]
    return " ".join(text.split()).rstrip(".") + "."

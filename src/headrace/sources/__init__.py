"""The port that every source meets, and the list of kinds. One file a kind; sources never import each other's kinds.

A source runs the model's SQL read-only and hands out Arrow batches, never all rows in memory.
It proves nothing and changes nothing: keys are proved by the planner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from headrace.domain.columns import Columns
from headrace.domain.errors import NotFound

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Query:
    """What a model asks of its source: SQL text (one SELECT) or a table's name. Exactly one is set.

    `table` may be qualified (`schema.table`). For csv and parquet sources every file of the path is the one table
    `rows`; a model of such a source may leave both out and then reads all of it.
    """

    sql: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view that a source offers. `name` is what `Query.table` takes."""

    name: str
    columns: Columns


class Source(Protocol):
    """One warehouse, database or set of files, opened for reading only.

    Every method raises SourceError (code `source_unreachable`, `sql_error`, `source_timeout`, `source_failed`)
    with the database's own words and, for SQL errors, the line of the user's SQL.
    """

    kind: ClassVar[str]
    speaks_duckdb: ClassVar[bool]
    """True where `read` takes `select`, evaluated by the same DuckDB version that the planner runs,
    and reading twice is cheap: the planner then asks for keys and hashes first and for full rows later."""

    def start_ahead(self) -> None:
        """Begins what takes long before the first answer, if anything does. Nothing is read, nothing raised."""
        ...

    def check(self) -> str:
        """Connects and says in one line what answered (`PostgreSQL 16.4, database shop`)."""
        ...

    def tables(self) -> list[Table]:
        """All tables and views a model may name, ordered by name."""
        ...

    def columns(self, query: Query) -> Columns:
        """Names and types of the query's result, in its order, without reading the rows where that is possible."""
        ...

    def read(
        self,
        query: Query,
        *,
        columns: Sequence[str] | None = None,
        select: str | None = None,
        keys: pa.Table | None = None,
        limit: int | None = None,
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Streams the rows as Arrow record batches, in one consistent read.

        `columns` keeps only those. `select`, where `speaks_duckdb`, is a DuckDB SELECT over a relation named `model`
        (and one named `keys` where `keys` is given) that is run in the source in place of `columns`.
        Leaving the context early stops the query. A read that the source cuts short raises SourceError out of the
        reader or at the end of the context: a truncated read never looks like a shorter table.
        """
        ...


class _Kind(Protocol):
    @classmethod
    def open(cls, settings: Mapping[str, Any], scratch_dir: str) -> Source: ...


SOURCE_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "duckdb": "duckdb_files:DuckdbSource",
        "parquet": "duckdb_files:ParquetSource",
        "csv": "duckdb_files:CsvSource",
        "sqlite": "sqlite:SqliteSource",
        "postgres": "postgres:PostgresSource",
    }
)
"""Every kind of source and where it lives. A kind's module, and its driver, are imported when one is opened."""


def open_source(kind: str, settings: Mapping[str, Any], scratch_dir: str) -> Source:
    """The source of that kind. Nothing is connected or read yet: `check` does that.

    `settings` are plain values with every secret resolved; `scratch_dir` is an existing folder for spilled rows.
    Raises NotFound for an unknown kind and UserError where a needed setting is missing or makes no sense.
    """
    if kind not in SOURCE_KINDS:
        raise NotFound("type of source", kind, list(SOURCE_KINDS))
    module, name = SOURCE_KINDS[kind].split(":")
    chosen: type[_Kind] = getattr(import_module(f"headrace.sources.{module}"), name)
    return chosen.open(settings, scratch_dir)

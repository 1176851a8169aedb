"""DuckDB, Parquet and CSV files. Each statement runs in a locked DuckDB in a process of its own: `duckdb_child`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self
from weakref import finalize

import pyarrow as pa

from headrace.domain.columns import Column, Columns, ColumnType
from headrace.domain.errors import UserError
from headrace.sources import Query, Table
from headrace.sources.files import path_setting, real_file, real_files, seconds_setting
from headrace.sources.isolated import Child
from headrace.sources.spares import Spare, take
from headrace.sources.statements import one_statement
from headrace.sources.streams import guarded_reader

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}
_CPU_GRACE_S = 60


class _DuckdbFiles:
    """What the three kinds share. `files` is asked anew for every statement: a glob may match more files tomorrow."""

    kind: ClassVar[str]
    speaks_duckdb: ClassVar[bool]

    def __init__(self, path: str, *, scratch_dir: str, statement_timeout_s: float, memory_limit: str) -> None:
        self._path = path
        self._scratch_dir = scratch_dir
        self._limit_s = statement_timeout_s
        self._memory_limit = memory_limit
        self._memory_bytes = _bytes_of(memory_limit)
        self._spare: Spare | None = None

    @classmethod
    def open(cls, settings: Mapping[str, Any], scratch_dir: str) -> Self:
        return cls(
            path_setting(cls.kind, settings),
            scratch_dir=scratch_dir,
            statement_timeout_s=seconds_setting(settings),
            memory_limit=str(settings.get("memory_limit") or "1GB"),
        )

    def start_ahead(self) -> None:
        if self._spare is None:
            self._keep(take())

    def _keep(self, spare: Spare) -> None:
        self._spare = spare
        finalize(self, spare.end)

    def check(self) -> str:
        with self._child("check") as child:
            found = child.answer()
        return self._greeting(found["version"], found["tables"])

    def tables(self) -> list[Table]:
        with self._child("tables") as child:
            found = child.answer()
        return [Table(table["name"], _columns(table["columns"])) for table in found]

    def columns(self, query: Query) -> Columns:
        with self._child("columns", query) as child:
            found = _columns(child.answer())
            self._keep(child.release())  # whoever asks for columns usually reads next
            return found

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
        wanted = {"columns": list(columns) if columns is not None else None, "select": select, "limit": limit}
        with self._child("read", query, wanted, keys) as child:
            schema, batches = child.stream()
            with guarded_reader(schema, batches) as reader:
                yield reader

    def _files(self) -> list[str]:
        return real_files(self._path)

    def _catalog(self) -> str:
        return "memory"

    def _greeting(self, version: str, tables: int) -> str:
        files = self._files()
        size = sum(os.path.getsize(file) for file in files) / 1e6
        return f"DuckDB {version} reads {_count(len(files), 'file')}, {size:,.1f} MB"

    def _child(
        self,
        operation: str,
        query: Query | None = None,
        wanted: Mapping[str, Any] | None = None,
        keys: pa.Table | None = None,
    ) -> Child:
        query = query or Query()
        job = {
            "kind": self.kind,
            "operation": operation,
            "files": self._files(),
            "catalog": self._catalog(),
            "sql": one_statement(query.sql) if query.sql is not None else None,
            "table": query.table or "rows",
            "memory_limit": self._memory_limit,
            "memory_bytes": self._memory_bytes,
            "cpu_s": int(self._limit_s) * (os.cpu_count() or 1) + _CPU_GRACE_S,
            "columns": None,
            "select": None,
            "limit": None,
            **(wanted or {}),
        }
        spare, self._spare = self._spare or take(), None
        return Child(spare, job, keys, self._scratch_dir, self._limit_s)


class DuckdbSource(_DuckdbFiles):
    """One DuckDB database file, attached read-only under the name it has when DuckDB itself opens it."""

    kind = "duckdb"
    speaks_duckdb = True

    def _files(self) -> list[str]:
        return [real_file(self._path)]

    def _catalog(self) -> str:
        stem = os.path.basename(self._path).partition(".")[0]
        return stem if stem and stem.casefold() not in ("memory", "system", "temp") else f"{stem}_db"

    def _greeting(self, version: str, tables: int) -> str:
        return f"DuckDB {version}, file {os.path.basename(self._path)}, {_count(tables, 'table')}"


class ParquetSource(_DuckdbFiles):
    """Parquet files, one table: `rows`. Columns of several files are matched by name."""

    kind = "parquet"
    speaks_duckdb = True


class CsvSource(_DuckdbFiles):
    """CSV files, one table: `rows`. Columns of several files are matched by name.

    It does not claim to speak DuckDB: every read parses all files twice, once to prove the types. Keys and hashes
    first and full rows later would be four parses.
    """

    kind = "csv"
    speaks_duckdb = False


def _columns(found: Sequence[Mapping[str, Any]]) -> Columns:
    return tuple(Column(c["name"], ColumnType(c["type"]), c["native"]) for c in found)


def _bytes_of(memory_limit: str) -> int:
    """`512MB` as 512,000,000, `1GiB` as 2^30: DuckDB's own reading. Raises UserError for anything else."""
    found = _MEMORY.fullmatch(memory_limit.strip())
    if not found:
        raise UserError(
            f'memory_limit is "{memory_limit}"; write a size such as 512MB or 2GB.',
            code="setting_invalid",
            setting="memory_limit",
        )
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].upper()])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

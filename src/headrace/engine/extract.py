"""From a source to DuckDB: the model's rows, cast to their declared types, keyed and hashed.

In: a source, a query, the columns that the mapping reads. Out: a temporary table. It streams; it never holds all rows
in Python; and a read that was cut short raises, it never looks like a shorter table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from headrace.domain.columns import Column, Columns, column_named
from headrace.domain.errors import Bug, HeadraceError, UserError, WorldError
from headrace.engine.ledger import Kept, Shape
from headrace.engine.sqltext import bucket_of, declared_type, declared_value, digest_of, hash_of, key_type, key_value
from headrace.sources import Query, Source

if TYPE_CHECKING:
    import pyarrow as pa

Counted = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Extraction:
    """What to read: the model's query, its key columns, the mapped columns by name, the match column if any."""

    query: Query
    key: Columns
    mapped: Columns
    match: Column | None
    folds_match: bool = False
    """Whether the destination compares match values without case and surrounding blanks."""

    @property
    def match_is_key(self) -> bool:
        if self.match is None:
            return True
        return not self.folds_match and len(self.key) == 1 and self.key[0].name == self.match.name

    def compared(self, match: str) -> str:
        """SQL of a match value as the destination compares it."""
        return f"lower(trim({match}))" if self.folds_match else match

    @property
    def needed(self) -> list[str]:
        return list(dict.fromkeys([one.name for one in self.columns]))

    @property
    def columns(self) -> Columns:
        """Every column that is read; some stand there twice."""
        return (*self.key, *self.mapped, *([self.match] if self.match else ()))


def prove_columns(columns: Columns, names: Sequence[str]) -> Columns:
    """The named columns. Raises UserError `column_missing` for the first that is not there."""
    found = []
    for name in names:
        column = column_named(columns, name)
        if column is None:
            there = ", ".join(one.name for one in columns)
            message = f'The model has no column "{name}" any more. It has: {there}. '
            raise UserError(message + "Bring it back, or map another.", code="column_missing", column=name)
        found.append(column)
    return tuple(found)


class Extractor:
    """Reads one model for one plan into `con`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, source: Source, wanted: Extraction, counted: Counted) -> None:
        self._con = con
        self._source = source
        self._wanted = wanted
        self._counted = counted
        self._arriving: dict[str, str] = {one.name: one.native.upper() for one in wanted.columns}
        self.staged_whole = False

    @property
    def pushes_down(self) -> bool:
        return self._source.speaks_duckdb

    def shape(self) -> Shape:
        """The schema that this read has in the ledger. Final once something was read."""
        ordered = sorted(self._wanted.mapped, key=lambda one: one.name)
        kept = tuple(Kept(one.name, declared_type(one, self._arriving[one.name])) for one in ordered)
        return Shape(key_type(self._wanted.key, self._key_kinds()), kept)

    def _key_kinds(self) -> list[str]:
        return [self._arriving[one.name] for one in self._wanted.key]

    def _expressions(self) -> list[str]:
        return [declared_value(one, self._arriving[one.name]) for one in self._ordered()]

    def _ordered(self) -> list[Column]:
        return sorted(self._wanted.mapped, key=lambda one: one.name)

    def _select(self, kind: str, *, whole: bool, relation: str = "model") -> str:
        """Key, hash, match and, where `whole`, every kept column, over `relation`."""
        parts = [f"{key_value(self._wanted.key, self._key_kinds(), kind)} AS key"]
        parts.append(f"{hash_of(self._expressions())} AS hash")
        if (column := self._wanted.match) is not None and not self._wanted.match_is_key:
            match = declared_value(column, self._arriving[column.name])
            parts.append(f"CAST({match} AS VARCHAR) AS match")
        if whole:
            pairs = zip(self._expressions(), self.shape().columns, strict=True)
            parts += [f"{expression} AS {kept.ident}" for expression, kept in pairs]
        return f"SELECT {', '.join(parts)} FROM {relation}"

    def stage(self, kind: str, *, whole: bool) -> int:
        """Fills the temporary table `current` (key, hash, match, and the kept columns where whole). Returns the rows.

        A source that does not speak DuckDB is read once, whole. `kind` is the key's type.
        """
        if self.pushes_down:
            rows, _ = self._pour("current", "SELECT * FROM arriving", select=self._select(kind, whole=whole))
            self.staged_whole = whole
            return rows
        self.staged_whole = True
        return self._pour("current", None, columns=self._wanted.needed, key_kind=kind)[0]

    def digest(self, kind: str) -> int:
        """Fills `digests` (bucket, rows, digest) with those of the present rows; rows without key have no bucket."""
        # hash(NULL) is a number like any other.
        bucket = f"CASE WHEN key IS NOT NULL THEN {bucket_of('key')} END"
        select = (
            f"SELECT {bucket} AS bucket, count(*) AS rows, {digest_of('key', 'hash')} AS digest "
            f"FROM ({self._select(kind, whole=False)}) AS hashed GROUP BY bucket"
        )
        return self._pour("digests", "SELECT * FROM arriving", select=select)[0]

    def stream(self, kind: str, table: str, into: str, buckets: str | None = None) -> tuple[int, int]:
        """Fills `table` by the query `into` over the relation `arriving` (key, hash), which is read as it comes.

        `buckets` is a query of the only buckets wanted. Returns how many rows came, and how many without a key.
        """
        select = self._select(kind, whole=False)
        if buckets is None:
            return self._pour(table, into, select=select, nulls_of="key")
        wanted = self._con.sql(buckets).to_arrow_table()
        select = f"SELECT * FROM ({select}) AS hashed WHERE {bucket_of('key')} IN (SELECT bucket FROM keys)"
        return self._pour(table, into, select=f"{select} AND key IS NOT NULL", keys=wanted)

    def fetch(self, kind: str, keys: str) -> int:
        """Fills `fresh` (as `current`, whole) with the rows whose keys the query `keys` gives, by a second read."""
        if not self.pushes_down:
            raise Bug("a source that can't be asked twice was asked twice")
        wanted = self._con.sql(keys).to_arrow_table()
        inner = self._select(kind, whole=True)
        select = f"SELECT * FROM ({inner}) AS whole WHERE key IN (SELECT key FROM keys)"
        return self._pour("fresh", "SELECT * FROM arriving", select=select, keys=wanted)[0]

    def _pour(
        self,
        table: str,
        into: str | None,
        *,
        select: str | None = None,
        columns: Sequence[str] | None = None,
        keys: pa.Table | None = None,
        key_kind: str = "",
        nulls_of: str | None = None,
    ) -> tuple[int, int]:
        with self._source.read(self._wanted.query, columns=columns, select=select, keys=keys) as reader:
            counting = _Counting(reader, self._counted, nulls_of)
            self._con.register("arriving", counting.reader())
            try:
                if into is None:
                    into = self._learn_and_select(key_kind)
                self._con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {into}")
            except duckdb.OutOfMemoryException as error:
                message = f"The comparison needs more memory than it may take: {str(error).splitlines()[0]} "
                message += "Raise HEADRACE_MEMORY_LIMIT, or free disk space for temporary files."
                raise WorldError(message, code="out_of_memory") from error
            except duckdb.Error as error:
                if counting.error is not None:
                    raise counting.error from error
                message = f"The rows could not be compared: {str(error).splitlines()[0]}"
                raise WorldError(message, code="source_failed") from error
            finally:
                self._con.unregister("arriving")
            if counting.error is not None:
                raise counting.error
        return counting.rows, counting.nulls

    def _learn_and_select(self, kind: str) -> str:
        """What arrives says its own types; the declared ones follow from them."""
        for name, arriving, *_ in self._con.execute("DESCRIBE SELECT * FROM arriving").fetchall():
            self._arriving[name] = arriving
        final = kind if kind == "VARCHAR" else self.shape().key_type
        return self._select(final, whole=True, relation="arriving")


class _Counting:
    """Counts rows as they pass and keeps the source's own error, which DuckDB would wrap in its words."""

    def __init__(self, reader: pa.RecordBatchReader, counted: Counted, nulls_of: str | None) -> None:
        self._reader = reader
        self._counted = counted
        self._nulls_of = nulls_of
        self.rows = 0
        self.nulls = 0
        self.error: HeadraceError | None = None

    def reader(self) -> Any:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._reader.schema, self._pass())

    def _pass(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._reader:
                self.rows += batch.num_rows
                if self._nulls_of is not None:
                    self.nulls += batch.column(self._nulls_of).null_count
                self._counted(self.rows)
                yield batch
        except HeadraceError as error:
            self.error = error
            raise

"""A finished plan, to be read by its two readers: what has work to do, row by row, and what can't be used at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import duckdb

from headrace.domain.outcome import Change, Counts, RowFault
from headrace.domain.plan import Hold, PlannedRow
from headrace.engine.ledger import Shape, connect, one_value
from headrace.engine.sqltext import literal, quoted

BATCH = 2000
READING_MB = 128
_REMOVED_KEYS = "SELECT CAST(key AS VARCHAR) AS key FROM planned.rows WHERE change = 'removed' OR replaces"


@dataclass(slots=True)
class Plan:
    """A finished plan. `rows` iterates what has work to do; `invalid` the rows that have no usable primary key."""

    counts: Counts
    to_send: int
    hold: Hold | None
    notes: tuple[str, ...]
    must_fold: bool
    shape: Shape
    mapping_changed: int
    _con: duckdb.DuckDBPyConnection | None = None
    _order: tuple[str, ...] = field(default_factory=tuple)

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the columns that `values` and `old` of a row hold, in that order."""
        return self._order

    def read_from(self, path: str, temp_directory: str) -> None:
        """Reads from the plan's file from now on, over a connection that takes little memory."""
        self._con = connect(READING_MB, temp_directory, threads=1)
        self._con.execute(f"ATTACH {literal(path)} AS planned (READ_ONLY)")

    def rows(self, change: Change | None = None, limit: int | None = None, *, old: bool = True) -> Iterator[PlannedRow]:
        """The planned rows, in the order of their positions where only some are asked for.

        Without `old`, rows do not carry what they were.
        """
        assert self._con is not None
        names = [f"c:{name}" for name in self._order]
        if old:
            names += [f"o:{name}" for name in self._order]
        values = ", ".join(quoted(name) for name in names)
        where = f"WHERE change = {literal(change.value)}" if change else ""
        tail = f"ORDER BY rowid LIMIT {limit}" if limit is not None else ""
        end = 10 + len(self._order)
        cursor = self._con.cursor()
        try:
            cursor.execute(
                "SELECT rowid, CAST(key AS VARCHAR), change, known, old_match, generation, hash, parents_changed, "
                f"reason, fault, {values} FROM planned.rows {where} {tail}"
            )
            while batch := cursor.fetchmany(BATCH):
                # By place and in place, for speed: a first sync makes one of these for every row there is.
                for row in batch:
                    position, key, change, known, old_match, generation, row_hash, moved, reason, fault = row[:10]
                    yield PlannedRow(
                        position,
                        key,
                        _CHANGES[change],
                        None if change == "removed" else row[10:end],
                        row[end:] or None if known else None,
                        old_match,
                        generation,
                        row_hash,
                        moved,
                        reason,
                        _FAULTS[fault] if fault else None,
                    )
        finally:
            cursor.close()

    def invalid(self) -> Iterator[Sequence[tuple[str, str, int]]]:
        """Batches of (key, code, copies) of rows without a usable primary key."""
        assert self._con is not None
        cursor = self._con.cursor()
        try:
            cursor.execute("SELECT key, code, copies FROM planned.invalid ORDER BY key")
            while batch := cursor.fetchmany(BATCH):
                yield batch
        finally:
            cursor.close()

    def planned_by_change(self) -> dict[str, int]:
        """How many planned rows there are of each change."""
        assert self._con is not None
        return dict(self._con.execute("SELECT change, count(*) FROM planned.rows GROUP BY change").fetchall())

    def match_values(self, change: Change) -> list[str]:
        """The match values of the rows with that change, as text; blank ones left out."""
        match = quoted(f"c:{self._order[0]}")
        return self._texts(
            f"SELECT CAST({match} AS VARCHAR) FROM planned.rows WHERE change = {literal(change.value)} "
            f"AND trim(CAST({match} AS VARCHAR)) <> ''"
        )

    def distinct(self, column: str) -> list[str]:
        """The different values of a column that the plan would send as parents, as text."""
        name = f"CAST({quoted(f'c:{column}')} AS VARCHAR)"
        return self._texts(
            f"SELECT DISTINCT {name} FROM planned.rows WHERE parents_changed AND change <> 'removed' "
            f"AND trim({name}) <> '' AND NOT starts_with(trim({name}), '[')"
        )

    def _texts(self, sql: str) -> list[str]:
        assert self._con is not None
        return [row[0] for row in self._con.execute(sql).fetchall()]

    def keep_removals(self, path: str) -> None:
        """Writes the keys that would be removed, so that an approval is bound to them."""
        assert self._con is not None
        self._con.execute(f"COPY ({_REMOVED_KEYS}) TO {literal(path)} (FORMAT parquet)")

    def removals_not_in(self, path: str) -> int:
        """How many keys would be removed that are not in the file of a held plan; all of them where it is gone."""
        assert self._con is not None
        sql = f"SELECT count(*) FROM ({_REMOVED_KEYS}) WHERE key NOT IN (SELECT key FROM read_parquet({literal(path)}))"
        try:
            return int(one_value(self._con, sql))
        except duckdb.IOException:
            return int(one_value(self._con, f"SELECT count(*) FROM ({_REMOVED_KEYS})"))

    def close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None


_CHANGES = {str(change): change for change in Change}
_FAULTS = {
    "match_value_duplicate": RowFault(
        "match_value_duplicate",
        "Another row has the same match value, so both would write to one record. Neither is sent. "
        "Make the match column unique in the model.",
    ),
}

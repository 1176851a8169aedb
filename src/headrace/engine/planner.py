"""The plan of a run: current rows against the ledger, in the SQL engine, by row hash.

In: a source, a compiled mapping, a ledger. Out: counts, and a plan's file with one row for each row that has work to
do, durable before the first request goes. It sends nothing and does not touch the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import duckdb
import orjson

from headrace.domain.config import Guard
from headrace.domain.errors import WorldError
from headrace.domain.mapping import Mapping
from headrace.domain.outcome import Change, Counts, RowFault
from headrace.domain.plan import Hold, PlannedRow, check_guard
from headrace.domain.spec import RemovedRule
from headrace.engine.extract import Counted, Extraction, Extractor
from headrace.engine.ledger import Ledger, Shape, State, connect, one_value
from headrace.engine.sqltext import literal, quoted
from headrace.sources import Source

BATCH = 2000
NO_SKIP = ""
_REMOVED_KEYS = (
    "SELECT CAST(key AS VARCHAR) AS key FROM planned.rows "
    "WHERE change = 'removed' OR (change = 'changed' AND match IS DISTINCT FROM old_match AND match IS NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a plan is made under. `skip_code` is the code that rows are skipped with in the sync's mode, if any."""

    removed: RemovedRule
    guard: Guard
    recheck_skipped_after: timedelta
    skip_code: str | None
    full_resync: bool = False
    keys: tuple[str, ...] | None = None
    reason: str | None = None


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

    def rows(self, change: Change | None = None, limit: int | None = None, *, old: bool = True) -> Iterator[PlannedRow]:
        """The planned rows in the order of their positions. Without `old`, rows do not carry what they were."""
        assert self._con is not None
        names = [f"c:{name}" for name in self._order]
        if old:
            names += [f"o:{name}" for name in self._order]
        values = ", ".join(quoted(name) for name in names)
        where = f"WHERE change = {literal(change.value)}" if change else ""
        tail = f"LIMIT {limit}" if limit is not None else ""
        count = len(self._order)
        cursor = self._con.cursor()
        try:
            cursor.execute(
                "SELECT position, CAST(key AS VARCHAR), change, known, old_match, generation, parents_changed, reason, "
                f"fault, {values} FROM planned.rows {where} ORDER BY position {tail}"
            )
            while batch := cursor.fetchmany(BATCH):
                for row in batch:
                    yield _planned_row(row, count)
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


def _planned_row(row: tuple[Any, ...], count: int) -> PlannedRow:
    position, key, change, known, old_match, generation, parents_changed, reason, fault = row[:9]
    removed = change == "removed"
    return PlannedRow(
        position=position,
        key=key,
        change=_CHANGES[change],
        values=None if removed else row[9 : 9 + count],
        old=row[9 + count :] or None if known else None,
        old_match=old_match,
        generation=generation,
        parents_changed=parents_changed,
        reason=reason,
        fault=_FAULTS[fault] if fault else None,
    )


_CHANGES = {str(change): change for change in Change}
_FAULTS = {
    "match_value_duplicate": RowFault(
        "match_value_duplicate",
        "Another row has the same match value, so both would write to one record. Neither is sent. "
        "Make the match column unique in the model.",
    ),
}


class Planner:
    """Makes one plan. Use as a context; the plan's rows can be read until it is closed."""

    def __init__(
        self,
        source: Source,
        extraction: Extraction,
        mapping: Mapping,
        ledger_path: str,
        options: PlanOptions,
        *,
        memory_limit_mb: int,
        temp_directory: str,
        counted: Counted = lambda _rows: None,
    ) -> None:
        self._mapping = mapping
        self._extraction = extraction
        self._options = options
        self._con = connect(memory_limit_mb, temp_directory)
        self._ledger = Ledger(self._con, ledger_path)
        self._extractor = Extractor(self._con, source, extraction, counted)
        self._fingerprint = int(mapping.fingerprint, 16)
        self._order = tuple(column.name for column in mapping.columns)

    def make(self, run_id: int, planned_path: str | None, *, baseline: bool = False) -> Plan:
        """Reads, compares and writes the plan: to `planned_path`, durable, or to memory where that is None.

        Raises SourceError and WorldError; nothing has changed then.
        """
        try:
            return self._make(run_id, planned_path, baseline=baseline)
        except duckdb.InterruptException as error:
            self._con.close()
            raise WorldError("The comparison was interrupted.", code="interrupted") from error
        except BaseException:
            self._con.close()
            raise

    def interrupt(self) -> None:
        """Stops the comparison from another thread; `make` then raises WorldError `interrupted`."""
        self._con.interrupt()

    def _make(self, run_id: int, planned_path: str | None, *, baseline: bool) -> Plan:
        con, ledger = self._con, self._ledger
        ledger.attach()
        key_kind = ledger.shape.key_type if ledger.shape else self._extractor.shape().key_type
        if self._extractor.shape().key_type == "VARCHAR":
            key_kind = "VARCHAR"
        whole = ledger.shape is None or self._options.full_resync or baseline or self._mapping_is_new()
        rows = self._extractor.stage(key_kind, whole=whole)
        shape = self._extractor.shape()
        shape = Shape("VARCHAR" if key_kind == "VARCHAR" else shape.key_type, shape.columns)
        self._compare(shape)
        duplicates = self._take_out_unusable(rows)
        counts = self._count(rows, duplicates)
        self._choose(counts)
        values = self._bring_values(shape)
        path = literal(planned_path) if planned_path else "':memory:'"
        con.execute(f"ATTACH {path} AS planned")
        self._write_plan(shape, values, run_id, baseline=baseline)
        plan = self._finish(counts, shape)
        ledger.detach()
        for table in ("current", "delta", "fresh", "work"):
            con.execute(f"DROP TABLE IF EXISTS {table}")
        if planned_path:
            con.execute("CHECKPOINT planned")
        return plan

    def _mapping_is_new(self) -> bool:
        """Whether the ledger was last written under another mapping, so that about every row will be sent."""
        return (
            self._one(f"SELECT count(*) FROM (SELECT 1 FROM ledger.rows WHERE mapping <> {self._fingerprint} LIMIT 1)")
            > 0
        )

    def _compare(self, shape: Shape) -> None:
        """`delta`: every key that is not plainly unchanged, with both hashes and what the ledger knows."""
        if self._ledger.shape is None:
            self._con.execute(Shape(shape.key_type, ()).create("ledger.rows"))
        key = f"CAST(l.key AS {shape.key_type})"
        old_hash = self._ledger.hash_expression(shape)
        match = "c.match" if not self._extraction.match_is_key else "CAST(NULL AS VARCHAR)"
        unchanged = f"c.hash = {old_hash} AND l.mapping = {self._fingerprint} AND l.state = {State.DELIVERED:d}"
        if self._options.full_resync:
            unchanged = "false"
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE delta AS SELECT coalesce(c.key, {key}) AS key, c.key IS NULL AS gone, "
            f"l.key IS NULL AS new, c.hash AS hash, {match} AS match, {old_hash} AS old_hash, "
            "l.mapping AS mapping, l.state AS state, coalesce(l.match, CAST(l.key AS VARCHAR)) AS old_match, "
            "l.generation AS generation, l.intended AS intended, l.code AS code, l.skipped_at AS skipped_at "
            f"FROM (SELECT * FROM current WHERE key IS NOT NULL) c FULL OUTER JOIN ledger.rows l ON c.key = {key} "
            f"WHERE ({unchanged}) IS DISTINCT FROM true"
        )

    def _take_out_unusable(self, rows: int) -> int:
        """Null and duplicate primary keys leave `delta` for `unusable`. Returns how many rows have one.

        The ledger's keys are unique. So the pairs of the join prove whether the current ones are, unless they are new:
        grouping all rows would cost more than the whole comparison.
        """
        con = self._con
        nulls = self._one("SELECT count(*) FROM current WHERE key IS NULL")
        new = self._one("SELECT count(*) FROM delta WHERE new")
        gone = self._one("SELECT count(*) FROM delta WHERE gone")
        pairs = rows - nulls - new
        repeated = pairs > self._ledger.rows - gone
        con.execute(
            "CREATE OR REPLACE TEMP TABLE unusable AS SELECT CAST(key AS VARCHAR) AS key, "
            "'primary_key_duplicate' AS code, count(*) AS copies FROM "
            f"{'(SELECT key FROM current WHERE key IS NOT NULL)' if repeated else '(SELECT key FROM delta WHERE new)'} "
            "GROUP BY key HAVING count(*) > 1"
        )
        duplicates = self._one("SELECT coalesce(sum(copies), 0) FROM unusable")
        if duplicates:
            con.execute("DELETE FROM delta WHERE CAST(key AS VARCHAR) IN (SELECT key FROM unusable)")
        if nulls:
            con.execute("INSERT INTO unusable VALUES ('', 'primary_key_null', ?)", [nulls])
        return int(nulls + duplicates)

    def _count(self, rows: int, unusable: int) -> Counts:
        """Sorts `delta` into `change` and counts. What is not in it is unchanged."""
        skipped = f"({State.SKIPPED_NEW:d}, {State.SKIPPED_KNOWN:d})"
        seconds = int(self._options.recheck_skipped_after.total_seconds())
        due = (
            f"(code IS DISTINCT FROM {literal(self._options.skip_code or NO_SKIP)} "
            f"OR skipped_at + INTERVAL {seconds} SECOND <= make_timestamp(epoch_us(now())))"
        )
        same = f"(hash = old_hash AND mapping = {self._fingerprint})"
        if self._options.full_resync:
            same = "false"
        known = f"state IN ({State.DELIVERED:d}, {State.SKIPPED_KNOWN:d}, {State.GONE:d})"
        self._con.execute("ALTER TABLE delta ADD COLUMN change VARCHAR")
        self._con.execute(
            "UPDATE delta SET change = CASE "
            f"WHEN gone AND state = {State.DELIVERED:d} THEN 'removed' "
            "WHEN gone THEN 'left' "
            f"WHEN {same} AND state = {State.GONE:d} THEN 'back' "
            f"WHEN {same} AND state IN {skipped} AND NOT {due} THEN 'same' "
            f"WHEN {known} THEN 'changed' ELSE 'added' END"
        )
        found = dict(self._con.execute("SELECT change, count(*) FROM delta GROUP BY change").fetchall())
        counts = Counts(rows=rows, invalid=unusable)
        counts.added, counts.changed = found.get("added", 0), found.get("changed", 0)
        counts.removed = found.get("removed", 0)
        counts.unchanged = rows - unusable - counts.added - counts.changed
        return counts

    def _choose(self, counts: Counts) -> None:
        """`work`: the keys that get an operation. No removal of a match value that lives on in a current row."""
        con, options = self._con, self._options
        where = "change IN ('added', 'changed')"
        if options.removed != "ignore":
            where += " OR change = 'removed'"
        con.execute(f"CREATE OR REPLACE TEMP TABLE work AS SELECT * FROM delta WHERE {where}")
        if options.keys is not None:
            con.register("chosen", _arrow_of("key", options.keys))
            con.execute("DELETE FROM work WHERE CAST(key AS VARCHAR) NOT IN (SELECT key FROM chosen)")
            con.unregister("chosen")
        lives_on = "CAST(key AS VARCHAR)" if self._extraction.match_is_key else "match"
        con.execute(
            "CREATE OR REPLACE TEMP TABLE moved AS SELECT key FROM work WHERE change = 'removed' AND old_match IN "
            f"(SELECT {lives_on} FROM current)"
        )
        con.execute("DELETE FROM work WHERE change = 'removed' AND key IN (SELECT key FROM moved)")

    def _bring_values(self, shape: Shape) -> str:
        """The table that holds the present values of the work: `current`, or `fresh` from a second read."""
        if self._extractor.staged_whole:
            return "current"
        wanted = "SELECT key FROM work WHERE change <> 'removed'"
        if self._one(f"SELECT count(*) FROM ({wanted})") == 0:
            self._con.execute(
                Shape(shape.key_type, shape.columns).create("fresh_shape").replace("CREATE TABLE", "CREATE TEMP TABLE")
            )
            return "fresh_shape"
        self._extractor.fetch(shape.key_type, wanted)
        return "fresh"

    def _write_plan(self, shape: Shape, values: str, run_id: int, *, baseline: bool) -> None:
        con, ledger = self._con, self._ledger
        match_is_key = self._extraction.match_is_key
        same_columns = {one.name for one in ledger.shape.columns} if ledger.shape else set()
        kept = "".join(f", v.{one.ident} AS {one.ident}" for one in shape.columns)
        kept += "".join(f", {ledger.cast(one)} AS {quoted(f'o:{one.name}')}" for one in shape.columns)
        parents = [one for one in shape.columns if one.name in self._mapping.parent_columns]
        differs = [f"v.{one.ident} IS DISTINCT FROM {ledger.cast(one)}" for one in parents if one.name in same_columns]
        moved = " OR ".join(differs) if len(differs) == len(parents) else "true"
        mapping_same = f"w.mapping = {self._fingerprint}"
        parents_changed = f"coalesce(w.change <> 'changed' OR NOT {mapping_same} OR {moved or 'false'}, true)"
        generation = "coalesce(w.generation, 0)"
        hash_ = "coalesce(v.hash, w.hash)"
        intended = f"CASE WHEN w.change = 'removed' THEN 0 ELSE xor({hash_}, {self._fingerprint}::UBIGINT) END"
        reason = f"CASE WHEN w.change = 'changed' AND NOT ({mapping_same}) THEN 'mapping changed' END"
        again = "false"
        if self._options.full_resync:
            again, parents_changed = "true", "true"
            reason = "'full resync'"
        match = "CAST(NULL AS VARCHAR)" if match_is_key else "v.match"
        con.execute(
            "CREATE TABLE planned.rows AS SELECT row_number() OVER () - 1 AS position, w.key AS key, "
            "w.change AS change, w.change IN ('changed', 'removed') AS known, w.old_match AS old_match, "
            f"{hash_} AS hash, {match} AS match, "
            f"CAST(CASE WHEN {again} OR w.intended IS DISTINCT FROM {intended} THEN {generation} + 1 "
            f"ELSE {generation} END AS INTEGER) AS generation, {intended} AS intended, "
            f"{parents_changed} AS parents_changed, {reason} AS reason, CAST(NULL AS VARCHAR) AS fault{kept} "
            f"FROM work w LEFT JOIN {values} v ON v.key = w.key "
            f"LEFT JOIN ledger.rows l ON CAST(l.key AS {shape.key_type}) = w.key "
            "WHERE w.change = 'removed' OR v.key IS NOT NULL"
        )
        if not match_is_key:
            con.execute(
                "UPDATE planned.rows SET fault = 'match_value_duplicate' WHERE change <> 'removed' AND match IN ("
                "SELECT match FROM current WHERE match IN (SELECT match FROM planned.rows WHERE change <> 'removed') "
                "GROUP BY match HAVING count(*) > 1)"
            )
        con.execute("CREATE TABLE planned.invalid AS SELECT key, code, copies FROM unusable")
        ignored = "change = 'removed'" if self._options.removed == "ignore" else "false"
        con.execute(
            f"CREATE TABLE planned.gone AS SELECT CAST(key AS VARCHAR) AS key FROM delta WHERE {ignored} "
            "UNION SELECT CAST(key AS VARCHAR) FROM moved"
        )
        con.execute("CREATE TABLE planned.back AS SELECT CAST(key AS VARCHAR) AS key FROM delta WHERE change = 'back'")
        document = orjson.dumps(
            {
                "key_type": shape.key_type,
                "columns": [(one.name, one.type) for one in shape.columns],
                "baseline": baseline,
            }
        ).decode()
        con.execute("CREATE TABLE planned.plan (run_id BIGINT, mapping UBIGINT, document VARCHAR)")
        con.execute("INSERT INTO planned.plan VALUES (?, ?, ?)", [run_id, self._fingerprint, document])

    def _finish(self, counts: Counts, shape: Shape) -> Plan:
        options = self._options
        to_send = self._one("SELECT count(*) FROM planned.rows")
        removals = self._one("SELECT count(*) FROM planned.rows WHERE change = 'removed'")
        replaced = 0
        if not self._extraction.match_is_key and options.removed != "ignore":
            replaced = self._one(
                "SELECT count(*) FROM planned.rows WHERE change = 'changed' AND match IS DISTINCT FROM old_match"
            )
        known = self._one(f"SELECT count(*) FROM ledger.rows WHERE state = {State.DELIVERED:d}")
        hold = check_guard(options.removed, removals + replaced, known, counts.rows, options.guard)
        mapping_changed = self._one("SELECT count(*) FROM planned.rows WHERE reason = 'mapping changed'")
        silent = self._one("SELECT (SELECT count(*) FROM planned.gone) + (SELECT count(*) FROM planned.back)")
        notes = []
        if mapping_changed:
            notes.append(
                f"The mapping changed since these rows were delivered: {mapping_changed:,} rows are sent again."
            )
        if counts.rows == 0:
            notes.append("The model returned no rows.")
        if counts.invalid:
            notes.append(f"{counts.invalid:,} rows have a null or repeated primary key and are not sent.")
        return Plan(
            counts=counts,
            to_send=to_send,
            hold=hold,
            notes=tuple(notes),
            must_fold=bool(to_send or silent or self._ledger.needs_rewrite(shape)),
            shape=shape,
            mapping_changed=mapping_changed,
            _con=self._con,
            _order=self._order,
        )

    def _one(self, sql: str) -> int:
        return int(one_value(self._con, sql))


def _arrow_of(name: str, values: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.table({name: pa.array(list(values), pa.string())})

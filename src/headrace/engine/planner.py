"""The plan of a run: current rows against the ledger, in the SQL engine, by row hash.

In: a source, a compiled mapping, a ledger. Out: counts, and a plan's file with one row for each row that has work to
do, durable before the first request goes. It sends nothing and does not touch the ledger.
"""

from __future__ import annotations

import os
from contextlib import suppress

import duckdb
import orjson

from headrace.domain.errors import WorldError
from headrace.domain.mapping import Mapping
from headrace.domain.outcome import Counts
from headrace.domain.plan import check_guard
from headrace.engine.compare import Comparison, PlanOptions
from headrace.engine.extract import Counted, Extraction, Extractor
from headrace.engine.ledger import REMOVAL, Ledger, Shape, State, connect, one_value, remove_database
from headrace.engine.planned import Plan
from headrace.engine.sqltext import literal, quoted
from headrace.sources import Source


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
        self._temp_directory = temp_directory
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
        with suppress(duckdb.Error):  # it has just ended
            self._con.interrupt()

    def _make(self, run_id: int, planned_path: str | None, *, baseline: bool) -> Plan:
        con, ledger = self._con, self._ledger
        ledger.attach()
        comparison = Comparison(con, self._extractor, self._extraction, ledger, self._options, self._fingerprint)
        counts = comparison.run(baseline=baseline)
        shape = comparison.shape
        # A plan's file has its name only once it is whole: what a crash left half written is never folded.
        unfinished = f"{planned_path}.part" if planned_path else ":memory:"
        remove_database(unfinished)
        con.execute(f"ATTACH {literal(unfinished)} AS planned")
        self._write_plan(comparison, run_id, baseline=baseline)
        self._leave_out_vanished(counts)
        plan = self._finish(counts, shape, baseline=baseline)
        ledger.detach()
        if planned_path:
            con.execute("CHECKPOINT planned")
            # What the comparison took is given back before the first request: sending needs none of it.
            con.close()
            os.replace(unfinished, planned_path)
            plan.read_from(planned_path, self._temp_directory)
        return plan

    def _write_plan(self, comparison: Comparison, run_id: int, *, baseline: bool) -> None:
        con, ledger = self._con, self._ledger
        shape, values = comparison.shape, comparison.present()
        match_is_key = self._extraction.match_is_key
        same_columns = {one.name for one in ledger.shape.columns} if ledger.shape else set()
        v = "w" if comparison.nothing_known else "v"
        kept = "".join(f", {v}.{one.ident} AS {one.ident}" for one in shape.columns)
        kept += "".join(f", {ledger.cast(one)} AS {quoted(f'o:{one.name}')}" for one in shape.columns)
        parents = [one for one in shape.columns if one.name in self._mapping.parent_columns]
        differs = [
            f"{v}.{one.ident} IS DISTINCT FROM {ledger.cast(one)}" for one in parents if one.name in same_columns
        ]
        moved = " OR ".join(differs) if len(differs) == len(parents) else "true"
        mapping_same = f"w.mapping = {self._fingerprint}"
        # What a skipped row holds was never delivered, so it says nothing of the parents the record has.
        same = f"{mapping_same} AND w.state <> {State.SKIPPED_KNOWN:d}"
        # What was sent last may have changed the parents, whatever was acknowledged before.
        same = f"{same} AND w.settled"
        parents_changed = f"coalesce(w.change <> 'changed' OR NOT ({same}) OR {moved or 'false'}, true)"
        generation = "coalesce(w.generation, 0)"
        hash_ = f"{v}.hash"
        intended = f"CASE WHEN w.change = 'removed' THEN {REMOVAL} ELSE xor({hash_}, {self._fingerprint}::UBIGINT) END"
        reason = (
            f"CASE WHEN w.change = 'changed' AND NOT ({mapping_same}) THEN 'mapping changed' "
            "WHEN w.change = 'changed' AND NOT w.settled THEN 'the last change was not acknowledged' END"
        )
        again = "false"
        if self._options.full_resync:
            again, parents_changed = "true", "true"
            reason = "'full resync'"
        match = "CAST(NULL AS VARCHAR)" if match_is_key else f"{v}.match"
        # A row's position is its rowid: nothing is ever deleted here, and numbering would hold all rows in memory.
        # Rows that are there are joined by the narrow side, so that no table of whole rows is built in memory.
        present = f"work w JOIN {values} v ON v.key = w.key AND w.change <> 'removed'"
        removed = f"work w LEFT JOIN (SELECT * FROM {values} WHERE false) v ON v.key = w.key"
        planned = (
            "w.key AS key, w.change AS change, w.change IN ('changed', 'removed') AS known, w.old_match AS old_match, "
            f"{hash_} AS hash, {match} AS match, "
            f"CAST(CASE WHEN {again} OR w.intended IS DISTINCT FROM {intended} THEN {generation} + 1 "
            f"ELSE {generation} END AS INTEGER) AS generation, {intended} AS intended, "
            f"{parents_changed} AS parents_changed, {reason} AS reason, CAST(NULL AS VARCHAR) AS fault, "
            f"false AS replaces{kept}"
        )
        known = f"LEFT JOIN ledger.rows l ON CAST(l.key AS {shape.key_type}) = w.key"
        removed = f" UNION ALL SELECT {planned} FROM {removed} {known} WHERE w.change = 'removed'"
        if comparison.nothing_known:
            present, removed = "work w", ""
        con.execute(f"CREATE TABLE planned.rows AS SELECT {planned} FROM {present} {known}{removed}")
        if not match_is_key:
            match = self._extraction.compared("match")
            con.execute(
                f"UPDATE planned.rows SET fault = 'match_value_duplicate' WHERE change <> 'removed' AND {match} IN ("
                f"SELECT {match} FROM current WHERE {match} IN ("
                f"SELECT {match} FROM planned.rows WHERE change <> 'removed') GROUP BY {match} HAVING count(*) > 1)"
            )
        if not match_is_key or comparison.has_other_matches():
            self._mark_replaced()
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

    def _leave_out_vanished(self, counts: Counts) -> None:
        """Rows that were gone, or no longer alone, when their values were read: the next run sees them as they are."""
        for change in ("added", "changed"):
            wanted = self._one(f"SELECT count(*) FROM work WHERE change = '{change}'")
            lost = wanted - self._one(f"SELECT count(*) FROM planned.rows WHERE change = '{change}'")
            setattr(counts, change, getattr(counts, change) - lost)
            counts.rows -= lost

    def _mark_replaced(self) -> None:
        """Rows whose old record is to be removed, since their match value is another now."""
        present = "CAST(key AS VARCHAR)" if self._extraction.match_is_key else "match"
        now, before = self._extraction.compared(present), self._extraction.compared("old_match")
        # A match value that lives on, in this row as the destination compares it or in another, is no removal.
        self._con.execute(
            f"UPDATE planned.rows SET old_match = NULL, parents_changed = parents_changed OR {now} IS DISTINCT FROM "
            f"{before} WHERE change = 'changed' AND {present} IS NOT NULL AND {present} IS DISTINCT FROM old_match "
            f"AND {before} IN (SELECT {now} FROM current)"
        )
        self._con.execute(
            "UPDATE planned.rows SET replaces = true "
            f"WHERE change = 'changed' AND fault IS NULL AND {present} <> old_match"
        )

    def _finish(self, counts: Counts, shape: Shape, *, baseline: bool) -> Plan:
        options = self._options
        to_send = self._one("SELECT count(*) FROM planned.rows")
        removals = self._one("SELECT count(*) FROM planned.rows WHERE change = 'removed'")
        replaced = self._one("SELECT count(*) FROM planned.rows WHERE replaces")
        known = self._one(f"SELECT count(*) FROM ledger.rows WHERE state = {State.DELIVERED:d}")
        hold = None
        if not baseline:  # a baseline removes nothing at the destination
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

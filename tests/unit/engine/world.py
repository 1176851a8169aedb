"""A source in memory, a sync over it, and the few steps of a run that concern the ledger: plan, record, fold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from headrace.destinations.vitally import SPEC
from headrace.domain.columns import Columns
from headrace.domain.config import Guard, SyncConfig
from headrace.domain.mapping import compile_mapping
from headrace.domain.outcome import Change
from headrace.domain.plan import PlannedRow
from headrace.engine.compare import PlanOptions
from headrace.engine.extract import Extraction, prove_columns
from headrace.engine.ledger import Ledger, connect
from headrace.engine.planned import Plan
from headrace.engine.planner import Planner
from headrace.sources import Query, Table
from headrace.sources.duckdb_types import column_of

VARIABLES = {
    "run.id": 1,
    "run.started_at": "2026-01-31T09:30:00.000Z",
    "sync.name": "s",
    "model.name": "m",
    "workspace.name": "default",
}
QUERY = Query(table="rows")


class MemorySource:
    """An Arrow table as a source, with the two ways there are to be read."""

    kind: ClassVar[str] = "memory"
    speaks_duckdb = False

    def __init__(self, table: pa.Table, *, speaks_duckdb: bool = False) -> None:
        self.table = table
        self.speaks_duckdb = speaks_duckdb  # type: ignore[misc]
        self.reads = 0

    def check(self) -> str:
        return "memory"

    def tables(self) -> list[Table]:
        return [Table("rows", self.columns(QUERY))]

    def columns(self, query: Query) -> Columns:
        with duckdb.connect() as con:
            con.register("model", self.table)
            return tuple(column_of(row[0], row[1]) for row in con.execute("DESCRIBE model").fetchall())

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
        self.reads += 1
        if select is None:
            yield self.table.select(list(columns) if columns else self.table.column_names).to_reader()
            return
        with duckdb.connect() as con:
            con.register("model", self.table)
            if keys is not None:
                con.register("keys", keys)
            yield con.sql(select).to_arrow_table().to_reader()


def table_of(rows: Sequence[Mapping[str, Any]], **types: pa.DataType) -> pa.Table:
    """An Arrow table of these rows with these columns."""
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()})


def sync_of(traits: Sequence[str], match: str = "id", **other: Any) -> SyncConfig:
    """A sync of accounts whose traits are these columns, each under its own name."""
    document: dict[str, Any] = {
        "model": "m",
        "destination": "d",
        "type": "rest_objects",
        "object": "account",
        "mode": "upsert",
        "match": {"column": match, "field": "externalId"},
        "fields": {"name": {"static": "Acme"}, "traits": {"columns": list(traits)}},
    }
    return SyncConfig.model_validate(document | other)


class Acknowledged:
    """What runs recorded: (run, sequence, position, outcome, code), in memory."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[int, int, int, str, str | None]] = []

    def record(self, run_id: int, position: int, outcome: str, code: str | None = None) -> None:
        self.outcomes.append((run_id, len(self.outcomes) + 1, position, outcome, code))

    def since(self, run_id: int, sequence: int) -> Iterator[Sequence[tuple[int, int, str, str | None]]]:
        found = [one[1:] for one in self.outcomes if one[0] == run_id and one[1] > sequence]
        for start in range(0, len(found), 3):  # several batches, as the store gives them
            yield found[start : start + 3]


class World:
    """One sync's ledger in a folder, planned and folded as a run does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledger.duckdb"
        self.planned = folder / "planned.duckdb"
        self.acknowledged = Acknowledged()
        self.run_id = 0
        self.mapping = "a"
        self.plan: Plan | None = None

    def make(
        self,
        source: MemorySource,
        sync: SyncConfig,
        key: Sequence[str] = ("id",),
        *,
        baseline: bool = False,
        memory_limit_mb: int = 256,
        **options: Any,
    ) -> Plan:
        """The plan of a new run, over what earlier ones acknowledged."""
        self.fold()
        self.run_id += 1
        columns = source.columns(QUERY)
        sync_type = SPEC.sync_type(sync.type)
        assert sync_type is not None
        target = sync_type.object(sync.object)
        assert target is not None
        mapping = compile_mapping(sync, target, columns, VARIABLES)
        extraction = Extraction(QUERY, prove_columns(columns, key), mapping.columns, mapping.match)
        chosen: dict[str, Any] = {
            "removed": sync.removed,
            "guard": Guard(),
            "recheck_skipped_after": timedelta(hours=24),
            "skip_code": {"update": "record_not_found", "insert": "record_exists"}.get(sync.mode or ""),
        }
        planner = Planner(
            source,
            extraction,
            mapping,
            str(self.ledger),
            PlanOptions(**(chosen | options)),
            memory_limit_mb=memory_limit_mb,
            temp_directory=str(self.folder),
        )
        self.plan = planner.make(self.run_id, str(self.planned), baseline=baseline)
        return self.plan

    def record(self, outcomes: Mapping[int, str], code: str | None = None) -> None:
        """Outcomes by position, as the run log keeps them."""
        for position, outcome in outcomes.items():
            self.acknowledged.record(self.run_id, position, outcome, code)

    def fold(self, *, times: int = 1) -> None:
        """Folds what is left over. Several times: the process died between the commit and the file's removal."""
        if self.plan is not None:
            self.plan.close()
            self.plan = None
        for number in range(times):
            if not self.planned.exists():
                return
            if number + 1 < times:
                shutil.copy(self.planned, self.folder / "again")
            con = connect(256, str(self.folder))
            try:
                ledger = Ledger(con, str(self.ledger))
                ledger.attach(write=True)
                ledger.fold(str(self.planned), self.acknowledged)
            finally:
                con.close()
            if number + 1 < times:
                os.replace(self.folder / "again", self.planned)

    def deliver(self, source: MemorySource, sync: SyncConfig, **options: Any) -> dict[str, PlannedRow]:
        """A whole run in which every planned row is acknowledged. Gives what was planned, by key."""
        plan = self.make(source, sync, **options)
        rows = {row.key: row for row in plan.rows()}
        if not options.get("baseline"):
            self.record({row.position: "delivered" for row in rows.values()})
        self.fold()
        return rows


def changes(rows: Mapping[str, PlannedRow]) -> dict[str, str]:
    """Key -> change."""
    return {key: row.change.value for key, row in sorted(rows.items())}


def keys_of(plan: Plan, change: Change) -> list[str]:
    return sorted(row.key for row in plan.rows(change))


KINDS: dict[str, pa.DataType] = {"id": pa.int64(), "m": pa.string(), "a": pa.string(), "n": pa.int64()}


def source(*rows: dict[str, Any], speaks: bool = False, **kinds: pa.DataType) -> MemorySource:
    """A source of rows as `row` makes them; `kinds` where a column has another type."""
    return MemorySource(table_of(rows, **(KINDS | kinds)), speaks_duckdb=speaks)


def row(key: Any, **values: Any) -> dict[str, Any]:
    return {"id": key, "m": f"m{key}", "a": "x", "n": 1} | values

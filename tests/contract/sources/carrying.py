"""A value's whole way: from its source over plan and ledger through the mapping to the JSON that would be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from headrace.destinations.vitally import SPEC
from headrace.domain.columns import Columns
from headrace.domain.config import Guard, SyncConfig
from headrace.domain.mapping import RowRefused, compile_mapping
from headrace.engine.compare import PlanOptions
from headrace.engine.extract import Extraction, prove_columns
from headrace.engine.ledger import Ledger, connect
from headrace.engine.planner import Planner
from headrace.sources import Query, Source

VARIABLES = {
    "run.id": 1,
    "run.started_at": "2026-01-31T09:30:00.000Z",
    "sync.name": "s",
    "model.name": "m",
    "workspace.name": "default",
}


class Carried(NamedTuple):
    """What became of a model's rows. `sent` is, by column, the JSON of each row in the order of `id`, or its fault."""

    columns: Columns
    sent: dict[str, list[str]]
    planned: int


class Ledgered:
    """A sync of accounts whose traits are all columns of a model but `id`; every plan is acknowledged and folded."""

    def __init__(self, folder: Path, as_: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._as = as_ or {}
        self._runs = 0

    def run(self, source: Source, query: Query) -> Carried:
        """Plans and maps the rows, and takes every planned one as delivered."""
        self._runs += 1
        columns = source.columns(query)
        names = [column.name for column in columns if column.name != "id"]
        rules = {name: {"column": name, **({"as": self._as[name]} if name in self._as else {})} for name in names}
        sync = SyncConfig.model_validate(
            {
                "model": "m",
                "destination": "d",
                "type": "rest_objects",
                "object": "account",
                "mode": "upsert",
                "match": {"column": "id", "field": "externalId"},
                "fields": {"name": {"static": "Acme"}, "traits": {"object": rules}},
            }
        )
        target = SPEC.sync_types[0].object("account")
        assert target is not None
        mapping = compile_mapping(sync, target, columns, VARIABLES)
        extraction = Extraction(query, prove_columns(columns, ["id"]), mapping.columns, mapping.match)
        planner = Planner(
            source,
            extraction,
            mapping,
            str(self._folder / "ledger.duckdb"),
            PlanOptions("ignore", Guard(), timedelta(hours=24), None),
            memory_limit_mb=256,
            temp_directory=str(self._folder),
        )
        planned = self._folder / "planned.duckdb"
        plan = planner.make(self._runs, str(planned))
        sent: dict[str, list[str]] = {name: [] for name in names}
        for row in sorted(plan.rows(), key=lambda row: row.key):
            assert row.values is not None
            refused: dict[str | None, str] = {}
            traits: dict[str, Any] = {}
            try:
                traits = mapping.record(row.values).values["traits"]
            except RowRefused as faults:
                refused = {fault.field: f"{fault.code}: {fault.message}" for fault in faults.faults}
            for name in names:
                fault = refused.get(f"traits.{name}", "another column's fault" if refused else None)
                sent[name].append(fault or orjson.dumps(traits[name]).decode())
        count = plan.to_send
        plan.close()
        self._fold(planned, count)
        return Carried(columns, sent, count)

    def _fold(self, planned: Path, count: int) -> None:
        con = connect(256, str(self._folder))
        try:
            ledger = Ledger(con, str(self._folder / "ledger.duckdb"))
            ledger.attach(write=True)
            ledger.fold(str(planned), _AllDelivered(count))
        finally:
            con.close()


class _AllDelivered:
    """The acknowledgements of a run in which nothing went wrong."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def since(self, run_id: int, sequence: int) -> Iterator[Sequence[tuple[int, int, str, str | None]]]:
        yield [(sequence + 1 + position, position, "delivered", None) for position in range(self._rows)]

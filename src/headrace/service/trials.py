"""Looking before leaping: preview of a model, dry run of a sync, one row really sent, a connection tested."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from headrace.destinations import Probe
from headrace.domain.access import Scope
from headrace.domain.columns import Columns
from headrace.domain.config import ModelConfig, sync_id
from headrace.domain.errors import ConfigurationError, Finding, HeadraceError, UserError
from headrace.domain.outcome import Change, Counts, RunStatus
from headrace.domain.request import NoResponse, Request, Response
from headrace.engine.explain import Explanation, explain
from headrace.engine.extract import prove_columns
from headrace.engine.job import Job, RunOptions, planner_for, prepare
from headrace.engine.ports import Clock
from headrace.engine.run import Remembering, fold_left_over
from headrace.engine.single import deliver_row, planned, read_row, with_values
from headrace.engine.sqltext import key_type, key_value
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.documents import parse
from headrace.service.locks import FileLock
from headrace.service.verbs import verb
from headrace.sources import Query, Source, Table
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.depot import SharedFiles
from headrace.store.outcomes import LoggedOutcome, OutcomeFilter
from headrace.store.runs import NewRun
from headrace.store.workspace import Workspace

LOCK_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class KeyProof:
    """What a model's primary key is worth. `examples` are keys that stand in several rows."""

    key: tuple[str, ...]
    rows: int
    nulls: int
    duplicates: int
    examples: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.nulls == 0 and self.duplicates == 0


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows of a model as they come, column types, and the proof of its key."""

    columns: Columns
    rows: tuple[tuple[Any, ...], ...]
    proof: KeyProof


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One token, tested. `state`: fine, refused, unreachable, failed, not_set."""

    secret: str
    state: str
    message: str
    request: Request | None
    status: int | None
    duration_ms: float | None


@dataclass(frozen=True, slots=True)
class RowTrial:
    """One row, really sent: what became of it and every call it took."""

    run_id: int
    outcome: LoggedOutcome | None
    calls: tuple[LoggedCall, ...]
    counts: Counts


class TrialService:
    """What can be tried in a workspace without a run."""

    def __init__(
        self,
        workspace: Workspace,
        catalog: CatalogService,
        assembly: Assembly,
        clock: Clock,
        shared: SharedFiles | None = None,
    ) -> None:
        """`shared`: where the files of syncs are, in a workspace of several machines."""
        self._workspace = workspace
        self._catalog = catalog
        self._assembly = assembly
        self._clock = clock
        self._shared = shared

    @verb(Scope.READ)
    def preview(self, name: str, limit: int) -> Preview:
        """The first rows of a model and the proof of its key over all of them. Raises SourceError."""
        return self._preview(self._catalog.get("model", name), limit)

    @verb(Scope.CONFIGURE)
    def preview_unsaved(self, document: Mapping[str, Any], limit: int) -> Preview:
        """The same of a model that need not be saved. Raises ConfigurationError, NotFound, SourceError."""
        model, findings = parse("model", "preview", document)
        if findings or "sql_file" in document:
            raise ConfigurationError(findings or [Finding("unknown_key", "Write the SQL itself.", "sql_file")])
        return self._preview(model, limit)

    @verb(Scope.READ)
    def tables(self, source: str) -> list[Table]:
        """The tables and views that a source offers, with their columns. Raises SourceError."""
        return self._assembly.source(source).tables()

    @verb(Scope.READ)
    def columns(self, model: str) -> Columns:
        """Names and types of a model's columns, without reading its rows. Raises SourceError."""
        config: ModelConfig = self._catalog.get("model", model)
        return self._assembly.source(config.source).columns(Query(sql=config.sql, table=config.table))

    @verb(Scope.RUN)
    def test_source(self, name: str) -> str:
        """Connects, and says in one line what answered. Raises SourceError."""
        return self._assembly.source(name).check()

    def _preview(self, model: ModelConfig, limit: int) -> Preview:
        source = self._assembly.source(model.source)
        query = Query(sql=model.sql, table=model.table)
        columns = source.columns(query)
        rows: list[tuple[Any, ...]] = []
        with source.read(query, limit=limit) as reader:
            for batch in reader:
                rows += [tuple(row.values()) for row in batch.to_pylist()]
                if len(rows) >= limit:
                    break
        return Preview(columns, tuple(rows[:limit]), _prove(source, query, columns, model))

    @verb(Scope.READ)
    def plan(self, name: str, requests: int, options: RunOptions) -> Explanation:
        """The dry run. Raises UserError `sync_busy` when a run holds the ledger for longer than 5 s."""
        job = self._assembly.job(name, options)
        with self._files_of(job) as job:
            fold_left_over(job, self._workspace.acknowledgements)
            mapping, extraction, _ = prepare(job, 0, self._clock.now())
            plan = planner_for(job, mapping, extraction).make(0, None)
        try:
            identities = self._workspace.identities(job.destination.limits(job.destination.api).credential)
            return explain(plan, mapping, job, identities, requests)
        finally:
            plan.close()

    @contextmanager
    def _files_of(self, job: Job) -> Iterator[Job]:
        """The job over the sync's ledger while no run writes it, or over a copy of it where several machines share it.

        Raises UserError `sync_busy` when a run holds the ledger for longer than 5 s.
        """
        name, identity = job.sync_name, sync_id(job.sync_name, job.sync)
        if self._shared is not None:
            with self._shared.copied(identity, job.paths) as paths:
                yield replace(job, paths=paths)
            return
        with FileLock(self._workspace.lock_path(identity)) as lock:
            deadline = self._clock.monotonic() + LOCK_PATIENCE_S
            while not lock.try_take(f"a plan of {name}"):
                if self._clock.monotonic() > deadline:
                    message = f'Sync "{name}" is in use by {lock.holder()}. Wait for it, or cancel it, then plan again.'
                    raise UserError(message, code="sync_busy")
                asyncio.run(self._clock.sleep(0.1))
            yield job

    @verb(Scope.RUN, changes=lambda name, key, **_: f"sync {name}")
    def test_row(self, name: str, key: str, change: Change, values: dict[str, str]) -> RowTrial:
        """Really sends one row of a sync. The ledger is not touched: the next run sends the row again if it is due."""
        job = self._assembly.job(name, RunOptions())
        mapping, extraction, _ = prepare(job, 0, self._clock.now())
        row = with_values(mapping, read_row(job, extraction, mapping, key), values)
        if change is Change.REMOVED and job.sync.removed == "ignore":
            message = f'Sync "{name}" ignores removed rows, so a removal sends nothing.'
            others = sorted(job.target.removed_rules - {"ignore"})
            message += f" Set removed: {' or '.join(others)}." if others else ""
            raise UserError(message, code="nothing_to_send")
        run = self._workspace.runs.create(NewRun(name, sync_id(name, job.sync), kind="test", reason="test-row"))
        scope = job.destination.limits(job.destination.api).credential
        error: HeadraceError | None = None
        counts = Counts(rows=1)
        with self._workspace.run_log(run.id, scope) as log:
            memory = Remembering(
                log,
                self._workspace.acknowledgements,
                self._workspace.identities(scope),
                budgets=self._workspace.budgets(),
            )
            try:
                counts = asyncio.run(
                    deliver_row(job, mapping, planned(mapping, key, change, row, run.id), memory, self._clock)
                )
            except HeadraceError as raised:
                error = raised
        status = RunStatus.FAILED if error else RunStatus.SUCCEEDED
        self._workspace.runs.finish(run.id, status, counts, error)
        if error is not None:
            raise error
        found = self._workspace.outcomes.find(OutcomeFilter(run=run.id)).items
        calls = self._workspace.calls.find(CallFilter(run=run.id), order="oldest").items
        return RowTrial(run.id, found[0] if found else None, calls, counts)

    @verb(Scope.RUN)
    def test_destination(self, name: str) -> list[ProbeResult]:
        """Each token of a destination, tested with one harmless request. Nothing is written there."""
        from headrace.engine.transport import HttpTransport

        destination = self._assembly.destination(name)

        async def probe_all() -> list[ProbeResult]:
            async with HttpTransport(1) as transport:
                return [await probe_one(transport, probe) for probe in destination.probes()]

        async def probe_one(transport: HttpTransport, probe: Probe) -> ProbeResult:
            if probe.request is None:
                return ProbeResult(probe.secret, "not_set", probe.note, None, None, None)
            started = self._clock.monotonic()
            limits = destination.limits(probe.request.api)
            answer: Response | NoResponse = await transport.send(probe.request, destination.authorize, limits.timeout_s)
            took = (self._clock.monotonic() - started) * 1000
            state, message = destination.read_probe(probe, answer)
            status = answer.status if isinstance(answer, Response) else None
            return ProbeResult(probe.secret, state, message, probe.request, status, took)

        return asyncio.run(probe_all())


def _prove(source: Source, query: Query, columns: Columns, model: ModelConfig) -> KeyProof:
    """Counts rows, null and repeated keys over the whole model."""
    from headrace.engine.ledger import connect

    key = prove_columns(columns, model.primary_key)
    kinds = [column.native.upper() for column in key]
    wanted = key_value(key, kinds, key_type(key, kinds))
    con = connect(512, "")
    try:
        if source.speaks_duckdb:
            reading = source.read(query, select=f"SELECT {wanted} AS key FROM model")
        else:
            reading = source.read(query, columns=[column.name for column in key])
        with reading as arriving:
            con.register("arriving", arriving)
            shown = "key" if source.speaks_duckdb else key_value(key, ["VARCHAR"] * len(key), "VARCHAR")
            con.execute(f"CREATE TABLE keys AS SELECT CAST({shown} AS VARCHAR) AS key FROM arriving")
            con.unregister("arriving")
        rows, nulls = con.execute("SELECT count(*), count(*) FILTER (key IS NULL) FROM keys").fetchall()[0]
        repeated = con.execute(
            "SELECT key, count(*) AS copies FROM keys WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1 "
            "ORDER BY copies DESC, key"
        ).fetchall()
    finally:
        con.close()
    duplicates = sum(copies for _, copies in repeated)
    examples = tuple(one for one, _ in repeated[:5])
    return KeyProof(tuple(model.primary_key), rows, nulls, duplicates, examples)

"""What a run of one sync works from: its configuration, what was opened for it, its mapping, its planner.

Run, dry run and test of a row all begin here, so that none of them sees the sync in a way of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from headrace.destinations import Destination
from headrace.domain.coerce import iso
from headrace.domain.columns import Columns
from headrace.domain.config import ModelConfig, SyncConfig
from headrace.domain.errors import UserError
from headrace.domain.lint import lint_model, lint_sync
from headrace.domain.mapping import Mapping as RowMapping
from headrace.domain.mapping import compile_mapping
from headrace.domain.spec import Mode, ObjectSpec
from headrace.engine.compare import PlanOptions
from headrace.engine.delivery import Delivery
from headrace.engine.extract import Counted, Extraction, prove_columns
from headrace.engine.planner import Planner
from headrace.sources import Query, Source


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a person wants this run. `approved`: the removals of the held plan were approved."""

    full_resync: bool = False
    reset_cdc: bool = False
    keys: tuple[str, ...] | None = None
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the engine keeps its files."""

    ledger: str
    planned: str
    held: str
    limits: str
    temporary: str


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a run of one sync needs to know. Nothing in it is a secret."""

    sync_name: str
    sync: SyncConfig
    model_name: str
    model: ModelConfig
    source: Source
    destination: Destination
    target: ObjectSpec
    paths: Paths
    workspace_name: str
    memory_limit_mb: int
    options: RunOptions = field(default_factory=RunOptions)

    @property
    def query(self) -> Query:
        return Query(sql=self.model.sql, table=self.model.table)

    @property
    def mode(self) -> Mode:
        return self.target.mode(self.sync.mode)


def prepare(job: Job, run_id: int, started_at: datetime) -> tuple[RowMapping, Extraction, Columns]:
    """The sync's mapping, compiled against the columns its model has now.

    Raises UserError with the first finding (`column_missing`, ...) when sync and model no longer fit, and SourceError.
    """
    columns = job.source.columns(job.query)
    findings = [*lint_model(job.model_name, job.model, columns)]
    findings += [one for one in lint_sync(job.sync_name, job.sync, job.destination.spec, columns) if not one.warning]
    if findings:
        more = f" (and {len(findings) - 1} more; `headrace check` lists them)" if len(findings) > 1 else ""
        raise UserError(f'Sync "{job.sync_name}": {findings[0].message}{more}', code=findings[0].code)
    variables: Mapping[str, object] = {
        "run.id": run_id,
        "run.started_at": iso(started_at),
        "sync.name": job.sync_name,
        "model.name": job.model_name,
        "workspace.name": job.workspace_name,
    }
    mapping = compile_mapping(job.sync, job.target, columns, variables)
    key = prove_columns(columns, job.model.primary_key)
    matching = job.target.matching(job.sync.match.field) if job.sync.match else None
    folds = matching is not None and matching.folds
    return mapping, Extraction(job.query, key, mapping.columns, mapping.match, folds), columns


def plan_options(job: Job) -> PlanOptions:
    """What the plan is made under."""
    skip_code = {Mode.UPDATE: "record_not_found", Mode.INSERT: "record_exists"}.get(job.mode)
    return PlanOptions(
        removed=job.sync.removed,
        guard=job.sync.guard,
        recheck_skipped_after=job.sync.recheck_skipped_after,
        skip_code=skip_code,
        once=job.target.once,
        full_resync=job.options.full_resync,
        keys=job.options.keys,
    )


def planner_for(
    job: Job, mapping: RowMapping, extraction: Extraction, counted: Counted = lambda _rows: None
) -> Planner:
    """The planner of the job; `counted` is told how many rows have been read."""
    return Planner(
        job.source,
        extraction,
        mapping,
        job.paths.ledger,
        plan_options(job),
        memory_limit_mb=job.memory_limit_mb,
        temp_directory=job.paths.temporary,
        counted=counted,
    )


def delivery_for(job: Job, mapping: RowMapping) -> Delivery:
    """What the job does with a row."""
    match_field = job.sync.match.field if job.sync.match else ""
    is_parent = job.target.name in job.destination.spec.remembered
    return Delivery(mapping, job.mode, job.sync.removed, job.target.name, match_field, is_parent)


def reads_before(job: Job) -> bool:
    """Whether sending looks at what a row was: for removals, and for messages that undo what it said before."""
    batching = job.destination.batching
    return job.sync.removed != "ignore" or (batching is not None and batching.reads_before)

"""The plan's first reader: tells what a run would do, and the exact requests it would send. It sends nothing.

Where a request needs what only an answer can tell (a parent's own id, whether a record exists), the look-up is shown in
its place and a placeholder stands for the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.destinations import Destination, Known, NeedParents, Send, Settled, Task
from headrace.domain.errors import Bug
from headrace.domain.mapping import Mapping, Record, RowRefused
from headrace.domain.outcome import Change, Counts, RowFault
from headrace.domain.plan import Hold, PlannedRow, operations_for
from headrace.domain.request import Request
from headrace.domain.spec import Mode
from headrace.engine.planned import Plan
from headrace.engine.ports import Identities
from headrace.engine.run import Job

SAMPLES = 5


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One mapped column of a row: what was last delivered, and what would be sent."""

    column: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Sample:
    """A planned row as a person wants to see it."""

    key: str
    change: Change
    reason: str | None
    fields: tuple[FieldChange, ...]
    fault: RowFault | None = None


@dataclass(frozen=True, slots=True)
class ExactRequest:
    """A request as it would be sent, and for which row. `note` says what it depends on."""

    key: str
    request: Request
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a run would do now."""

    counts: Counts
    operations: dict[str, int]
    to_send: int
    hold: Hold | None
    notes: tuple[str, ...]
    samples: tuple[Sample, ...]
    requests: tuple[ExactRequest, ...]
    invalid: tuple[tuple[str, str, int], ...] = field(default_factory=tuple)


def explain(plan: Plan, mapping: Mapping, job: Job, identities: Identities, requests: int) -> Explanation:
    """Counts by operation, samples of each change, and the first `requests` requests."""
    operations = _operations(plan, job)
    samples = [_sample(row, mapping) for change in Change for row in plan.rows(change, SAMPLES)]
    exact: list[ExactRequest] = []
    if requests:
        for row in plan.rows():
            exact += requests_for(row, mapping, job, job.destination, identities)
            if len(exact) >= requests:
                break
    invalid = [one for batch in plan.invalid() for one in batch][:SAMPLES]
    return Explanation(
        counts=plan.counts,
        operations=operations,
        to_send=plan.to_send,
        hold=plan.hold,
        notes=plan.notes,
        samples=tuple(samples),
        requests=tuple(exact[:requests]),
        invalid=tuple(invalid),
    )


def _operations(plan: Plan, job: Job) -> dict[str, int]:
    counted = {"added": 0, "changed": 0, "removed": 0}
    counted |= plan.planned_by_change()
    mode = job.sync.mode or "upsert"
    found = {mode: counted["added"] + counted["changed"]}
    if counted["removed"]:
        found[job.sync.removed] = counted["removed"]
    return {name: count for name, count in found.items() if count}


def _sample(row: PlannedRow, mapping: Mapping) -> Sample:
    names = [column.name for column in mapping.columns]
    old = row.old if row.old is not None else (None,) * len(names)
    new = row.values if row.values is not None else (None,) * len(names)
    shows_all = row.old is None or row.values is None
    fields = [
        FieldChange(name, before, after)
        for name, before, after in zip(names, old, new, strict=True)
        if shows_all or before != after
    ]
    fault = row.fault
    if fault is None and row.values is not None:
        try:
            mapping.record(row.values)
        except RowRefused as refused:
            fault = RowFault(refused.faults[0].code, str(refused), refused.faults[0].field)
    return Sample(row.key, row.change, row.reason, tuple(fields), fault)


def requests_for(
    row: PlannedRow, mapping: Mapping, job: Job, destination: Destination, identities: Identities
) -> Iterator[ExactRequest]:
    """The requests that the row would cause, in order. None for a row that would be invalid."""
    if row.fault is not None:
        return
    try:
        record = mapping.record(row.values) if row.values is not None else None
    except RowRefused:
        return
    mode = Mode(job.sync.mode or "upsert")
    for operation in operations_for(row, record.match if record else None, mode, job.sync.removed):
        told: Record | None = record
        if operation.kind in ("clear", "delete"):
            told = mapping.last_record(row.old, operation.match) if row.old is not None else None
        known = Known()
        if job.sync.match and job.sync.match.field == "externalId":
            kind = job.target.name
            named = [operation.match] if kind in destination.spec.named_by_own_id else []
            known = Known(record_id=identities.known(kind, named).get(operation.match))
        yield from _steps(Task(operation, told, row.key), known, destination, identities)


def _steps(task: Task, known: Known, destination: Destination, identities: Identities) -> Iterator[ExactRequest]:
    for _ in range(8):
        step = destination.next_step(task, known)
        match step:
            case Settled():
                return
            case NeedParents(references=references):
                parents = dict(known.parents)
                for reference in references:
                    cached = identities.known(reference.kind, list(reference.ids))
                    for external_id in reference.ids:
                        parents[(reference.kind, external_id)] = cached.get(
                            external_id, f"<id of {reference.kind} {external_id}>"
                        )
                        if external_id not in cached:
                            look_up = destination.look_up(reference.kind, external_id)
                            yield ExactRequest(task.key, look_up, "looked up once, then remembered")
                known = known.but(parents=parents)
            case Send(request=request, creates=creates):
                if request.purpose != "look_up":
                    note = "where the record does not exist yet, it is created instead"
                    if creates:
                        note = "where the record exists, this updates it"
                    yield ExactRequest(task.key, request, note if task.operation.kind == "upsert" else "")
                    return
                yield ExactRequest(
                    task.key, request, "what follows depends on the answer; shown as if it were the usual"
                )
                usual = task.operation.kind != "insert"
                record_id = f"<id of {task.operation.match}>" if usual else None
                taken = None if known.exists is None else False
                known = known.but(exists=usual, record_id=record_id, linked={}, taken=taken)
    raise Bug("a plan's request never came to an end", key=task.key)

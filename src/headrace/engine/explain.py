"""The plan's first reader: tells what a run would do, and the exact requests it would send. It sends nothing.

Where a request needs what only an answer can tell (a parent's own id, whether a record exists), the look-up is shown in
its place and a placeholder stands for the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from headrace.destinations import BatchDestination, Known, NeedParents, RecordDestination, Send, Settled, Task
from headrace.domain.errors import Bug
from headrace.domain.mapping import Mapping, RowRefused
from headrace.domain.outcome import Change, Counts, RowFault
from headrace.domain.plan import Hold, PlannedRow
from headrace.domain.request import Request
from headrace.engine.batches import Packer, chunks
from headrace.engine.delivery import Delivery, End
from headrace.engine.job import Job, delivery_for, reads_before
from headrace.engine.planned import Plan
from headrace.engine.ports import Identities

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
    """A request as it would be sent, and for which rows. `note` says what it depends on."""

    keys: tuple[str, ...]
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
    if requests and (destination := job.destination).batching is not None:
        exact += islice(_batches(plan, mapping, job, destination), requests)
    elif requests and destination.batching is None:
        delivery = delivery_for(job, mapping)
        for row in plan.rows():
            exact += requests_for(row, delivery, job, destination, identities)
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
    found = {job.mode.value: counted["added"] + counted["changed"]}
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
        if shows_all or _differs(before, after)
    ]
    fault = row.fault
    if fault is None and row.values is not None:
        try:
            mapping.record(row.values)
        except RowRefused as refused:
            fault = refused.as_fault()
    return Sample(row.key, row.change, row.reason, tuple(fields), fault)


def _differs(before: Any, after: Any) -> bool:
    both_nan = before != before and after != after  # NaN alone is not itself
    return bool(before != after) and not both_nan


def _batches(plan: Plan, mapping: Mapping, job: Job, destination: BatchDestination) -> Iterator[ExactRequest]:
    """The batches that the run would pack, in order."""
    packer = Packer(plan.rows(old=reads_before(job)), delivery_for(job, mapping), destination, lambda _row, _end: None)
    while batch := packer.pack():
        keys = tuple(one.row.key for one in batch)
        messages = [message for one in batch for message in one.messages]
        for part in chunks(messages, destination.batching, packer.most_bytes):
            yield ExactRequest(keys, destination.batch(part))


def requests_for(
    row: PlannedRow, delivery: Delivery, job: Job, destination: RecordDestination, identities: Identities
) -> Iterator[ExactRequest]:
    """The requests that the row would cause, in order. None for a row that would be invalid."""
    work = delivery.work(row)
    if isinstance(work, End):
        return
    record, operations = work
    for operation in operations:
        known = Known()
        if job.sync.match and job.sync.match.field == "externalId":
            kind = job.target.name
            named = [operation.match] if kind in destination.spec.named_by_own_id else []
            known = Known(record_id=identities.known(kind, named).get(operation.match))
        task = delivery.task(operation, row, record)
        yield from _steps(task, known, destination, identities)


def _steps(task: Task, known: Known, destination: RecordDestination, identities: Identities) -> Iterator[ExactRequest]:
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
                            yield ExactRequest((task.key,), look_up, "looked up once, then remembered")
                known = known.but(parents=parents)
            case Send(request=request, note=note):
                if request.purpose != "look_up":
                    yield ExactRequest((task.key,), request, note)
                    return
                yield ExactRequest(
                    (task.key,), request, "what follows depends on the answer; shown as if it were the usual"
                )
                usual = task.operation.kind != "insert"
                record_id = f"<id of {task.operation.match}>" if usual else None
                taken = None if known.exists is None else False
                known = known.but(exists=usual, record_id=record_id, linked={}, taken=taken)
    raise Bug("a plan's request never came to an end", key=task.key)

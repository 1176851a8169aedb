"""What the two executors share: what a sync does with a row, and how a row ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from headrace.destinations import Task
from headrace.domain.mapping import Mapping, Record, RowRefused
from headrace.domain.outcome import Change, RowFault, RowOutcome
from headrace.domain.plan import Operation, PlannedRow, operations_for
from headrace.domain.spec import Mode, RemovedRule
from headrace.engine.ports import OutcomeRecord


class End(NamedTuple):
    """How a row ended, and the number of the call that decided."""

    outcome: RowOutcome
    fault: RowFault | None = None
    call: int | None = None


Settle = Callable[[PlannedRow, End], None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sync does with a row: its mapping, mode, removed-rule, object and match field.

    `is_parent`: records of other objects refer to these, so their ids are worth keeping.
    """

    mapping: Mapping
    mode: Mode
    removed: RemovedRule
    kind: str
    match_field: str
    is_parent: bool

    def work(self, row: PlannedRow) -> tuple[Record | None, Sequence[Operation]] | End:
        """The row's record, None where it has left the model, and what is to be done; the end of one that can't be."""
        if row.fault is not None:
            return End(RowOutcome.INVALID, row.fault)
        try:
            record = self.mapping.record(row.values) if row.values is not None else None
        except RowRefused as refused:
            return End(RowOutcome.INVALID, refused.as_fault())
        match = (record.match or row.key) if record is not None else None
        return record, operations_for(row, match, self.mode, self.removed)

    def task(self, operation: Operation, row: PlannedRow, record: Record | None) -> Task:
        """One of the row's operations, with what it says: of a record that goes, what was said last."""
        if operation.kind in ("clear", "delete"):
            record = self.mapping.last_record(row.old, operation.match) if row.old is not None else None
        return Task(operation, record, row.key, generation=row.generation, row_hash=row.row_hash)

    def outcomes(self, rows: Iterable[PlannedRow], end: End) -> list[OutcomeRecord]:
        """What the record keeps of rows that ended alike. By place, for speed: every row that is sent comes by here."""
        outcome, fault, call = end
        code, field, message, theirs = (
            (fault.code, fault.field, fault.message, fault.theirs) if fault else (None, None, None, None)
        )
        mode, removed, gone = self.mode.value, self.removed, Change.REMOVED
        return [
            OutcomeRecord(
                row.key,
                row.position,
                row.change,
                removed if row.change is gone else mode,
                outcome,
                code,
                field,
                message,
                theirs,
                call,
            )
            for row in rows
        ]

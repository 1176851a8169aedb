"""What the two executors share: what a sync does with a row, and how a row ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from headrace.domain.mapping import Mapping
from headrace.domain.outcome import Change, RowFault, RowOutcome
from headrace.domain.plan import PlannedRow
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

    def outcome(self, row: PlannedRow, end: End) -> OutcomeRecord:
        """What the record keeps of a row's end."""
        operation = self.removed if row.change is Change.REMOVED else self.mode.value
        fault = end.fault
        if fault is None:
            return OutcomeRecord(row.key, row.position, row.change, operation, end.outcome, call=end.call)
        return OutcomeRecord(
            key=row.key,
            position=row.position,
            change=row.change,
            operation=operation,
            outcome=end.outcome,
            code=fault.code,
            field=fault.field,
            message=fault.message,
            theirs=fault.theirs,
            call=end.call,
        )

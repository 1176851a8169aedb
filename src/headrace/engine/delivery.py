"""What the two executors share: what a sync does with a row, and how a row ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

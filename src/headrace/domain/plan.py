"""From change to operation: what a run means to do with a row, and whether so many removals may be done unasked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from headrace.domain.config import Guard
from headrace.domain.outcome import Change, RowFault
from headrace.domain.spec import Mode, RemovedRule

OperationKind = Literal["upsert", "update", "insert", "clear", "delete"]


class PlannedRow(NamedTuple):
    """A row as the planner hands it on.

    `position` is its place in the plan, from 0. `values` are the mapped columns in the mapping's order (None for a
    removed row), `old` the ones last acknowledged (None where there are none). `row_hash` is the hash of the values.
    `fault` is set where the planner itself found the row invalid.
    """

    position: int
    key: str
    change: Change
    values: tuple[Any, ...] | None
    old: tuple[Any, ...] | None
    old_match: str | None
    generation: int
    row_hash: int = 0
    parents_changed: bool = True
    reason: str | None = None
    fault: RowFault | None = None


class Operation(NamedTuple):
    """One thing to do at the destination for one row.

    `match` is the value the record is found by. `parents` says whether references are sent although the record may
    exist (a record that must be created always gets them).
    """

    kind: OperationKind
    match: str
    parents: bool = True


@dataclass(frozen=True, slots=True)
class Hold:
    """Why the guard stopped a run before it sent anything."""

    removed: int
    known: int
    message: str


def operations_for(row: PlannedRow, match: str | None, mode: Mode, removed: RemovedRule) -> tuple[Operation, ...]:
    """What to do for a row, in order. Empty where nothing is to be done.

    `match` is the row's present match value, None for a removed row. A match value that changed under the same key is a
    removal of the old record, by the removed-rule, and an add of the new.
    """
    if row.change is Change.REMOVED:
        return removal_of(row.old_match, removed)
    if match is None:
        return ()
    if row.change is Change.CHANGED and row.old_match is not None and row.old_match != match:
        return (*removal_of(row.old_match, removed), Operation(mode.value, match))
    return (Operation(mode.value, match, parents=row.change is Change.ADDED or row.parents_changed),)


def removal_of(match: str | None, removed: RemovedRule) -> tuple[Operation, ...]:
    """The operation that the removed-rule asks for; none where it says ignore."""
    if match is None or removed == "ignore":
        return ()
    return (Operation(removed, match),)


SMALL_ENOUGH = 10
"""So few removals are never held: `design.md` 8."""


def check_guard(removed_rule: RemovedRule, removals: int, known: int, rows: int, guard: Guard) -> Hold | None:
    """Whether the run is held: `removals` rows of the `known` ones in the ledger are gone, `rows` are there now.

    Only for clear and delete. An empty result over a ledger that is not empty is always held.
    """
    if removed_rule == "ignore" or removals == 0:
        return None
    share = 100 * removals / known if known else 100.0
    if rows == 0:
        why = f"The model returned no rows, so all {removals:,} known records would be removed"
    elif removals > SMALL_ENOUGH and removals > guard.max_removed:
        why = f"{removals:,} records would be removed, more than max_removed allows ({guard.max_removed:,})"
    elif removals > SMALL_ENOUGH and share > guard.max_removed_percent:
        why = (
            f"{removals:,} of {known:,} records ({share:.1f} %) would be removed, "
            f"more than max_removed_percent allows ({guard.max_removed_percent:g} %)"
        )
    else:
        return None
    return Hold(removals, known, f"{why} ({removed_rule}). Nothing was sent.")

"""One group of a run's log as rows of tables, and what a database brings to write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.engine.ports import OutcomeRecord
from headrace.store.tables import calls

CALL_COLUMNS = tuple(column.name for column in calls.columns)
OWN = ("key", "position", "call")
SHARED = ("run_id", *(name for name in OutcomeRecord._fields if name not in OWN))
"""Columns in which outcomes that ended alike do not differ."""
OUTCOME_COLUMNS = (*SHARED, *OWN)


@dataclass(frozen=True, slots=True)
class Group:
    """What becomes durable together: tuples in the order of the columns.

    `outcomes` are runs of rows that ended alike: what they share, and (key, position, call) of each.
    `learned` are (scope, kind, external id, record id, at), `forgotten` the first three of these.
    """

    run_id: int
    calls: Sequence[tuple[Any, ...]]
    call_rows: Sequence[tuple[str, int, int]]
    outcomes: Sequence[tuple[tuple[Any, ...], Sequence[tuple[str, int | None, int | None]]]]
    learned: Sequence[tuple[str, str, str, str, str]]
    forgotten: Sequence[tuple[str, str, str]]


class GroupWriter(Protocol):
    """Writes groups of one run over a connection of its own; raises the driver's errors.

    What it writes is checked against the run's row in the same transaction: only a running run writes.
    """

    def write(self, group: Group) -> bool:
        """All or nothing, durable when this returns. False where the run has ended: then nothing."""
        ...

    def show(self, run_id: int, counts: str, progress: str) -> bool:
        """The numbers, without waiting for a disk. False where the run has ended."""
        ...

    def cancel_requested(self, run_id: int) -> bool: ...

    def close(self) -> None: ...

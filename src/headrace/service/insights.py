"""What pages show of many runs at once: lists that one can leaf through, bars of each sync, sums by hour and day.

Also what joins a row with its past: the tries of a call, and what was last delivered before. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from headrace.domain.access import Scope
from headrace.domain.errors import HeadraceError
from headrace.domain.outcome import RunStatus
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.verbs import verb
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.insights import Bar, Slot, Width
from headrace.store.outcomes import LoggedOutcome, OutcomeFilter
from headrace.store.page import Order, Page
from headrace.store.runs import Run
from headrace.store.workers import WorkerEntry
from headrace.store.workspace import Workspace

BARS = 30
TRIES = 50


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time that is looked at, and how finely. `slots` of it are shown."""

    name: str
    width: Width
    slots: int

    def starts(self, now: datetime) -> list[datetime]:
        """The beginning of each slot, oldest first; the last one is under way."""
        step = timedelta(hours=1) if self.width == "hour" else timedelta(days=1)
        last = now.replace(minute=0, second=0, microsecond=0)
        last = last if self.width == "hour" else last.replace(hour=0)
        return [last - step * back for back in range(self.slots - 1, -1, -1)]


PERIODS = {"day": Period("day", "hour", 24), "week": Period("week", "hour", 168), "month": Period("month", "day", 30)}


@dataclass(frozen=True, slots=True)
class Sums:
    """What ended in one slot, over the syncs asked for."""

    start: datetime
    runs: int = 0
    delivered: int = 0
    skipped: int = 0
    invalid: int = 0
    rejected: int = 0
    owed: int = 0
    requests: int = 0

    @property
    def faulty_percent(self) -> float:
        """Rejected and invalid rows among those that came to an end."""
        ended = self.delivered + self.skipped + self.invalid + self.rejected
        return 100 * (self.invalid + self.rejected) / ended if ended else 0.0


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long a run was at one thing."""

    stage: str
    seconds: float


class InsightService:
    """Looks over a workspace's runs, rows and calls."""

    def __init__(
        self, workspace: Workspace, catalog: CatalogService, assembly: Assembly, now: Callable[[], datetime]
    ) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._assembly = assembly
        self._now = now

    # Lists --------------------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def runs(
        self, sync: str | None = None, status: RunStatus | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Run]:
        """Newest first. Raises UserError `cursor_invalid`."""
        return self._workspace.runs.list(sync=sync, status=status, cursor=cursor, limit=limit)

    @verb(Scope.READ)
    def rows(
        self, wanted: OutcomeFilter, cursor: str | None = None, limit: int = 50, order: Order = "oldest"
    ) -> Page[LoggedOutcome]:
        """In the order of the log. Raises UserError `cursor_invalid`."""
        return self._workspace.outcomes.find(wanted, limit, cursor, order)

    @verb(Scope.READ)
    def calls(self, wanted: CallFilter, cursor: str | None = None, limit: int = 50) -> Page[LoggedCall]:
        """Newest first. Raises UserError `cursor_invalid`, `filter_invalid`."""
        return self._workspace.calls.find(wanted, limit, cursor)

    @verb(Scope.READ)
    def workers(self) -> list[WorkerEntry]:
        """The processes that take runs; those that died without leaving among them."""
        return self._workspace.workers.list()

    # Over many runs -----------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def bars(self, syncs: Sequence[str], each: int = BARS) -> dict[str, list[Bar]]:
        """The last runs of each sync, oldest first."""
        return self._workspace.insights.bars(syncs, each)

    @verb(Scope.READ)
    def sums(self, period: Period, syncs: Sequence[str] | None = None) -> list[Sums]:
        """One for each slot of the period, those in which nothing ended too."""
        starts = period.starts(self._now())
        only = syncs[0] if syncs is not None and len(syncs) == 1 else None
        found = self._workspace.insights.slots(starts[0], period.width, only)
        digits = "%Y-%m-%dT%H" if period.width == "hour" else "%Y-%m-%d"
        return [
            _sum(start, [one for one in slots if syncs is None or one.sync in syncs])
            for start, slots in (
                (start, [one for one in found if one.start == start.strftime(digits)]) for start in starts
            )
        ]

    @verb(Scope.READ)
    def delivered_by_sync(self, period: Period) -> dict[str, list[int]]:
        """Rows delivered in each slot of the period, by sync; a sync without runs in it is left out."""
        starts = period.starts(self._now())
        digits = "%Y-%m-%dT%H" if period.width == "hour" else "%Y-%m-%d"
        place = {start.strftime(digits): number for number, start in enumerate(starts)}
        found: dict[str, list[int]] = {}
        for slot in self._workspace.insights.slots(starts[0], period.width):
            if slot.start in place:
                found.setdefault(slot.sync, [0] * len(starts))[place[slot.start]] += slot.delivered
        return found

    @verb(Scope.READ)
    def requests_a_second(self, destination: str) -> float | None:
        """What the rate limit of the destination's main API lets through; None without one, or where it can't be told.

        Raises NotFound.
        """
        self._catalog.get("destination", destination)
        try:
            opened = self._assembly.destination(destination)
            rate = opened.limits(opened.api).rate
        except HeadraceError:
            return None
        return rate.requests / rate.per_seconds if rate is not None else None

    @verb(Scope.READ)
    def stages(self, run_ids: Sequence[int]) -> dict[int, list[StageTime]]:
        """How long each run was at each stage; what one is at now is not in it."""
        times: dict[int, list[StageTime]] = {run_id: [] for run_id in run_ids}
        for this, following in pairwise(self._workspace.insights.stages(run_ids)):
            if this.run_id == following.run_id and this.stage != "finished":
                times[this.run_id].append(StageTime(this.stage, (following.at - this.at).total_seconds()))
        return times

    # A row and its past -------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def tries(self, logged: LoggedCall) -> list[LoggedCall]:
        """The call and its other tries in its run, oldest first."""
        if not logged.call.keys:
            return [logged]
        of_row = CallFilter(run=logged.run_id, key=logged.call.keys[0])
        found = self._workspace.calls.find(of_row, TRIES, order="oldest").items
        return [one for one in found if _asks(one) == _asks(logged)] or [logged]

    @verb(Scope.READ)
    def delivered_before(self, row: LoggedOutcome, sync: str) -> LoggedCall | None:
        """The call that last delivered this row before; None where there is none, or it is not kept any more."""
        found = self._workspace.insights.delivered_before(row.record.key, sync, row.sequence)
        if found is None:
            return None
        try:
            return self._workspace.calls.get(*found)
        except HeadraceError:
            return None


def _asks(logged: LoggedCall) -> tuple[object, ...]:
    call = logged.call
    return (call.method, call.url, call.purpose, tuple(call.keys))


def _sum(start: datetime, slots: Sequence[Slot]) -> Sums:
    names = ("runs", "delivered", "skipped", "invalid", "rejected", "owed", "requests")
    return Sums(start, *(sum(getattr(one, name) for one in slots) for name in names))

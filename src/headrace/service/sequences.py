"""Sequences: syncs in an order, each started after the end of the one before, while those ends allow it.

How far a run of a sequence is stands in the store. Every server moves it on, at the end of a run and at each tick, and
each step is taken once: a run is made under a key of its step, and the position moves only from where it was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.domain.access import Scope, whole
from headrace.domain.config import Overlap, SequenceConfig
from headrace.domain.errors import HeadraceError, UserError, WorldError
from headrace.domain.outcome import Counts, RunStatus
from headrace.service.catalog import CatalogService
from headrace.service.runs import RunService
from headrace.service.verbs import acting_as, current_actor, note, verb
from headrace.store.page import LIMIT, Page
from headrace.store.runs import Run
from headrace.store.sequences import SequenceRun, SequenceRuns
from headrace.store.workspace import Workspace

TAKEOVER_LASTS = timedelta(minutes=2)
"""So long an interrupted run may wait for the one that takes over, before the sequence asks for one itself."""
_WORST_FIRST = (
    RunStatus.FAILED,
    RunStatus.HELD,
    RunStatus.CANCELLED,
    RunStatus.SUCCEEDED_WITH_REJECTIONS,
    RunStatus.SUCCEEDED,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One sync of a run of a sequence; `run` is None before its turn."""

    sync: str
    run: Run | None


@dataclass(frozen=True, slots=True)
class SequenceProgress:
    """A run of a sequence with its steps."""

    run: SequenceRun
    steps: tuple[Step, ...]


class SequenceService:
    """Runs sequences of one workspace."""

    def __init__(
        self, workspace: Workspace, catalog: CatalogService, runs: RunService, now: Callable[[], datetime]
    ) -> None:
        self._workspace = workspace
        self._store: SequenceRuns = workspace.sequences
        self._catalog = catalog
        self._runs = runs
        self._now = now
        runs.ended.append(self._run_ended)

    # Asking -------------------------------------------------------------------------------------------------------

    @verb(Scope.RUN, changes=lambda name, **_: f"sequence {name}")
    def trigger(self, name: str, *, reason: str = "manual", overlap: Overlap = "queue") -> SequenceRun:
        """Starts the sequence; its first run is queued when this returns, or waits for the sync's own run.

        Raises NotFound, and UserError `sequence_busy` where one is queued already, or under `skip` where one is live.
        """
        sequence: SequenceConfig = self._catalog.get("sequence", name)
        by = current_actor().name
        created = self._store.create(name, sequence.syncs, reason, by, queue=overlap == "queue")
        note(f"sequence {name}", None, {"sequence_run": created.id, "reason": reason})
        self._advance_as_scheduler(created)
        return self._store.get(created.id)

    @verb(Scope.RUN, changes=lambda run_id: f"sequence run {run_id}")
    def cancel(self, run_id: int) -> SequenceRun:
        """Ends it: its run under way is asked to stop, and the rest does not start.

        Raises NotFound, UserError `run_ended`.
        """
        cancelled = self._store.cancel(run_id, f"Cancelled by {current_actor().name}.")
        for step in self._steps(cancelled):
            if step.run is not None and not step.run.status.is_end:
                self._cancel_step(step.run.id)
        return cancelled

    @verb(Scope.READ)
    def runs(self, name: str | None = None, limit: int = LIMIT, cursor: str | None = None) -> Page[SequenceRun]:
        """Newest first."""
        return self._store.list(name, limit=limit, cursor=cursor)

    @verb(Scope.READ)
    def progress(self, run_id: int) -> SequenceProgress:
        """How far it is. Raises NotFound."""
        run = self._store.get(run_id)
        return SequenceProgress(run, self._steps(run))

    def _steps(self, run: SequenceRun) -> tuple[Step, ...]:
        numbers = self._store.steps(run.id)
        return tuple(
            Step(sync, self._workspace.runs.get(numbers[sync]) if sync in numbers else None) for sync in run.syncs
        )

    def _cancel_step(self, run_id: int) -> None:
        try:
            self._runs.cancel(run_id)
        except UserError as error:
            if error.code != "run_ended":  # it was faster than we
                raise

    # Going on -----------------------------------------------------------------------------------------------------

    @verb(Scope.RUN)
    def advance(self) -> None:
        """Moves every live run of a sequence on as far as it goes. For the tick."""
        for run in self._store.live():
            self._advance_as_scheduler(run)

    def _run_ended(self, ended: Run) -> None:
        """A run has ended in this process: its sequence goes on at once, and so do those that waited for the sync."""
        with suppress(WorldError):  # the run is not to suffer for the store's fault, and the tick does the same again
            for run in self._store.live():
                if ended.sequence_run == run.id or ended.sync in run.syncs:
                    self._advance_as_scheduler(run)

    def _advance_as_scheduler(self, run: SequenceRun) -> None:
        with acting_as(whole("scheduler")):
            while self._advance(run):
                run = self._store.get(run.id)

    def _advance(self, run: SequenceRun) -> bool:
        """One move; False where there is none to make now."""
        if run.status is RunStatus.QUEUED:
            running = [one for one in self._store.live() if one.sequence == run.sequence and one.id < run.id]
            return not running and self._store.start(run.id)
        if run.status is not RunStatus.RUNNING:
            return False
        if run.position >= len(run.syncs):
            return self._finish(run)
        sync = run.syncs[run.position]
        step = self._store.steps(run.id).get(sync)
        try:
            if step is None:
                self._start(run, sync, attempt=0)
                return False
            done = self._workspace.runs.get(step)
            if done.status is RunStatus.INTERRUPTED:
                self._start_again(run, sync, done)
                return False
        except WorldError:
            raise
        except HeadraceError as error:
            return self._could_not_start(run, sync, error)
        if not done.status.is_end:
            return False
        why = _why_it_stops(self._rule(run), done)
        if why is not None:
            return self._end(run, done.status, why)
        return self._store.step(run)

    def _start(self, run: SequenceRun, sync: str, attempt: int) -> None:
        """Queues the run of a step, once. Where one of the sync is queued already, that one is waited for."""
        key = f"sequence run {run.id}, {sync}, {attempt}"
        try:
            self._runs.trigger(sync, reason="sequence", sequence_run=run.id, idempotency_key=key)
        except UserError as error:
            if error.code != "sync_busy":
                raise

    def _start_again(self, run: SequenceRun, sync: str, interrupted: Run) -> None:
        """An interrupted run is taken over by another, as a rule."""
        ended = interrupted.ended_at or interrupted.created_at
        if self._now() - ended > TAKEOVER_LASTS:
            self._start(run, sync, attempt=interrupted.id)

    def _could_not_start(self, run: SequenceRun, sync: str, error: HeadraceError) -> bool:
        message = f'Sync "{sync}" could not be started: {error.message}'
        if self._rule(run).stop != "never":
            return self._end(run, RunStatus.FAILED, message)
        return self._store.step(run)

    def _finish(self, run: SequenceRun) -> bool:
        """All syncs had their turn: it ended as the worst of them did."""
        steps = self._steps(run)
        ends = {step.run.status if step.run else RunStatus.FAILED for step in steps}
        worst = next(status for status in _WORST_FIRST if status in ends)
        bad = [step.sync for step in steps if step.run is None or step.run.status in _WORST_FIRST[:3]]
        message = f"It went on after {', '.join(bad)}, which did not get through." if bad else None
        return self._end(run, worst, message)

    def _end(self, run: SequenceRun, status: RunStatus, message: str | None) -> bool:
        self._store.end(run, status, message)
        for waiting in self._store.live():
            if waiting.sequence == run.sequence and waiting.status is RunStatus.QUEUED:
                self._advance_as_scheduler(waiting)
        return False

    def _rule(self, run: SequenceRun) -> SequenceConfig:
        """The sequence as it is now; one that was deleted meanwhile stops at the first fault."""
        try:
            return self._catalog.get("sequence", run.sequence)  # type: ignore[no-any-return]
        except UserError:
            return SequenceConfig(syncs=list(run.syncs))


def _why_it_stops(sequence: SequenceConfig, run: Run) -> str | None:
    """Why the rest of a sequence is left out after that run; None: it goes on."""
    if sequence.stop == "never":
        return None
    if run.status in (RunStatus.FAILED, RunStatus.HELD, RunStatus.CANCELLED):
        return f'Stopped after "{run.sync}": its run {run.id} {_ENDED[run.status]}.'
    if sequence.stop == "rejections":
        percent = rejected_percent(run.counts)
        if percent > sequence.max_rejected_percent:
            message = (
                f'Stopped after "{run.sync}": {percent:.1f} % of the planned rows of its run {run.id} were rejected '
            )
            return message + f"or invalid, and {sequence.max_rejected_percent:g} % are allowed."
    return None


_ENDED = {
    RunStatus.FAILED: "failed",
    RunStatus.HELD: "is held, so nothing of it was sent",
    RunStatus.CANCELLED: "was cancelled",
}


def rejected_percent(counts: Counts) -> float:
    """The share of planned rows that were rejected or invalid."""
    bad = counts.rejected + counts.invalid
    planned = bad + counts.delivered + counts.skipped + counts.owed
    return 100 * bad / planned if planned else 0.0

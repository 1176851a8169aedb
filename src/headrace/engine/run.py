"""One run of one sync, from the fold of what an earlier one left to the fold of its own.

Fold and re-plan is the only recovery: a run that was cut is not resumed, it is planned again over what it acknowledged.
The caller holds the sync's lock for the whole of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from headrace.domain.errors import Bug, HeadraceError
from headrace.domain.events import (
    RecordsListed,
    RowsRead,
    RunEvent,
    RunHeld,
    RunPlanned,
    RunProgressed,
    StageStarted,
)
from headrace.domain.mapping import Mapping as RowMapping
from headrace.domain.outcome import Counts, RowOutcome, RunStatus
from headrace.domain.plan import Hold
from headrace.engine.batches import BatchExecutor
from headrace.engine.exchange import Exchange
from headrace.engine.execute import Executor, watch
from headrace.engine.extract import Extraction
from headrace.engine.job import Job, delivery_for, planner_for, prepare, reads_before
from headrace.engine.ledger import Ledger, connect, remove_database
from headrace.engine.lookups import Lookups
from headrace.engine.planned import Plan
from headrace.engine.planner import Planner
from headrace.engine.ports import Acknowledgements, Clock, Depot, FileKind, Identities, OutcomeRecord, RunLog, run_lost
from headrace.engine.recorder import Recorder
from headrace.engine.throttle import Budgets, Throttle

Emit = Callable[[RunEvent], None]
PROGRESS_EVERY_S = 0.25
SMALL_PLAN = 16 << 20
"""Bytes of a plan's file up to which its fold takes one thread: more would only take their memory."""


class InPlace:
    """The depot of a workspace on one machine: files stay where they are."""

    def take(self) -> None:
        return

    def keep(self, *kinds: FileKind) -> None:
        return


@dataclass(frozen=True, slots=True)
class Remembering:
    """The ports that remember, for one run."""

    log: RunLog
    acknowledgements: Acknowledgements
    identities: Identities
    depot: Depot = field(default_factory=InPlace)
    budgets: Budgets | None = None
    """Where rate limits are shared with other machines; None where the files of this one do."""


@dataclass(slots=True)
class RunResult:
    """How a run ended. `error` is what failed it, `hold` why it waits for a person."""

    status: RunStatus
    counts: Counts
    error: HeadraceError | None = None
    hold: Hold | None = None


def fold_left_over(job: Job, acknowledgements: Acknowledgements) -> int | None:
    """Folds what an earlier run acknowledged and did not fold. Returns the rows, None where nothing was left."""
    if not os.path.exists(job.paths.planned):
        return None
    small = os.path.getsize(job.paths.planned) < SMALL_PLAN
    con = connect(job.memory_limit_mb, job.paths.temporary, threads=1 if small else None)
    try:
        ledger = Ledger(con, job.paths.ledger)
        ledger.attach(write=True)
        acknowledged = ledger.fold(job.paths.planned, acknowledgements)
        con.execute("CHECKPOINT ledger")  # the file is whole without its log: a depot keeps nothing else
        return acknowledged
    finally:
        con.close()


class Stop(asyncio.Event):
    """Set when the run is to end. It is asked before each request, and so is `mine`: who lost the run sends no more."""

    def __init__(self, mine: Callable[[], bool]) -> None:
        super().__init__()
        self._mine = mine

    def is_set(self) -> bool:
        return super().is_set() or not self._mine()


class Run:
    """A run under way. `stop` asks it to end: it stops sending, keeps what was acknowledged, and folds.

    `mine` says whether this process still owns the run; embedded, it always does.
    """

    def __init__(
        self,
        run_id: int,
        job: Job,
        memory: Remembering,
        clock: Clock,
        emit: Emit,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        self._id = run_id
        self._job = job
        self._memory = memory
        self._clock = clock
        self._emit = emit
        self._mine = mine
        self._counts = Counts()
        self._interrupted = False
        self._stop: asyncio.Event | None = None
        self._planner: Planner | None = None

    @property
    def counts(self) -> Counts:
        """The numbers so far."""
        return self._counts

    def interrupt(self) -> None:
        """Ctrl-C: like a cancel, but the run ends as interrupted. Callable from a signal handler on the loop."""
        self._interrupted = True
        if self._stop is not None:
            self._stop.set()

    def lose(self) -> None:
        """Another has taken the run: it sends no more, and folds nothing. Callable on the loop."""
        self._mine = lambda: False
        if self._stop is not None:
            self._stop.set()

    async def go(self) -> RunResult:
        """Does the whole of it. Every HeadraceError becomes a failed run; only a Bug or worse gets out."""
        self._stop = Stop(lambda: self._mine())
        if self._interrupted:
            self._stop.set()
        started = self._clock.monotonic()
        try:
            return await self._go(started)
        except Bug:
            raise
        except HeadraceError as error:
            return RunResult(RunStatus.FAILED, self._counts, error)
        except ExceptionGroup as group:
            first = _first(group)
            if isinstance(first, Bug) or not isinstance(first, HeadraceError):
                raise first from None
            return RunResult(RunStatus.FAILED, self._counts, first)

    async def _go(self, started: float) -> RunResult:
        job, stop, depot = self._job, self._stop, self._memory.depot
        assert stop is not None
        self._emit(StageStarted("fold"))
        await asyncio.to_thread(self._take_and_fold)
        self._emit(StageStarted("read"))
        mapping, extraction, _ = await asyncio.to_thread(prepare, job, self._id, self._clock.now())
        plan = await self._make_plan(mapping, extraction)
        if plan is None or stop.is_set():
            if plan is not None:
                plan.close()
            remove_database(job.paths.planned)
            self._demand_mine()
            return RunResult(self._ended_status(), self._counts)
        try:
            self._counts = plan.counts
            self._emit(RunPlanned(plan.counts, plan.to_send, plan.notes))
            if (held := self._held(plan)) is not None:
                plan.close()
                remove_database(job.paths.planned)
                await asyncio.to_thread(depot.keep, "held")
                return held
            if plan.must_fold:
                # What is acknowledged from here on can be folded by another machine, should this one die.
                await asyncio.to_thread(depot.keep, "planned")
            recorder = Recorder(self._memory.log, plan.counts)
            failure: HeadraceError | None = None
            try:
                self._record_unusable(plan, recorder)
                if plan.to_send and not job.options.reset_cdc:
                    self._emit(StageStarted("send"))
                    failure = await self._send(plan, mapping, recorder, started)
                recorder.flush()
            finally:
                recorder.close()
        finally:
            plan.close()
        self._demand_mine()
        if plan.must_fold:
            await asyncio.to_thread(fold_left_over, job, self._memory.acknowledgements)
        else:
            remove_database(job.paths.planned)
        Path(job.paths.held).unlink(missing_ok=True)
        changed: tuple[FileKind, ...] = ("ledger", "planned", "held") if plan.must_fold else ("held",)
        await asyncio.to_thread(depot.keep, *changed)
        if failure is not None:
            return RunResult(RunStatus.FAILED, plan.counts, failure)
        return RunResult(self._ended_status(), plan.counts)

    def _take_and_fold(self) -> None:
        self._memory.depot.take()
        if fold_left_over(self._job, self._memory.acknowledgements) is not None:
            self._memory.depot.keep("ledger", "planned")

    def _demand_mine(self) -> None:
        if not self._mine():
            raise run_lost(self._id)

    def _ended_status(self) -> RunStatus:
        assert self._stop is not None
        if self._interrupted:
            return RunStatus.INTERRUPTED
        if self._stop.is_set():
            return RunStatus.CANCELLED
        troubled = self._counts.rejected or self._counts.invalid or self._counts.owed
        return RunStatus.SUCCEEDED_WITH_REJECTIONS if troubled else RunStatus.SUCCEEDED

    async def _make_plan(self, mapping: RowMapping, extraction: Extraction) -> Plan | None:
        """The plan, or None where the run was told to end meanwhile."""
        job, stop = self._job, self._stop
        assert stop is not None
        read = Counts()

        def counted(rows: int) -> None:
            read.rows = rows
            self._emit(RowsRead(rows))

        planner = planner_for(job, mapping, extraction, counted)
        remove_database(job.paths.planned)
        making = asyncio.create_task(
            asyncio.to_thread(planner.make, self._id, job.paths.planned, baseline=job.options.reset_cdc)
        )
        stopping = asyncio.create_task(stop.wait())
        log = self._memory.log
        watching = asyncio.create_task(watch(stop, log.cancel_requested, lambda: log.progress(read, 0, 0.0), 0.5))
        try:
            await asyncio.wait({making, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                return making.result()
            planner.interrupt()
            with suppress(HeadraceError):
                return await making
            return None
        finally:
            stopping.cancel()
            watching.cancel()

    def _held(self, plan: Plan) -> RunResult | None:
        if plan.hold is None:
            return None
        if self._job.options.approved:
            unseen = plan.removals_not_in(self._job.paths.held)
            if unseen == 0:
                return None
            message = f"{plan.hold.message} {unseen:,} of them were not among those that were approved."
            hold = Hold(plan.hold.removed, plan.hold.known, message)
        else:
            hold = plan.hold
        plan.keep_removals(self._job.paths.held)
        self._emit(RunHeld(self._id, hold.message))
        return RunResult(RunStatus.HELD, plan.counts, hold=hold)

    def _record_unusable(self, plan: Plan, recorder: Recorder) -> None:
        """Rows without a usable primary key: each gets its outcome, none is sent."""
        key = ", ".join(self._job.model.primary_key)
        messages = {
            "primary_key_null": f"The primary key ({key}) is null or blank, so the row can't be told from others.",
            "primary_key_duplicate": f"The primary key ({key}) of the row stands in several rows; none is sent.",
        }
        for batch in plan.invalid():
            for row_key, code, copies in batch:
                outcome = OutcomeRecord(row_key, None, None, "none", RowOutcome.INVALID, code, key, messages[code])
                recorder.outcomes([outcome] * copies, counted=False)

    async def _send(self, plan: Plan, mapping: RowMapping, recorder: Recorder, started: float) -> HeadraceError | None:
        assert self._stop is not None
        concurrency = min(self._job.destination.limits(self._job.destination.api).concurrency, plan.to_send)

        def show(waiting_s: float) -> None:
            self._emit(RunProgressed(plan.counts, plan.to_send, self._clock.monotonic() - started, waiting_s))
            self._memory.log.progress(plan.counts, plan.to_send, waiting_s)

        sending = sending_for(
            self._job, mapping, self._memory, recorder, self._clock, self._stop, concurrency, self._emit, show
        )
        async with sending as executor:
            await executor.list_first(plan)
            await executor.run(plan.rows(old=reads_before(self._job)), concurrency)
        return executor.failure


@asynccontextmanager
async def sending_for(
    job: Job,
    mapping: RowMapping,
    memory: Remembering,
    recorder: Recorder,
    clock: Clock,
    stop: asyncio.Event,
    concurrency: int,
    emit: Emit,
    show: Callable[[float], None],
) -> AsyncIterator[Executor | BatchExecutor]:
    """An executor with everything it sends through, opened and closed around it. `show` is told of progress."""
    from headrace.engine.transport import HttpTransport  # a run that sends nothing need not wait for it

    with ExitStack() as opened:
        throttles: dict[str, Throttle] = {}

        def throttle(api: str) -> Throttle:
            if api not in throttles:
                throttles[api] = Throttle(job.destination.limits(api), job.paths.limits, clock, memory.budgets)
                opened.callback(throttles[api].close)
            return throttles[api]

        def tick() -> None:
            show(max((one.waiting_s for one in throttles.values()), default=0.0))

        def listed(kind: str, records: int, requests: int) -> None:
            emit(RecordsListed(kind, records, requests))

        delivery = delivery_for(job, mapping)
        async with HttpTransport(concurrency) as transport:
            exchange = Exchange(job.destination, transport, throttle, recorder, clock, stop)
            executor: Executor | BatchExecutor
            if job.destination.batching is None:
                lookups = Lookups(job.destination, exchange, memory.identities, recorder, listed)
                executor = Executor(delivery, job.destination, exchange, lookups, recorder, stop)
            else:
                executor = BatchExecutor(delivery, job.destination, exchange, recorder, stop)
            watching = asyncio.create_task(watch(stop, memory.log.cancel_requested, tick, PROGRESS_EVERY_S))
            try:
                yield executor
            finally:
                watching.cancel()
                tick()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner

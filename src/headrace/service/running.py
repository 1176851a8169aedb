"""Carrying runs out, in this process: one's turn, the run itself, its end. Who owns a sync is `owning`'s matter.

Used by the command line, which waits for its run, and by the worker, which takes what was queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from headrace.domain.config import sync_id
from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.events import RunEvent, RunFinished, RunHeld, RunPlanned, RunStarted, StageStarted
from headrace.domain.outcome import Counts, RunStatus
from headrace.engine.job import Job, Paths, RunOptions
from headrace.engine.ports import Clock, run_lost
from headrace.engine.run import Remembering, Run, RunResult
from headrace.service.assembly import Assembly
from headrace.service.owning import FileOwners, Follow, Owned, Owners, Settled
from headrace.store.depot import Files, in_place
from headrace.store.runs import Hold, NewRun
from headrace.store.runs import Run as StoredRun
from headrace.store.workspace import Workspace

APPROVAL_LASTS = timedelta(hours=24)
Emit = Callable[[RunEvent], None]
Waiting = Callable[[str], None]
Ended = Callable[[StoredRun], None]
Depots = Callable[[StoredRun, Paths], AbstractContextManager[Files]]
"""The files of a run's sync, and the depot that keeps them; the paths are those of a workspace on one machine."""


def embedded(workspace: Workspace) -> tuple[Owners, Depots]:
    """Who owns a sync, and where its files are, in a workspace that is a folder."""
    owners = FileOwners(workspace.runs, workspace.lock_path)
    return owners, lambda run, paths: in_place(run.id, paths)


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended, as `run --json` prints it."""

    run_id: int
    sync: str
    status: RunStatus
    counts: Counts
    seconds: float
    error: HeadraceError | None = None
    held: str | None = None
    lost: bool = False
    """Whether another process has taken the run, and goes on with the sync."""


class Runner:
    """Runs syncs of one workspace. Several at once are several loops, each in a thread of its own."""

    def __init__(self, workspace: Workspace, assembly: Assembly, clock: Clock, owners: Owners, depots: Depots) -> None:
        self._workspace = workspace
        self._assembly = assembly
        self._clock = clock
        self.owners = owners
        self.depots = depots
        self._under_way: dict[int, tuple[asyncio.AbstractEventLoop, Run]] = {}
        self.interrupted = False
        self.ended: list[Ended] = []
        """Told of every run that ended in this process, once its end is durable."""

    def interrupt(self) -> None:
        """Ends the runs under way and starts no other. Callable from any thread and from signal handlers."""
        self.interrupted = True
        for loop, run in list(self._under_way.values()):
            _tell_loop(loop, run.interrupt)

    async def run(self, new: NewRun, options: RunOptions, emit: Emit, waiting: Waiting, *, queue: bool) -> RunReport:
        """Runs a sync to its end. Waits for a live run of it to end first, where `queue` allows.

        Raises UserError `sync_busy` when one is queued already, and what configuration or secrets lack.
        """
        job = self._assembly.job(new.sync, options)
        with await self._take_turn(new, waiting, queue=queue) as owned:
            return await self._run(owned, job, emit)

    async def execute(self, run_id: int, emit: Emit) -> RunReport | None:
        """Runs what was queued. None where it is no longer for us: somebody has its sync, or it was cancelled."""
        owned = self.owners.claim(run_id)
        if owned is None:
            return None
        with owned:
            try:
                job = self._assembly.job(owned.run.sync, options_of(owned.run))
            except HeadraceError as error:
                return self._refused(owned.run, error, emit)
            return await self._run(owned, job, emit)

    async def _take_turn(self, new: NewRun, waiting: Waiting, *, queue: bool) -> Owned:
        if (owned := self.owners.begin(new)) is not None:
            return owned
        busy = f'Sync "{new.sync}" is running already, by {self.owners.holder(new.sync_id)}'
        if not queue:
            raise UserError(f"{busy}. Wait for it, or cancel it.", code="sync_busy")
        try:
            place = self.owners.wait_in_line(new)
        except UserError as error:
            if error.code != "sync_busy":
                raise
            message = f"{busy}, and one more run is queued. Wait for it, or cancel it."
            raise UserError(message, code="sync_busy") from error
        with place:
            run_id = place.run.id
            waiting(f"{busy}. This run ({run_id}) is queued and starts when that one ends.")
            while (owned := self.owners.claim(run_id)) is None:
                await self._clock.sleep(0.2)
                if self.interrupted or self._workspace.runs.get(run_id).status is not RunStatus.QUEUED:
                    self._workspace.runs.give_up(run_id)
                    raise UserError(f"Run {run_id} was cancelled while it was queued.", code="cancelled")
            return owned

    async def _run(self, owned: Owned, job: Job, emit: Emit) -> RunReport:
        stored, started = owned.run, self._clock.monotonic()
        tell = self._teller(stored.id, emit)
        tell(RunStarted(stored.id, stored.sync))
        scope = job.destination.limits(job.destination.api).credential
        with ExitStack() as opened:
            log = opened.enter_context(self._workspace.run_log(stored.id, scope))
            files = opened.enter_context(self.depots(stored, job.paths))
            memory = Remembering(
                log,
                self._workspace.acknowledgements,
                self._workspace.identities(scope),
                files.depot,
                self._workspace.budgets(),
            )
            run = Run(stored.id, replace(job, paths=files.paths), memory, self._clock, tell, owned.mine)
            loop = asyncio.get_running_loop()
            self._under_way[stored.id] = (loop, run)
            owned.on_lost(lambda: _tell_loop(loop, run.lose))
            if self.interrupted:
                run.interrupt()
            try:
                result = await run.go()
            except BaseException as broken:
                wrapped = HeadraceError(f"{type(broken).__name__}: {broken}", code="bug")
                self._say_ended(self._workspace.runs.finish(stored.id, RunStatus.FAILED, run.counts, wrapped))
                raise
            finally:
                del self._under_way[stored.id]
        return self._end(stored, result, self._clock.monotonic() - started, tell)

    def _refused(self, stored: StoredRun, error: HeadraceError, emit: Emit) -> RunReport:
        """Ends a run whose configuration or secrets do not allow it to begin."""
        result = RunResult(RunStatus.FAILED, stored.counts, error)
        return self._end(stored, result, 0.0, self._teller(stored.id, emit))

    def _end(self, stored: StoredRun, result: RunResult, seconds: float, tell: Emit) -> RunReport:
        error = result.error
        if error is not None and error.code == "run_lost":
            return _lost(stored, result, seconds, error)
        try:
            if result.hold is None:
                ended = self._workspace.runs.finish(stored.id, result.status, result.counts, error)
            else:
                expires = self._clock.now() + APPROVAL_LASTS
                hold = Hold(result.hold.removed, result.hold.message, str(stored.id), expires)
                ended = self._workspace.runs.hold(stored.id, result.counts, hold)
        except UserError as ended_before:
            if ended_before.code != "run_ended":
                raise
            return _lost(stored, result, seconds, run_lost(stored.id))
        code, message = (error.code, error.message) if error else (None, None)
        tell(RunFinished(stored.id, stored.sync, result.status, result.counts, seconds, code, message))
        self._say_ended(ended)
        held = result.hold.message if result.hold else None
        return RunReport(stored.id, stored.sync, result.status, result.counts, seconds, error, held)

    def settle(self, follow: Follow, sync_id: str | None = None) -> list[Settled]:
        """Ends live runs whose owner is gone, and queues those that go on."""
        settled = self.owners.settle(follow, sync_id)
        for one in settled:
            self._workspace.events.append(one.dead.id, *fact_of_death(one))
            self._say_ended(one.dead)
        return settled

    def _say_ended(self, run: StoredRun) -> None:
        for listener in self.ended:
            listener(run)

    def _teller(self, run_id: int, emit: Emit) -> Emit:
        """Keeps the facts among the events, and hands all of them on."""

        def tell(event: RunEvent) -> None:
            if (fact := fact_of(event)) is not None:
                self._workspace.events.append(run_id, *fact)
            emit(event)

        return tell


def _tell_loop(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has just closed: the run has ended
        loop.call_soon_threadsafe(what)


def _lost(stored: StoredRun, result: RunResult, seconds: float, error: HeadraceError) -> RunReport:
    """The report of a run that another took over: its end stands in the store already, and is not ours to write."""
    return RunReport(stored.id, stored.sync, RunStatus.INTERRUPTED, result.counts, seconds, error, lost=True)


def fact_of(event: RunEvent) -> tuple[str, dict[str, Any]] | None:
    """The word and the document under which an event is kept; None for one that only tells of progress."""
    match event:
        case RunStarted(sync=sync):
            return "started", {"sync": sync}
        case StageStarted(stage=stage):
            return "stage", {"stage": stage}
        case RunPlanned(counts=counts, to_send=to_send, notes=notes):
            return "planned", {**_numbers(counts), "to_send": to_send, "notes": list(notes)}
        case RunHeld(message=message):
            return "held", {"message": message}
        case RunFinished(status=status, counts=counts, seconds=seconds, code=code, message=message):
            ended = {"status": str(status), "seconds": round(seconds, 3), "code": code, "message": message}
            return "finished", {**ended, **_numbers(counts)}
        case _:
            return None


def fact_of_death(settled: Settled) -> tuple[str, dict[str, Any]]:
    """The last fact of a run whose owner is gone, as `fact_of`."""
    dead, follower = settled.dead, settled.follower
    message = f"The process that ran it ({dead.owner}) is gone. What was acknowledged stays."
    if follower is not None:
        message += f" Run {follower.id} goes on."
    ended = {"status": str(dead.status), "seconds": dead.seconds, "code": "interrupted", "message": message}
    return "finished", {**ended, **_numbers(dead.counts)}


def _numbers(counts: Counts) -> dict[str, int]:
    return asdict(counts)


def options_of(run: StoredRun) -> RunOptions:
    """How the run was asked for."""
    keys = run.options.get("keys")
    return RunOptions(
        full_resync=bool(run.options.get("full_resync")),
        reset_cdc=bool(run.options.get("reset_cdc")),
        keys=tuple(keys) if keys else None,
        approved=bool(run.options.get("approved")),
    )


def document_of(options: RunOptions) -> dict[str, Any]:
    """The options as a run keeps them."""
    return {
        "full_resync": options.full_resync,
        "reset_cdc": options.reset_cdc,
        "keys": list(options.keys) if options.keys else None,
        "approved": options.approved,
    }


def new_run(sync_name: str, sync: Any, options: RunOptions, reason: str, asked_by: str) -> NewRun:
    """A run to be of that sync."""
    return NewRun(
        sync=sync_name,
        sync_id=sync_id(sync_name, sync),
        options=document_of(options),
        reason=reason,
        requested_by=asked_by,
    )

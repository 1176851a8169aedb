"""Carrying runs out, in this process: one's turn, the run itself, its end. Embedded, a file lock says who owns a sync.

Used by the command line, which waits for its run, and by the worker, which takes what was queued.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from headrace.domain.config import sync_id
from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.events import RunEvent, RunFinished, RunHeld, RunPlanned, RunStarted, StageStarted
from headrace.domain.outcome import Counts, RunStatus
from headrace.engine.job import Job, RunOptions
from headrace.engine.ports import Clock
from headrace.engine.run import Remembering, Run, RunResult
from headrace.service.assembly import Assembly
from headrace.service.locks import FileLock
from headrace.store.runs import Hold, NewRun
from headrace.store.runs import Run as StoredRun
from headrace.store.workspace import Workspace

APPROVAL_LASTS = timedelta(hours=24)
Emit = Callable[[RunEvent], None]
Waiting = Callable[[str], None]
Ended = Callable[[StoredRun], None]


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


class Runner:
    """Runs syncs of one workspace. Several at once are several loops, each in a thread of its own."""

    def __init__(self, workspace: Workspace, assembly: Assembly, clock: Clock) -> None:
        self._workspace = workspace
        self._assembly = assembly
        self._clock = clock
        self._under_way: dict[int, tuple[asyncio.AbstractEventLoop, Run]] = {}
        self.interrupted = False
        self.ended: list[Ended] = []
        """Told of every run that ended in this process, once its end is durable."""

    def interrupt(self) -> None:
        """Ends the runs under way and starts no other. Callable from any thread and from signal handlers."""
        self.interrupted = True
        for loop, run in list(self._under_way.values()):
            loop.call_soon_threadsafe(run.interrupt)

    async def run(self, new: NewRun, options: RunOptions, emit: Emit, waiting: Waiting, *, queue: bool) -> RunReport:
        """Runs a sync to its end. Waits for a live run of it to end first, where `queue` allows.

        Raises UserError `sync_busy` when one is queued already, and what configuration or secrets lack.
        """
        job = self._assembly.job(new.sync, options)
        with FileLock(self._workspace.lock_path(new.sync_id)) as lock:
            stored = await self._take_turn(lock, replace(new, owner=owner()), waiting, queue=queue)
            return await self._run(stored, job, emit)

    async def execute(self, run_id: int, emit: Emit) -> RunReport | None:
        """Runs what was queued. None where it is no longer for us: somebody has its sync, or it was cancelled."""
        stored = self._workspace.runs.get(run_id)
        with FileLock(self._workspace.lock_path(stored.sync_id)) as lock:
            if not lock.try_take(f"run {run_id} of {stored.sync}"):
                return None
            self._workspace.runs.mark_interrupted(stored.sync_id)
            claimed = self._workspace.runs.claim(run_id, owner())
            if claimed is None:
                return None
            try:
                job = self._assembly.job(stored.sync, options_of(stored))
            except HeadraceError as error:
                return self._refused(claimed, error, emit)
            return await self._run(claimed, job, emit)

    async def _take_turn(self, lock: FileLock, new: NewRun, waiting: Waiting, *, queue: bool) -> StoredRun:
        runs = self._workspace.runs
        holder = f"a run of {new.sync}"
        if lock.try_take(holder):
            runs.mark_interrupted(new.sync_id)
            return runs.create(new)
        busy = f'Sync "{new.sync}" is running already, by {lock.holder()}'
        queued = FileLock(self._workspace.lock_path(new.sync_id + ".queued"))
        with queued:
            if not queue or not queued.try_take(f"a queued run of {new.sync}"):
                more = ", and one more run is queued" if queue else ""
                raise UserError(f"{busy}{more}. Wait for it, or cancel it.", code="sync_busy")
            runs.end_queued(new.sync_id)
            stored = runs.create(replace(new, status=RunStatus.QUEUED))
            waiting(f"{busy}. This run ({stored.id}) is queued and starts when that one ends.")
            while not lock.try_take(holder):
                await self._clock.sleep(0.2)
                if self.interrupted or runs.get(stored.id).status is not RunStatus.QUEUED:
                    runs.end_queued(new.sync_id)
                    raise UserError(f"Run {stored.id} was cancelled while it was queued.", code="cancelled")
            runs.mark_interrupted(new.sync_id)
            claimed = runs.claim(stored.id, owner())
            if claimed is None:
                raise UserError(f"Run {stored.id} was cancelled while it was queued.", code="cancelled")
            return claimed

    async def _run(self, stored: StoredRun, job: Job, emit: Emit) -> RunReport:
        started = self._clock.monotonic()
        tell = self._teller(stored.id, emit)
        tell(RunStarted(stored.id, stored.sync))
        scope = job.destination.limits(job.destination.api).credential
        log = self._workspace.run_log(stored.id, scope)
        try:
            memory = Remembering(
                log,
                self._workspace.acknowledgements,
                self._workspace.identities(scope),
                budgets=self._workspace.budgets(),
            )
            run = Run(stored.id, job, memory, self._clock, tell)
            self._under_way[stored.id] = (asyncio.get_running_loop(), run)
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
        finally:
            log.close()
        return self._end(stored, result, self._clock.monotonic() - started, tell)

    def _refused(self, stored: StoredRun, error: HeadraceError, emit: Emit) -> RunReport:
        """Ends a run whose configuration or secrets do not allow it to begin."""
        result = RunResult(RunStatus.FAILED, stored.counts, error)
        return self._end(stored, result, 0.0, self._teller(stored.id, emit))

    def _end(self, stored: StoredRun, result: RunResult, seconds: float, tell: Emit) -> RunReport:
        if result.hold is None:
            ended = self._workspace.runs.finish(stored.id, result.status, result.counts, result.error)
        else:
            expires = self._clock.now() + APPROVAL_LASTS
            hold = Hold(result.hold.removed, result.hold.message, str(stored.id), expires)
            ended = self._workspace.runs.hold(stored.id, result.counts, hold)
        error = result.error
        code, message = (error.code, error.message) if error else (None, None)
        tell(RunFinished(stored.id, stored.sync, result.status, result.counts, seconds, code, message))
        self._say_ended(ended)
        held = result.hold.message if result.hold else None
        return RunReport(stored.id, stored.sync, result.status, result.counts, seconds, error, held)

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


def _numbers(counts: Counts) -> dict[str, int]:
    from dataclasses import asdict

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


def owner() -> str:
    """This process, as a run names it."""
    return f"{os.getpid()}@{socket.gethostname()}"

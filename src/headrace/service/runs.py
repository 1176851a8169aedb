"""Runs as a person asks for them: start, wait one's turn, cancel, approve, look back.

One live run a sync, decided by a lock and a unique index; a run asked for meanwhile is queued, one more is refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from headrace.domain.access import Scope
from headrace.domain.config import sync_id
from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.events import RunEvent, RunFinished, RunStarted
from headrace.domain.outcome import Counts, RunStatus
from headrace.engine.job import Job, RunOptions
from headrace.engine.ports import Clock
from headrace.engine.run import Remembering, Run, RunResult
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.locks import FileLock
from headrace.service.verbs import verb
from headrace.store.runs import Hold, NewRun
from headrace.store.runs import Run as StoredRun
from headrace.store.workspace import Workspace

APPROVAL_LASTS = timedelta(hours=24)
Emit = Callable[[RunEvent], None]
Waiting = Callable[[str], None]


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


class RunService:
    """Starts and steers runs of one workspace, in this process."""

    def __init__(self, workspace: Workspace, catalog: CatalogService, assembly: Assembly, clock: Clock) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._assembly = assembly
        self._clock = clock
        self._current: Run | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """Ctrl-C: ends the run under way and starts no other. Callable from a signal handler on the loop."""
        self._interrupted = True
        if self._current is not None:
            self._current.interrupt()

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    def in_order(self, names: Sequence[str] | None) -> list[str]:
        """The named syncs as given; without names all of them, parents before children."""
        if names is not None:
            for name in names:
                self._catalog.get("sync", name)
            return list(dict.fromkeys(names))
        return sorted(self._catalog.names("sync"), key=lambda name: (self._assembly.rank(name), name))

    @verb(Scope.READ)
    def consequence(self, name: str, options: RunOptions) -> str:
        """What a resync or a reset would do, in a sentence with its number: a person is asked before."""
        latest = self._workspace.runs.latest()
        known = next((one.counts.rows for one in latest.values() if one.sync == name), None)
        rows = f"all {known:,} rows (as of its last run)" if known is not None else "every row"
        if not options.full_resync:
            return f"{name}: {rows} will count as delivered as they are; nothing is sent."
        if self._assembly.target(name).once:
            return (
                f"{name}: {rows} will be sent again, each with the message id it had. The destination drops those that "
                "it still remembers; what it has forgotten counts twice."
            )
        return f"{name}: {rows} will be sent again, changed or not."

    @verb(Scope.RUN)
    async def run(
        self, name: str, options: RunOptions, emit: Emit, waiting: Waiting, *, queue: bool = True
    ) -> RunReport:
        """Runs a sync to its end. Waits for a live run of it to end first, where `queue` allows.

        Raises UserError `sync_busy` when one is queued already, and what configuration or secrets lack.
        """
        job = self._assembly.job(name, options)
        identity = sync_id(name, job.sync)
        lock = FileLock(self._workspace.lock_path(identity))
        said = {"full_resync": options.full_resync, "reset_cdc": options.reset_cdc, "keys": options.keys}
        new = NewRun(sync=name, sync_id=identity, options=said, owner=_owner())
        with lock:
            stored = await self._take_turn(lock, new, waiting, queue=queue)
            emit(RunStarted(stored.id, name))
            return await self._run(stored, job, emit)

    async def _take_turn(self, lock: FileLock, new: NewRun, waiting: Waiting, *, queue: bool) -> StoredRun:
        holder = f"a run of {new.sync}"
        if lock.try_take(holder):
            self._workspace.runs.mark_interrupted(new.sync_id)
            return self._workspace.runs.create(new)
        busy = f'Sync "{new.sync}" is running already, by {lock.holder()}'
        queued = FileLock(self._workspace.lock_path(new.sync_id + ".queued"))
        with queued:
            if not queue or not queued.try_take(f"a queued run of {new.sync}"):
                more = ", and one more run is queued" if queue else ""
                raise UserError(f"{busy}{more}. Wait for it, or cancel it.", code="sync_busy")
            self._workspace.runs.end_queued(new.sync_id)
            stored = self._workspace.runs.create(_queued(new))
            waiting(f"{busy}. This run ({stored.id}) is queued and starts when that one ends.")
            while not lock.try_take(holder):
                await self._clock.sleep(0.2)
                if self._interrupted or self._workspace.runs.get(stored.id).status is not RunStatus.QUEUED:
                    self._workspace.runs.end_queued(new.sync_id)
                    raise UserError(f"Run {stored.id} was cancelled while it was queued.", code="cancelled")
            self._workspace.runs.mark_interrupted(new.sync_id)
            claimed = self._workspace.runs.claim(stored.id, _owner())
            if claimed is None:
                raise UserError(f"Run {stored.id} was cancelled while it was queued.", code="cancelled")
            return claimed

    async def _run(self, stored: StoredRun, job: Job, emit: Emit) -> RunReport:
        started = self._clock.monotonic()
        scope = job.destination.limits(job.destination.api).credential
        log = self._workspace.run_log(stored.id, scope)
        try:
            memory = Remembering(log, self._workspace.acknowledgements, self._workspace.identities(scope))
            self._current = Run(stored.id, job, memory, self._clock, emit)
            if self._interrupted:
                self._current.interrupt()
            try:
                result = await self._current.go()
            except BaseException as broken:
                counts = self._current.counts
                wrapped = HeadraceError(f"{type(broken).__name__}: {broken}", code="bug")
                self._workspace.runs.finish(stored.id, RunStatus.FAILED, counts, wrapped)
                raise
            finally:
                self._current = None
        finally:
            log.close()
        self._end(stored, result)
        seconds = self._clock.monotonic() - started
        error = result.error
        emit(
            RunFinished(
                stored.id,
                stored.sync,
                result.status,
                result.counts,
                seconds,
                error.code if error else None,
                error.message if error else None,
            )
        )
        held = result.hold.message if result.hold else None
        return RunReport(stored.id, stored.sync, result.status, result.counts, seconds, error, held)

    def _end(self, stored: StoredRun, result: RunResult) -> None:
        if result.hold is None:
            self._workspace.runs.finish(stored.id, result.status, result.counts, result.error)
            return
        expires = self._clock.now() + APPROVAL_LASTS
        hold = Hold(result.hold.removed, result.hold.message, str(stored.id), expires)
        self._workspace.runs.hold(stored.id, result.counts, hold)

    # Steering -----------------------------------------------------------------------------------------------------

    @verb(Scope.RUN)
    def cancel(self, run_id: int) -> StoredRun:
        """Asks a run to stop sending. Raises NotFound, UserError `run_ended`."""
        self.settle_dead()
        return self._workspace.runs.request_cancel(run_id)

    @verb(Scope.RUN)
    def approve(self, run_id: int) -> StoredRun:
        """Releases a held run's removals for 24 hours. The caller then runs the sync with `approved`."""
        return self._workspace.runs.approve(run_id)

    def settle_dead(self) -> None:
        """Marks runs as interrupted whose process is gone: nobody holds their sync's lock."""
        for run in self._workspace.runs.list(status=RunStatus.RUNNING).items:
            with FileLock(self._workspace.lock_path(run.sync_id)) as lock:
                if run.kind == "sync" and lock.try_take("a look whether a run lives"):
                    self._workspace.runs.mark_interrupted(run.sync_id)


def _queued(new: NewRun) -> NewRun:
    return NewRun(sync=new.sync, sync_id=new.sync_id, options=new.options, owner=new.owner, status=RunStatus.QUEUED)


def _owner() -> str:
    return f"{os.getpid()}@{socket.gethostname()}"

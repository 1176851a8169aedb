"""A worker: does queued runs in their order, several at once, each in a thread with a loop of its own.

So the API in the same process stays quick. A stop takes no more runs, asks those under way to end, and queues what they
leave undone: the next worker folds and goes on. Every worker sweeps, too: it settles the dead, announces the forgotten.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

from headrace import __version__
from headrace.domain.access import whole
from headrace.domain.errors import HeadraceError
from headrace.domain.events import RunEvent
from headrace.domain.outcome import RunStatus
from headrace.service.queue import LocalQueue, Queue
from headrace.service.runs import RunService
from headrace.service.verbs import acting_as
from headrace.store.runs import Run
from headrace.store.workers import WorkerEntry
from headrace.store.workspace import Workspace

DEFAULT_CONCURRENCY = 4
SWEEP_S = 10.0
LOCAL_SWEEP_S = 1.0
"""Embedded, another process may have queued a run, and nobody wakes us then."""
SEEN_EVERY_S = 10.0
TIDY_EVERY_S = 3600.0
DRAIN_S = 25.0

Tell = Callable[[int, RunEvent], None]
Broken = Callable[[int, BaseException], None]


class Worker:
    """Use `start`, then `stop`. `tell` gets every event of every run, `broken` what no run should raise.

    `tidy` is done once an hour: it removes what crashes left in the depot.
    """

    def __init__(
        self,
        workspace: Workspace,
        runs: RunService,
        now: Callable[[], datetime],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        queue: Queue | None = None,
        sweep_s: float = LOCAL_SWEEP_S,
        tidy: Callable[[], object] = lambda: None,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        tell: Tell = lambda _run, _event: None,
        broken: Broken = lambda _run, _error: None,
    ) -> None:
        self._workspace = workspace
        self._runs = runs
        self._now = now
        self._concurrency = concurrency
        self._queue = queue or LocalQueue()
        self._is_told = queue is not None  # who brought the queue also tells it of queued runs
        self._sweep_s = sweep_s
        self._tidy = tidy
        self._new_loop = new_loop
        self._tell = tell
        self._broken = broken
        self._under_way: set[int] = set()
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_on, name="sweep", daemon=True)
        self.id = f"{os.getpid()}@{socket.gethostname()}/{uuid4().hex[:8]}"

    @property
    def alive(self) -> bool:
        """Whether it takes runs."""
        return self._sweeper.is_alive() and not self._stopping.is_set()

    @property
    def under_way(self) -> tuple[int, ...]:
        """The runs it does now."""
        return tuple(self._under_way)

    def start(self) -> None:
        """Raises what the store or the queue raise where they can't be used."""
        if not self._is_told:
            self._runs.queued.append(self._queue.put)
        self._runs.ended.append(self._announce_next)
        with acting_as(whole("worker")):
            self._enter()
            self._sweep()
        self._queue.serve(self._carry_out, self._concurrency, lambda error: self._broken(0, error))
        self._sweeper.start()

    def stop(self, within_s: float = DRAIN_S) -> bool:
        """Takes no more runs and lets those under way end. True where all did within that time."""
        if self._stopping.is_set():
            return not self._under_way
        self._stopping.set()
        self._runs.interrupt()
        with suppress(HeadraceError):  # the store may be what made us stop
            self._workspace.workers.seen(self.id, draining=True)
        drained = self._queue.stop(within_s)
        self._sweeper.join(within_s)
        if not self._is_told:
            self._runs.queued.remove(self._queue.put)
        self._runs.ended.remove(self._announce_next)
        with suppress(HeadraceError):
            self._workspace.workers.leave(self.id)
        return drained

    def _enter(self) -> None:
        now = self._now()
        entry = WorkerEntry(self.id, socket.gethostname(), os.getpid(), __version__, self._concurrency, now, now)
        self._workspace.workers.enter(entry)

    def _sweep_on(self) -> None:
        seen_at = tidied_at = time.monotonic()
        with acting_as(whole("worker")):
            while not self._stopping.wait(self._sweep_s):
                try:
                    self._sweep()
                    if time.monotonic() - seen_at >= SEEN_EVERY_S:
                        self._workspace.workers.seen(self.id)
                        seen_at = time.monotonic()
                    if time.monotonic() - tidied_at >= TIDY_EVERY_S:
                        tidied_at = time.monotonic()
                        self._tidy()
                except Exception as error:  # noqa: BLE001 - the store is busy or away: it is asked again
                    self._broken(0, error)

    def _sweep(self) -> None:
        """Ends runs whose owner is gone and queues those that go on; announces every run that waits."""
        self._runs.settle_dead()
        for run in self._workspace.runs.waiting():
            if run.id not in self._under_way:
                self._queue.put(run.id)

    def _announce_next(self, ended: Run) -> None:
        """The run that was queued behind that one can be taken now."""
        if not self._stopping.is_set():
            for run in self._workspace.runs.live(ended.sync_id):
                if run.status is RunStatus.QUEUED and run.owner is None:
                    self._queue.put(run.id)

    def _carry_out(self, run_id: int) -> None:
        if self._stopping.is_set():
            return  # it stays queued, for another worker or the next start
        self._under_way.add(run_id)
        try:
            with acting_as(whole("worker")), asyncio.Runner(loop_factory=self._new_loop) as runner:
                report = runner.run(self._runs.runner.execute(run_id, lambda event: self._tell(run_id, event)))
                if report is not None and report.status is RunStatus.INTERRUPTED and not report.lost:
                    self._runs.go_on_after(self._workspace.runs.get(run_id))
        except BaseException as error:  # noqa: BLE001 - the edge of a run: the worker goes on with the others
            self._broken(run_id, error)
        finally:
            self._under_way.discard(run_id)


def describe(worker: WorkerEntry) -> dict[str, Any]:
    """A worker as lists show it."""
    return {
        "id": worker.id,
        "host": worker.host,
        "process": worker.process,
        "version": worker.version,
        "concurrency": worker.concurrency,
        "started_at": worker.started_at,
        "seen_at": worker.seen_at,
        "draining": worker.draining,
    }

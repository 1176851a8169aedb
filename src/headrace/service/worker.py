"""The worker of a server: takes queued runs in their order, several at once, each in a thread with a loop of its own.

So the API in the same process stays quick. A stop takes no more runs, asks those under way to end, and queues what they
leave undone: the next worker folds and goes on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from headrace import __version__
from headrace.domain.access import whole
from headrace.domain.errors import HeadraceError
from headrace.domain.events import RunEvent
from headrace.domain.outcome import RunStatus
from headrace.service.runs import RunService
from headrace.service.verbs import acting_as
from headrace.store.workers import WorkerEntry
from headrace.store.workspace import Workspace

DEFAULT_CONCURRENCY = 4
LOOK_EVERY_S = 1.0
"""Another process may have queued a run: nobody wakes us then."""
SEEN_EVERY_S = 10.0
DRAIN_S = 25.0

Tell = Callable[[int, RunEvent], None]
Broken = Callable[[int, BaseException], None]


class Worker:
    """Use `start`, then `stop`. `tell` gets every event of every run, `broken` what no run should raise."""

    def __init__(
        self,
        workspace: Workspace,
        runs: RunService,
        now: Callable[[], datetime],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        tell: Tell = lambda _run, _event: None,
        broken: Broken = lambda _run, _error: None,
    ) -> None:
        self._workspace = workspace
        self._runs = runs
        self._now = now
        self._concurrency = concurrency
        self._new_loop = new_loop
        self._tell = tell
        self._broken = broken
        self._changed = threading.Condition()
        self._under_way: dict[int, threading.Thread] = {}
        self._put_off: set[int] = set()
        """Runs whose sync somebody else holds just now: they are tried again after a while."""
        self._stopping = False
        self._dispatcher = threading.Thread(target=self._dispatch, name="worker", daemon=True)
        self.id = f"{os.getpid()}@{socket.gethostname()}"

    @property
    def alive(self) -> bool:
        """Whether it takes runs."""
        return self._dispatcher.is_alive() and not self._stopping

    @property
    def under_way(self) -> tuple[int, ...]:
        """The runs it does now."""
        return tuple(self._under_way)

    def start(self) -> None:
        self._runs.queued.append(self.wake)
        with acting_as(whole("worker")):
            self._enter()
            self._go_on_with_what_died()
        self._dispatcher.start()

    def wake(self) -> None:
        """Says that there may be a run to take."""
        with self._changed:
            self._changed.notify_all()

    def stop(self, within_s: float = DRAIN_S) -> bool:
        """Takes no more runs and lets those under way end. True where all did within that time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._runs.interrupt()
        self._dispatcher.join(within_s)
        for thread in list(self._under_way.values()):
            thread.join(within_s)
        with suppress(HeadraceError):  # the store may be what made us stop
            self._workspace.workers.leave(self.id)
        return not self._under_way

    def _enter(self) -> None:
        now = self._now()
        entry = WorkerEntry(self.id, socket.gethostname(), os.getpid(), __version__, self._concurrency, now, now)
        self._workspace.workers.enter(entry)

    def _go_on_with_what_died(self) -> None:
        """Runs of a worker that is gone are marked, and queued again: they fold and plan anew."""
        for run in self._runs.settle_dead():
            if run.reason != "manual" or run.requested_by is None or not run.requested_by.startswith("cli:"):
                self._runs.go_on_after(run)

    def _dispatch(self) -> None:
        waited_s = 0.0
        with acting_as(whole("worker")):
            while not self._stopping:
                try:
                    taken = self._take_some()
                    if waited_s >= SEEN_EVERY_S:
                        self._workspace.workers.seen(self.id)
                        waited_s = 0.0
                except HeadraceError as error:  # the store is busy or away: it is asked again
                    self._broken(0, error)
                    taken = False
                with self._changed:
                    if not taken and not self._stopping:
                        if not self._changed.wait(LOOK_EVERY_S):
                            self._put_off.clear()
                        waited_s += LOOK_EVERY_S

    def _take_some(self) -> bool:
        """Starts as many of the waiting runs as there is room for. True where some were."""
        room = self._concurrency - len(self._under_way)
        if room <= 0:
            return False
        passed_over = self._put_off | self._under_way.keys()
        waiting = [run for run in self._workspace.runs.waiting() if run.id not in passed_over][:room]
        for run in waiting:
            thread = threading.Thread(target=self._carry_out, args=(run.id,), name=f"run {run.id}", daemon=True)
            self._under_way[run.id] = thread
            thread.start()
        return bool(waiting)

    def _carry_out(self, run_id: int) -> None:
        try:
            with acting_as(whole("worker")), asyncio.Runner(loop_factory=self._new_loop) as runner:
                report = runner.run(self._runs.runner.execute(run_id, lambda event: self._tell(run_id, event)))
                if report is None:
                    self._put_off.add(run_id)
                elif report.status is RunStatus.INTERRUPTED:
                    self._runs.go_on_after(self._workspace.runs.get(run_id))
        except BaseException as error:  # noqa: BLE001 - the edge of a run: the worker goes on with the others
            self._broken(run_id, error)
        finally:
            with self._changed:
                self._under_way.pop(run_id, None)
                self._changed.notify_all()


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

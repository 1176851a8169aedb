"""Who owns a sync while a run of it lives: one process, seen as dead soon after it died.

Embedded, an operating system's file lock says it. Where workers are on several machines, a lease in the run's row says
it: its owner moves the end on, and an owner that was not heard of for so long has lost the run.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.outcome import RunStatus
from headrace.service.locks import FileLock
from headrace.store.runs import NewRun, Run, Runs

Follow = Callable[[Run], NewRun | None]
"""The run that goes on where a dead one was cut; None where nobody wants one."""
Ticks = Callable[[], float]
LEASE_S = 60.0
HEARTBEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A run that ended because its owner is gone, and the run that goes on."""

    dead: Run
    follower: Run | None


class Owned(Protocol):
    """A run of this process, running or waiting for its turn. Close it when it has ended."""

    run: Run

    def mine(self) -> bool:
        """Whether it is surely still ours; costs nothing."""
        ...

    def on_lost(self, tell: Callable[[], None]) -> None:
        """Says whom to tell, from any thread, when another has taken the run."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Owners(Protocol):
    """Hands a sync to one owner at a time."""

    def begin(self, new: NewRun) -> Owned | None:
        """A running run, made now; None where somebody has the sync."""
        ...

    def claim(self, run_id: int) -> Owned | None:
        """A queued run, running now; None where somebody has its sync, or it is queued no more."""
        ...

    def wait_in_line(self, new: NewRun) -> Owned:
        """A queued run that this process will claim. Raises UserError `sync_busy` where one is queued already."""
        ...

    def holder(self, sync_id: str) -> str:
        """Who has the sync, as far as is known."""
        ...

    def settle(self, follow: Follow, sync_id: str | None = None) -> list[Settled]:
        """Ends live runs whose owner is gone, and queues those that go on, each in one transaction."""
        ...


def ticks() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def this_process() -> str:
    """This process, as a run names its owner."""
    return f"{os.getpid()}@{socket.gethostname()}"


# Embedded -------------------------------------------------------------------------------------------------------------


class FileOwned:
    """A run whose owner holds a lock on a file. It can't be lost: the lock is ours until we let go."""

    def __init__(self, run: Run, lock: FileLock) -> None:
        self.run = run
        self._lock = lock

    def mine(self) -> bool:
        return True

    def on_lost(self, tell: Callable[[], None]) -> None:
        return

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileOwners:
    """One machine: the lock of a dead owner is free at once."""

    def __init__(self, runs: Runs, lock_path: Callable[[str], Path]) -> None:
        self._runs = runs
        self._lock_path = lock_path

    def begin(self, new: NewRun) -> FileOwned | None:
        return self._take(new.sync_id, lambda: self._runs.create(replace(new, owner=this_process())))

    def claim(self, run_id: int) -> FileOwned | None:
        sync_id = self._runs.get(run_id).sync_id
        return self._take(sync_id, lambda: self._runs.claim(run_id, this_process()))

    def _take(self, sync_id: str, make: Callable[[], Run | None]) -> FileOwned | None:
        with ExitStack() as held:
            lock = held.enter_context(FileLock(self._lock_path(sync_id)))
            if not lock.try_take(f"a run of {sync_id}"):
                return None
            self._runs.mark_interrupted(sync_id)
            if (run := make()) is None:
                return None
            held.pop_all()
            return FileOwned(run, lock)

    def wait_in_line(self, new: NewRun) -> FileOwned:
        with ExitStack() as held:
            line = held.enter_context(FileLock(self._line_path(new.sync_id)))
            if not line.try_take(f"a queued run of {new.sync}"):
                raise UserError(f"A run of {new.sync} is queued already.", code="sync_busy")
            self._runs.end_queued(new.sync_id)
            run = self._runs.create(replace(new, owner=this_process(), status=RunStatus.QUEUED))
            held.pop_all()
            return FileOwned(run, line)

    def holder(self, sync_id: str) -> str:
        return FileLock(self._lock_path(sync_id)).holder()

    def settle(self, follow: Follow, sync_id: str | None = None) -> list[Settled]:
        settled: list[Settled] = []
        for run in self._runs.live(sync_id):
            waits = run.status is RunStatus.QUEUED
            if waits and run.owner is None:
                continue  # it is for any worker
            with FileLock(self._line_path(run.sync_id) if waits else self._lock_path(run.sync_id)) as lock:
                if lock.try_take("a look whether a run lives") and (done := _taken_over(self._runs, run, follow)):
                    settled.append(done)
        return settled

    def _line_path(self, sync_id: str) -> Path:
        return self._lock_path(sync_id + ".queued")


# Shared ---------------------------------------------------------------------------------------------------------------


class LeaseOwned:
    """A run whose lease this process moves on, in a thread of its own, until it is closed or lost."""

    def __init__(self, run: Run, runs: Runs, lease_s: float, heartbeat_s: float, now_s: Ticks, asked_at: float) -> None:
        self.run = run
        self._runs = runs
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._now_s = now_s
        self._good_until = asked_at + lease_s
        self._lost: list[Callable[[], None]] = []
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"lease {run.id}", daemon=True)
        self._heart.start()

    def mine(self) -> bool:
        """By this machine's clock, from before the lease was last written: never longer than the database thinks."""
        return self._now_s() < self._good_until

    def on_lost(self, tell: Callable[[], None]) -> None:
        self._lost.append(tell)

    def close(self) -> None:
        self._closed.set()
        self._heart.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _beat(self) -> None:
        while not self._closed.wait(self._heartbeat_s):
            self.beat()
            if not self.mine():
                self._good_until = float("-inf")  # once lost it is never ours again
                for tell in self._lost:
                    tell()
                return

    def beat(self) -> None:
        """Shows that we live. A database that is away is asked again at the next beat, while the lease lasts."""
        if not self.mine():
            return  # another may have it already, and we would only learn that too late
        before = self._now_s()
        try:
            alive = self._runs.extend(self.run.id, timedelta(seconds=self._lease_s))
        except HeadraceError:
            return
        self._good_until = before + self._lease_s if alive else float("-inf")


class LeaseOwners:
    """Any number of machines over one database. Unique indexes decide who is first, leases who is dead."""

    def __init__(
        self,
        runs: Runs,
        lease_s: float = LEASE_S,
        heartbeat_s: float = HEARTBEAT_S,
        now_s: Ticks = ticks,
    ) -> None:
        self._runs = runs
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._now_s = now_s

    def begin(self, new: NewRun) -> LeaseOwned | None:
        self.settle(_nobody, new.sync_id)
        before = self._now_s()
        try:
            return self._owned(self._runs.create(self._ours(new, RunStatus.RUNNING)), before)
        except UserError as error:
            if error.code != "sync_busy":
                raise
            return None

    def claim(self, run_id: int) -> LeaseOwned | None:
        before = self._now_s()
        run = self._runs.claim(run_id, this_process(), timedelta(seconds=self._lease_s))
        return None if run is None else self._owned(run, before)

    def wait_in_line(self, new: NewRun) -> LeaseOwned:
        before = self._now_s()
        return self._owned(self._runs.create(self._ours(new, RunStatus.QUEUED)), before)

    def holder(self, sync_id: str) -> str:
        running = [one for one in self._runs.live(sync_id) if one.status is RunStatus.RUNNING]
        return f"run {running[0].id} of {running[0].owner}" if running else "another process"

    def settle(self, follow: Follow, sync_id: str | None = None) -> list[Settled]:
        found = (_taken_over(self._runs, run, follow) for run in self._runs.expired(sync_id))
        return [done for done in found if done is not None]

    def _ours(self, new: NewRun, status: RunStatus) -> NewRun:
        return replace(new, owner=this_process(), status=status, lease=timedelta(seconds=self._lease_s))

    def _owned(self, run: Run, asked_at: float) -> LeaseOwned:
        return LeaseOwned(run, self._runs, self._lease_s, self._heartbeat_s, self._now_s, asked_at)


def _taken_over(runs: Runs, dead: Run, follow: Follow) -> Settled | None:
    # What only waited for its turn has nothing that another could go on with.
    follower = follow(dead) if dead.status is RunStatus.RUNNING else None
    ended = runs.take_over(dead, follower)
    return None if ended is None else Settled(*ended)


def _nobody(dead: Run) -> None:
    """The run that is about to begin goes on by itself."""

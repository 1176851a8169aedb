"""What happened becomes durable: in groups closed at 64 calls, 1,024 outcomes or 20 ms, whichever is first.

A group is written in a thread of its own while the loop goes on. No more than one group is on its way and eight are
waiting, then the loop waits: a crash re-sends at most what was in flight and those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from headrace.domain.outcome import Counts, RowOutcome
from headrace.engine.ports import CallRecord, Learned, OutcomeRecord, RunLog

GROUP = 64
GROUP_ROWS = 1024  # of batches, whose calls carry many rows each
GROUP_S = 0.020
MOST_GROUPS_WAITING = 8
_LOOK_AGAIN_S = 0.002
"""A group that is due while the one before it is still written waits for that, and no longer."""


class Recorder:
    """Collects what one run did and keeps its counts. The first failure to write is raised to whoever adds next.

    `disk` is where groups are written, one after the other; a thread of the recorder's own where none is given.
    """

    def __init__(self, log: RunLog, counts: Counts, disk: Executor | None = None) -> None:
        self.counts = counts
        self._log = log
        self._calls: list[CallRecord] = []
        self._outcomes: list[OutcomeRecord] = []
        self._learned: list[Learned] = []
        self._timer: asyncio.TimerHandle | None = None
        self._disk = disk or ThreadPoolExecutor(1, "disk")
        self._writing: Future[None] | None = None
        self._is_writing = False
        self._failure: BaseException | None = None
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        self.counts.requests += 1
        return self._number

    def call(self, call: CallRecord) -> None:
        self._calls.append(call)
        self._due()

    def learned(self, learned: Learned) -> None:
        self._learned.append(learned)

    def outcomes(self, outcomes: Sequence[OutcomeRecord], *, counted: bool = True) -> None:
        """Rows that ended alike. `counted` False where the plan has counted them already (no usable primary key)."""
        if not outcomes:
            return
        if counted:
            word, counts = outcomes[0].outcome, self.counts
            match word:
                case RowOutcome.DELIVERED:
                    counts.delivered += len(outcomes)
                case RowOutcome.SKIPPED:
                    counts.skipped += len(outcomes)
                case RowOutcome.INVALID:
                    counts.invalid += len(outcomes)
                case RowOutcome.REJECTED:
                    counts.rejected += len(outcomes)
                case RowOutcome.OWED:
                    counts.owed += len(outcomes)
        self._outcomes += outcomes
        self._due()

    def _due(self) -> None:
        if self._failure is not None:
            raise self._failure
        calls, outcomes = len(self._calls), len(self._outcomes)
        if calls >= GROUP or outcomes >= GROUP_ROWS:
            too_much = calls >= MOST_GROUPS_WAITING * GROUP or outcomes >= MOST_GROUPS_WAITING * GROUP_ROWS
            if too_much or not self._is_writing:
                self._write()
        elif self._timer is None:
            self._set_timer(GROUP_S)

    def _set_timer(self, seconds: float) -> None:
        try:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_time)
        except RuntimeError:
            return  # outside a loop the caller flushes

    def _on_time(self) -> None:
        self._timer = None
        if self._is_writing:
            self._set_timer(_LOOK_AGAIN_S)
        elif self._failure is None:
            self._write()

    def _write(self) -> None:
        """Hands what is waiting to the disk. Waits for the group before it, and raises what befell that one."""
        self._await_disk()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not (self._calls or self._outcomes or self._learned):
            return
        self._is_writing = True
        self._writing = self._disk.submit(self._append, self._calls, self._outcomes, self._learned)
        self._calls, self._outcomes, self._learned = [], [], []

    def _append(self, calls: list[CallRecord], outcomes: list[OutcomeRecord], learned: list[Learned]) -> None:
        """Writes one group, in the disk's thread."""
        try:
            self._log.append(calls, outcomes, learned)
        except BaseException as error:  # noqa: BLE001 - kept for the next caller: a thread has nobody to raise to
            self._failure = error
        finally:
            self._is_writing = False

    def _await_disk(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None
        if self._failure is not None:
            raise self._failure

    def flush(self) -> None:
        """Everything that was added is durable when this returns. Raises what the store raises."""
        self._write()
        self._await_disk()

    def close(self) -> None:
        """Ends the disk's thread. What was not flushed is lost: flush first."""
        if self._timer is not None:
            self._timer.cancel()
        self._disk.shutdown()

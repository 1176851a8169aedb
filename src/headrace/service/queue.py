"""How a worker hears of queued runs. Nothing rests on it: a run is durable in its table, and the table is swept.

What a queue loses is handed out by the next sweep, and what it hands out twice is claimed once.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from typing import Protocol

CarryOut = Callable[[int], None]
Broken = Callable[[BaseException], None]


class Queue(Protocol):
    """Hands the numbers of queued runs to workers."""

    def put(self, run_id: int) -> None:
        """Says that a run waits. Saying it twice does no harm."""
        ...

    def serve(self, carry_out: CarryOut, concurrency: int, broken: Broken) -> None:
        """Starts to hand runs out, oldest first, so many at once, each to a thread that `carry_out` may keep.

        `broken` is told what keeps it from that; it tries again.
        """
        ...

    def stop(self, within_s: float) -> bool:
        """Hands out no more, and waits for what was. True where all of it ended within that time."""
        ...


class LocalQueue:
    """The queue of one process: whoever puts a run wakes a thread of this worker."""

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def put(self, run_id: int) -> None:
        with self._changed:
            if run_id not in self._waiting:
                heapq.heappush(self._waiting, run_id)
                self._changed.notify()

    def serve(self, carry_out: CarryOut, concurrency: int, broken: Broken) -> None:
        for number in range(concurrency):
            thread = threading.Thread(target=self._hand_out, args=(carry_out,), name=f"worker {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, within_s: float) -> bool:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        give_up = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(give_up - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _hand_out(self, carry_out: CarryOut) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._waiting)
                if self._stopping:
                    return
                run_id = heapq.heappop(self._waiting)
            carry_out(run_id)

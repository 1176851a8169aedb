"""The slots of a rate limit that several machines share, in the store and by the clock of the database.

A thread of its own asks the database, so that the loop that sends never waits for it. What came up meanwhile, answers
and wishes for slots, goes into one change of two round trips.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import Future

from headrace.domain.errors import WorldError
from headrace.engine.throttle import Allowance, Taken
from headrace.store.database import Database
from headrace.store.ring import HeldRing, RingTable

_Answer = tuple[int, int | None, float | None, bool]


class SharedBudget:
    """Implements `engine.throttle.Budget`."""

    in_line = False

    def __init__(self, database: Database, credential: str, allowance: Allowance) -> None:
        self._backend = database.backend
        self._name = f"{credential}-{allowance.requests}-{allowance.per_seconds:g}"
        self._allowance = allowance
        self._wishes: list[Future[Taken]] = []
        self._answers: list[_Answer] = []
        self._something = threading.Condition()
        self._closing = False
        self._table: RingTable | None = None
        self._failure: Exception | None = None
        """What no new connection mends."""
        self._thread = threading.Thread(target=self._work, name="headrace rate limit", daemon=True)
        self._thread.start()

    def take(self) -> Awaitable[Taken]:
        """Raises WorldError `store_write_failed` where the database is gone: what can't be counted is not sent."""
        wish: Future[Taken] = Future()
        with self._something:
            self._wishes.append(wish)
            self._something.notify()
        return asyncio.wrap_future(wish)

    def answered(self, slot: int, remaining: int | None, reset_s: float | None, refused: bool) -> None:
        with self._something:
            self._answers.append((slot, remaining, reset_s, refused))
            self._something.notify()

    def close(self) -> None:
        """Ends when the last answers are written: else their slots would come back late."""
        with self._something:
            self._closing = True
            self._something.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._something:
                self._something.wait_for(lambda: self._wishes or self._answers or self._closing)
                wishes, answers = self._wishes, self._answers
                self._wishes, self._answers = [], []
            if not wishes and not answers:
                break
            self._settle([wish for wish in wishes if wish.set_running_or_notify_cancel()], answers)
        if self._table is not None:
            self._table.close()

    def _settle(self, wishes: list[Future[Taken]], answers: list[_Answer]) -> None:
        """One transaction. Where it fails, whoever wishes is told, and the next one tries a new connection.

        Answers are not tried again: their slots come back after time-out and window, as those of a dead process do.
        """
        taken: list[Taken] = []
        if self._failure is not None and wishes:
            for wish in wishes:
                wish.set_exception(self._failure)
            return

        def change(ring: HeldRing) -> None:
            for answer in answers:
                self._allowance.answered(ring, *answer)
            taken[:] = [self._allowance.take(ring) for _ in wishes]

        try:
            if self._table is None:
                self._table = self._backend.open_ring(self._name, self._allowance)
            self._table.change(len(wishes) + 1, change)
        except Exception as error:  # noqa: BLE001 - whoever wishes is told, here or the next time
            told = self._backend.write_failed(error) if self._backend.is_of_world(error) else error
            if not isinstance(told, WorldError):
                self._failure = told
            if self._table is not None:
                self._table.close()
                self._table = None
            for wish in wishes:
                wish.set_exception(told)
        else:
            for wish, one in zip(wishes, taken, strict=True):
                wish.set_result(one)

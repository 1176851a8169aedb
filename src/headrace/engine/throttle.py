"""The rate limit of one credential, shared by every sync, look-up and process that uses it.

One slot a request. A slot opens again one window after the *response* to the request that used it: then no sliding or
refilling window at the other end can count more than its limit. A slot whose process died opens after time-out and
window. Answers steer it: they only ever tighten. Where slots are kept is a `Budget`'s: on this machine, or shared.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

from headrace.destinations import Limits
from headrace.engine.ports import Clock
from headrace.engine.ring import MappedRing

_SHORTEST_WAIT_S = 0.001
_LONGEST_WAIT_S = 1.0  # another process may pause or free a slot meanwhile
_LONGEST_PAUSE_S = 900.0
_WIDEST_SPACING = 16
"""After 429s requests go at most so many times as far apart as the rate says; each good answer narrows that again."""

Taken = tuple[int, float]
"""A slot and 0, or -1 and the seconds until there may be one."""


class Ring(Protocol):
    """The slots of one credential, while nobody else has them. Instants are seconds of the ring's own clock."""

    now: float
    paused_until: float
    spacing: float
    next_send: float

    def find_free(self, furthest: float) -> tuple[int, float]:
        """A slot that is free, or -1 and the instant at which one will be.

        A slot that is taken until later than `furthest` is free: its instant is of a clock that was set back since.
        """
        ...

    def occupy(self, slot: int, until: float) -> None: ...

    def release(self, slot: int, at: float) -> None:
        """The slot is free from that instant on."""
        ...


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests in how many seconds, and how long one may take."""

    requests: int
    per_seconds: float
    timeout_s: float

    @property
    def furthest_s(self) -> float:
        """No slot is taken, and no pause lasts, for longer.

        A clock that was set back, as by a restart of the machine, leaves instants that are further: those are void.
        """
        return max(self.timeout_s, _LONGEST_PAUSE_S) + self.per_seconds + 1

    def take(self, ring: Ring) -> Taken:
        furthest = ring.now + self.furthest_s
        for instant in (ring.paused_until, ring.next_send):
            if ring.now < instant < furthest:
                return -1, instant - ring.now
        slot, at = ring.find_free(furthest)
        if slot < 0:
            return -1, at - ring.now
        ring.occupy(slot, ring.now + self.timeout_s + self.per_seconds)
        ring.next_send = ring.now + ring.spacing if ring.spacing else 0.0
        return slot, 0.0

    def answered(self, ring: Ring, slot: int, remaining: int | None, reset_s: float | None, refused: bool) -> None:
        """The request of this slot is over. `refused`: it was a 429, and `reset_s` the seconds it asked for."""
        ring.release(slot, ring.now + self.per_seconds)
        nominal = self.per_seconds / self.requests
        if refused:
            # Those that were under way together are refused together: that is one sign, not many.
            if not ring.now < ring.paused_until:
                ring.spacing = min(max(2 * ring.spacing, nominal), _WIDEST_SPACING * nominal)
            ring.paused_until = max(ring.paused_until, ring.now + max(reset_s or 1.0, 0.0))
        elif remaining == 0 and ring.find_free(math.inf)[0] >= 0:
            # The other side counts more than we sent: somebody shares the key, or a write costs several units.
            ring.paused_until = max(ring.paused_until, ring.now + max(reset_s or 1.0, 1.0))
            ring.spacing = max(ring.spacing, nominal)
        elif ring.spacing:
            ring.spacing = ring.spacing * 0.98 if ring.spacing > nominal / 4 else 0.0


class Budget(Protocol):
    """Where the slots of one credential are kept."""

    in_line: bool
    """Whether those who wait ask one after another, since nobody is helped by asking together."""

    def take(self) -> Taken | Awaitable[Taken]:
        """At once where that costs nothing; to be awaited where somebody far away is asked."""
        ...

    def answered(self, slot: int, remaining: int | None, reset_s: float | None, refused: bool) -> None:
        """See `Allowance.answered`. Does not wait."""
        ...

    def close(self) -> None: ...


Budgets = Callable[[str, Allowance], Budget]
"""Opens the budget of that credential."""


class LocalBudget:
    """Slots in a file that all processes of this machine share."""

    in_line = True

    def __init__(self, directory: str, credential: str, allowance: Allowance, clock: Clock) -> None:
        name = f"{credential}-{allowance.requests}-{allowance.per_seconds:g}"
        self._allowance = allowance
        self._ring = MappedRing(directory, name, allowance.requests, clock.monotonic)

    def take(self) -> Taken:
        with self._ring.held():
            return self._allowance.take(self._ring)

    def answered(self, slot: int, remaining: int | None, reset_s: float | None, refused: bool) -> None:
        with self._ring.held():
            self._allowance.answered(self._ring, slot, remaining, reset_s, refused)

    def close(self) -> None:
        self._ring.close()


class Throttle:
    """The slots of one credential. `acquire` waits for one; `answered` gives it back and reads the answer's headers.

    `budgets` opens the slots that several machines share; without it they are in `directory`.
    """

    def __init__(self, limits: Limits, directory: str, clock: Clock, budgets: Budgets | None = None) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self.waiting_s = 0.0
        self._paused_until = 0.0  # of this process, where there is no rate and so no budget
        self._budget: Budget | None = None
        if limits.rate is not None:
            allowance = Allowance(limits.rate.requests, limits.rate.per_seconds, limits.timeout_s)
            if budgets is None:
                self._budget = LocalBudget(directory, limits.credential, allowance, clock)
            else:
                self._budget = budgets(limits.credential, allowance)

    def close(self) -> None:
        if self._budget is not None:
            self._budget.close()
            self._budget = None

    async def acquire(self, gives_up: Callable[[], bool] = lambda: False) -> tuple[int, float]:
        """Waits for a slot. Returns it, and how many seconds were waited; slot -1 where none is counted.

        `gives_up` is asked before each wait: the one who waits has no more use for a slot.
        """
        if self._budget is None and self._paused_until == 0.0:
            return -1, 0.0
        started = self._clock.monotonic()
        # Slots of this machine are waited for in line; shared ones are asked for by all at once, in one question.
        async with self._turn if self._budget is None or self._budget.in_line else nullcontext():
            while True:
                slot, wait = await self._take()
                if slot >= 0 or (self._budget is None and wait <= 0) or gives_up():
                    self.waiting_s = 0.0
                    return slot, self._clock.monotonic() - started
                self.waiting_s = wait
                await self._clock.sleep(min(max(wait, _SHORTEST_WAIT_S), _LONGEST_WAIT_S))

    async def _take(self) -> Taken:
        if self._budget is None:
            return -1, self._paused_until - self._clock.monotonic()
        taken = self._budget.take()
        return taken if isinstance(taken, tuple) else await taken

    def answered(self, slot: int, *, remaining: int | None, reset_s: float | None, refused: bool) -> None:
        """The request of this slot is over. `refused`: it was a 429, and `reset_s` the seconds it asked for."""
        if self._budget is not None:
            if slot >= 0:
                self._budget.answered(slot, remaining, reset_s, refused)
        elif refused:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + max(reset_s or 1.0, 0.0))


def header_number(text: str | None) -> float | None:
    """The leading number of a rate-limit header (`1000, 1000;window=60` is 1000); None where there is none."""
    if not text:
        return None
    try:
        number = float(text.split(",")[0].split(";")[0].strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None

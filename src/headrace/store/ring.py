"""A ring of a rate limit as a database keeps it: read, changed, written back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class HeldRing:
    """Implements `throttle.Ring` over what was read of it; `changed` is what has to be written back."""

    now: float
    paused_until: float
    spacing: float
    next_send: float
    free: deque[tuple[float, int]]
    """(free at, slot) of those that are free first."""
    changed: dict[int, float]

    def find_free(self, furthest: float) -> tuple[int, float]:
        if not self.free:
            return -1, furthest
        free_at, slot = self.free[0]
        return (slot, self.now) if free_at <= self.now or free_at > furthest else (-1, free_at)

    def occupy(self, slot: int, until: float) -> None:
        self.free.popleft()
        self.changed[slot] = until

    def release(self, slot: int, at: float) -> None:
        self.changed[slot] = at


class RingTable(Protocol):
    """What a database brings: one ring. Raises its own errors."""

    def change(self, wanted: int, change: Callable[[HeldRing], None]) -> None:
        """Hands over the ring with the `wanted` slots that are free first, again if somebody else was faster."""
        ...

    def close(self) -> None: ...

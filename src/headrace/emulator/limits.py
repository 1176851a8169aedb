"""The two ways Vitally has described its rate limit: a token bucket (now) and a sliding window (until mid 2026).

A limiter belongs to one key. It counts units, tells what the RateLimit headers say, and never waits.  vitally.md 3.1
"""

from collections import deque
from math import ceil, floor
from typing import Protocol, assert_never

from headrace.emulator.settings import RateLimit


class Limiter(Protocol):
    """A budget of units over time; `at_s` is monotonic seconds."""

    def spend(self, cost: int, at_s: float) -> bool:
        """Take `cost` units if they are there; a refusal costs nothing."""
        ...

    def remaining(self, at_s: float) -> int:
        """Whole units left."""
        ...

    def reset_s(self, at_s: float) -> int:
        """Seconds, at least 1, that RateLimit-Reset announces."""
        ...


class TokenBucket:
    """Holds at most `units`, refilled evenly; Reset says when one more unit will have come.  vitally.md 3.1, DOC2"""

    def __init__(self, limit: RateLimit, at_s: float) -> None:
        self._capacity = limit.units
        self._per_second = limit.units / limit.per_seconds
        self._level = float(limit.units)
        self._filled_at_s = at_s

    def spend(self, cost: int, at_s: float) -> bool:
        self._refill(at_s)
        if self._level + 1e-9 < cost:
            return False
        self._level -= cost
        return True

    def remaining(self, at_s: float) -> int:
        self._refill(at_s)
        return max(0, floor(self._level + 1e-9))

    def reset_s(self, at_s: float) -> int:
        self._refill(at_s)
        missing = 1 - (self._level - floor(self._level + 1e-9))
        return max(1, ceil(missing / self._per_second - 1e-9))

    def _refill(self, at_s: float) -> None:
        self._level = min(self._capacity, self._level + (at_s - self._filled_at_s) * self._per_second)
        self._filled_at_s = at_s


class SlidingWindow:
    """`units` in any stretch of `per_seconds`; Reset says when the earliest request leaves.  vitally.md 3.1, DOC"""

    def __init__(self, limit: RateLimit) -> None:
        self._units = limit.units
        self._window_s = limit.per_seconds
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    def spend(self, cost: int, at_s: float) -> bool:
        self._forget(at_s)
        if self._total + cost > self._units:
            return False
        self._spent.append((at_s, cost))
        self._total += cost
        return True

    def remaining(self, at_s: float) -> int:
        self._forget(at_s)
        return self._units - self._total

    def reset_s(self, at_s: float) -> int:
        self._forget(at_s)
        earliest_s = self._spent[0][0] if self._spent else at_s
        return max(1, ceil(earliest_s + self._window_s - at_s))

    def _forget(self, at_s: float) -> None:
        while self._spent and self._spent[0][0] <= at_s - self._window_s:
            self._total -= self._spent.popleft()[1]


def new_limiter(limit: RateLimit, at_s: float) -> Limiter:
    """A full budget."""
    match limit.algorithm:
        case "bucket":
            return TokenBucket(limit, at_s)
        case "sliding":
            return SlidingWindow(limit)
        case unknown:
            assert_never(unknown)


def limit_headers(limit: RateLimit, remaining: int, reset_s: int) -> dict[str, str]:
    """The three headers, names without `X-`, Reset in relative seconds.  vitally.md 3.1, DOC"""
    return {
        "RateLimit-Limit": f"{limit.units}, {limit.units};window={limit.per_seconds:g}",
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(reset_s),
    }

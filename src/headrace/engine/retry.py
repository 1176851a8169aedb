"""When a request is tried again: full jitter, floors from the answers, a budget for the run, and when to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from headrace.engine.ports import Clock

MOST_TRIES = 8
MOST_REFUSALS = 30  # 429s of one request; they pause the bucket and cost no try
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
RETRIES_A_MINUTE = 20
RETRY_SHARE = 0.1
FAILURES_THAT_STOP = 20
SILENCE_THAT_STOPS_S = 120.0


def backoff_s(attempt: int, floor_s: float, chance: random.Random) -> float:
    """Seconds before try `attempt + 1`: uniform up to 1, 2, 4 ... 60, and never before the floor."""
    cap = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return max(floor_s, chance.uniform(0, cap))


@dataclass(slots=True)
class RetryBudget:
    """Retries up to a tenth of first sends, never fewer than 20 a minute: what is down is not hammered."""

    clock: Clock
    _tokens: float = float(RETRIES_A_MINUTE)
    _filled_at: float | None = None

    def first_send(self) -> None:
        self._tokens = min(self._tokens + RETRY_SHARE, 1000.0)

    def take(self) -> float:
        """0 where a retry may go now, else the seconds until one may."""
        now = self.clock.monotonic()
        per_second = RETRIES_A_MINUTE / 60
        if self._filled_at is not None and self._tokens < RETRIES_A_MINUTE:
            self._tokens = min(RETRIES_A_MINUTE, self._tokens + (now - self._filled_at) * per_second)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / per_second


@dataclass(slots=True)
class Health:
    """Whether a failure hits everything, so that the run stops with its message instead of trying every row."""

    clock: Clock
    answered: bool = False
    _succeeded: bool = False
    _failures: int = 0
    _last_good: float = field(default=0.0)
    _refused_same: int = 0
    _refused_words: str | None = None

    def __post_init__(self) -> None:
        self._last_good = self.clock.monotonic()

    def good(self) -> None:
        self.answered = self._succeeded = True
        self._failures = 0
        self._last_good = self.clock.monotonic()

    def failed(self, attempt: int, *, reached: bool) -> bool:
        """A try failed for reasons that are not the row's. True where the run should stop."""
        self._failures += 1
        self.answered = self.answered or reached
        if not self.answered:
            return attempt >= 3
        if not self._succeeded:
            return self._failures >= FAILURES_THAT_STOP and attempt >= 3
        silent_s = self.clock.monotonic() - self._last_good
        return self._failures >= FAILURES_THAT_STOP and silent_s >= SILENCE_THAT_STOPS_S

    def row_refused(self, words: str, *, any_delivered: bool) -> bool:
        """A row was refused. True where the first 20 of the run all were, with the same words."""
        self._refused_same = self._refused_same + 1 if words == self._refused_words else 1
        self._refused_words = words
        return not any_delivered and self._refused_same == FAILURES_THAT_STOP

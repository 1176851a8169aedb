"""The emulator's only view of time, passed in so that no test sleeps.

Monotonic seconds drive limits and delays; UTC instants stamp records and the journal.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never runs backwards."""
        ...

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class SystemClock:
    """The machine's own time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)


def vitally_time(instant: datetime) -> str:
    """The instant as Vitally prints it: `2020-12-11T20:16:27.370Z`.  vitally.md 4, DOC

    `instant` is aware; any zone.
    """
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"

"""The rate limit of one credential, shared by every sync, look-up and process that uses it.

One slot a request, in a small memory-mapped ring. A slot opens again one window after the *response* to the request
that used it: then no sliding or refilling window at the other end can count more than its limit. A slot whose process
died opens after time-out and window. Answers steer it: they only ever tighten.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.destinations import Limits
from headrace.engine.ports import Clock

_HEADER = struct.Struct("<8sIIddd")  # magic, slots, head, paused until, spacing, next send
_MAGIC = b"HRRING1\0"
_START = 64
_LOOK_AHEAD = 1024
_SHORTEST_WAIT_S = 0.001
_LONGEST_WAIT_S = 1.0  # another process may pause or free a slot meanwhile
_WIDEST_SPACING = 16
"""After 429s requests go at most so many times as far apart as the rate says; each good answer narrows that again."""


class Throttle:
    """The slots of one credential. `acquire` waits for one; `answered` gives it back and reads the answer's headers."""

    def __init__(self, limits: Limits, directory: str, clock: Clock) -> None:
        self._clock = clock
        self._rate = limits.rate
        self._timeout_s = limits.timeout_s
        self._turn = asyncio.Lock()
        self.waiting_s = 0.0
        self._paused_until = 0.0  # of this process, where there is no rate and so no ring
        self._file = -1
        if self._rate is None:
            self._slots = 0
            self._map: mmap.mmap | None = None
            return
        self._slots = self._rate.requests
        name = f"{limits.credential}-{self._slots}-{self._rate.per_seconds:g}.ring"
        size = _START + 8 * self._slots
        self._file = os.open(os.path.join(directory, name), os.O_RDWR | os.O_CREAT, 0o600)
        with self._locked_file():
            if os.fstat(self._file).st_size != size:
                os.ftruncate(self._file, size)
            self._map = mmap.mmap(self._file, size)
            if self._map[:8] != _MAGIC:
                _HEADER.pack_into(self._map, 0, _MAGIC, self._slots, 0, 0.0, 0.0, 0.0)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @contextmanager
    def _locked_file(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    async def acquire(self, gives_up: Callable[[], bool] = lambda: False) -> tuple[int, float]:
        """Waits for a slot. Returns it, and how many seconds were waited; slot -1 where none is counted.

        `gives_up` is asked before each wait: the one who waits has no more use for a slot.
        """
        if self._map is None and self._paused_until == 0.0:
            return -1, 0.0
        started = self._clock.monotonic()
        async with self._turn:
            while True:
                if self._map is None:
                    slot, wait = -1, self._paused_until - self._clock.monotonic()
                else:
                    slot, wait = self._take()
                if slot >= 0 or (self._map is None and wait <= 0) or gives_up():
                    self.waiting_s = 0.0
                    return slot, self._clock.monotonic() - started
                self.waiting_s = wait
                await self._clock.sleep(min(max(wait, _SHORTEST_WAIT_S), _LONGEST_WAIT_S))

    def _take(self) -> tuple[int, float]:
        """A free slot, or -1 and the seconds until there may be one."""
        assert self._map is not None
        assert self._rate is not None
        window = self._rate.per_seconds
        with self._locked_file():
            now = self._clock.monotonic()
            _, _, head, paused_until, spacing, next_send = _HEADER.unpack_from(self._map, 0)
            # A clock that was set back by a restart of the machine leaves instants in the far future: those are void.
            furthest = now + max(self._timeout_s, 900.0) + window + 1
            for instant in (paused_until, next_send):
                if now < instant < furthest:
                    return -1, instant - now
            soonest = furthest
            for step in range(min(self._slots, _LOOK_AHEAD)):
                slot = (head + step) % self._slots
                (free_at,) = struct.unpack_from("<d", self._map, _START + 8 * slot)
                if free_at <= now or free_at > furthest:
                    struct.pack_into("<d", self._map, _START + 8 * slot, now + self._timeout_s + window)
                    following = (slot + 1) % self._slots
                    next_send = now + spacing if spacing else 0.0
                    _HEADER.pack_into(self._map, 0, _MAGIC, self._slots, following, paused_until, spacing, next_send)
                    return slot, 0.0
                soonest = min(soonest, free_at)
            return -1, soonest - now

    def answered(self, slot: int, *, remaining: int | None, reset_s: float | None, refused: bool) -> None:
        """The request of this slot is over. `refused`: it was a 429, and `reset_s` the seconds it asked for."""
        if self._map is None and refused:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + max(reset_s or 1.0, 0.0))
        if self._map is None or slot < 0:
            return
        assert self._rate is not None
        with self._locked_file():
            now = self._clock.monotonic()
            struct.pack_into("<d", self._map, _START + 8 * slot, now + self._rate.per_seconds)
            _, _, head, paused_until, spacing, next_send = _HEADER.unpack_from(self._map, 0)
            nominal = self._rate.per_seconds / self._slots
            if refused:
                # Those that were under way together are refused together: that is one sign, not many.
                if not now < paused_until:
                    spacing = min(max(2 * spacing, nominal), _WIDEST_SPACING * nominal)
                paused_until = max(paused_until, now + max(reset_s or 1.0, 0.0))
            elif remaining == 0 and self._has_free_slot(head, now):
                # The other side counts more than we sent: somebody shares the key, or a write costs several units.
                paused_until = max(paused_until, now + max(reset_s or 1.0, 1.0))
                spacing = max(spacing, nominal)
            elif spacing:
                spacing = spacing * 0.98 if spacing > nominal / 4 else 0.0
            else:
                return
            _HEADER.pack_into(self._map, 0, _MAGIC, self._slots, head, paused_until, spacing, next_send)

    def _has_free_slot(self, head: int, now: float) -> bool:
        assert self._map is not None
        for step in range(min(self._slots, _LOOK_AHEAD)):
            (free_at,) = struct.unpack_from("<d", self._map, _START + 8 * ((head + step) % self._slots))
            if free_at <= now:
                return True
        return False


def header_number(text: str | None) -> float | None:
    """The leading number of a rate-limit header (`1000, 1000;window=60` is 1000); None where there is none."""
    if not text:
        return None
    try:
        number = float(text.split(",")[0].split(";")[0].strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None

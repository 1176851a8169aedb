"""The slots of one credential in a small file that every process of this machine maps into memory."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_HEADER = struct.Struct("<8sIIddd")  # magic, slots, head, paused until, spacing, next send
_SLOT = struct.Struct("<d")
_MAGIC = b"HRRING1\0"
_START = 64
_LOOK_AHEAD = 1024


class MappedRing:
    """Implements `throttle.Ring` while it is `held`. Slots are taken in turn, so that the oldest is looked at first."""

    def __init__(self, directory: str, name: str, slots: int, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._slots = slots
        self._head = 0
        self.now = self.paused_until = self.spacing = self.next_send = 0.0
        size = _START + _SLOT.size * slots
        self._file = os.open(os.path.join(directory, f"{name}.ring"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            if os.fstat(self._file).st_size != size:
                os.ftruncate(self._file, size)
            self._map = mmap.mmap(self._file, size)
            if self._map[:8] != _MAGIC:
                _HEADER.pack_into(self._map, 0, _MAGIC, slots, 0, 0.0, 0.0, 0.0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else has the ring meanwhile."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            self.now = self._monotonic()
            _, _, self._head, self.paused_until, self.spacing, self.next_send = _HEADER.unpack_from(self._map, 0)
            yield
            header = (self._head, self.paused_until, self.spacing, self.next_send)
            _HEADER.pack_into(self._map, 0, _MAGIC, self._slots, *header)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def find_free(self, furthest: float) -> tuple[int, float]:
        soonest = furthest
        for step in range(min(self._slots, _LOOK_AHEAD)):
            slot = (self._head + step) % self._slots
            (free_at,) = _SLOT.unpack_from(self._map, _START + _SLOT.size * slot)
            if free_at <= self.now or free_at > furthest:
                return slot, self.now
            soonest = min(soonest, free_at)
        return -1, soonest

    def occupy(self, slot: int, until: float) -> None:
        _SLOT.pack_into(self._map, _START + _SLOT.size * slot, until)
        self._head = (slot + 1) % self._slots

    def release(self, slot: int, at: float) -> None:
        _SLOT.pack_into(self._map, _START + _SLOT.size * slot, at)

    def close(self) -> None:
        self._map.close()
        os.close(self._file)

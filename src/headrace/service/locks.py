"""Who owns a sync, embedded: an operating system's file lock. A dead owner lets go of it at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson


class FileLock:
    """An exclusive lock on a file that also says who holds it. Use `try_take`, then `release`, or as a context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def try_take(self, holder: str) -> bool:
        """True where the lock is ours now. `holder` is what others are told."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        os.ftruncate(file, 0)
        os.pwrite(file, orjson.dumps({"holder": holder, "pid": os.getpid()}), 0)
        self._file = file
        return True

    def holder(self) -> str:
        """Who holds it, as far as is known."""
        try:
            found = orjson.loads(self._path.read_bytes())
            return f"{found['holder']} (process {found['pid']})"
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

"""Heavy work that somebody waits for: previews, plans, tests of connections. So much at once, and no more.

What is beyond it waits a moment and is then told to come again, so that light questions are always answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.domain.errors import UserError

AT_ONCE = 4
PATIENCE_S = 2.0
WITHIN_S = 60.0
"""The longest that a statement of a source may take for somebody who waits at a page."""


class Heavy:
    """Turns at heavy work. Use `turn` as a context, in a thread of its own."""

    def __init__(self, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._patience_s = patience_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises UserError `busy`."""
        if not self._free.acquire(timeout=self._patience_s):
            message = "So much is being previewed, planned and tested that this must wait. Try again in some seconds."
            raise UserError(message, code="busy", retry_after_s=5)
        try:
            yield
        finally:
            self._free.release()

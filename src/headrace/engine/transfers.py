"""libcurl's transfers on the running event loop: many at once, each awaited.

libcurl says which of its sockets it waits for, and until when; the loop says when they are ready. The loop watches one
descriptor, a selector of all these sockets: to let it watch each of them anew for each request costs half as much again
as the request (docs/decisions/0008-libcurl.md).
"""

from __future__ import annotations

import asyncio
import os
import selectors
from typing import Any

import pycurl

# The same bits on all three sides, which the tests of the transport would soon tell if they changed.
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


class Transfers:
    """For one loop, which must run when this is made. `close` it at the end."""

    def __init__(self, connections: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[Any, asyncio.Future[tuple[int, str]]] = {}
        self._sockets = selectors.DefaultSelector()
        self._parked: dict[int, int] = {}
        """Sockets of idle connections, which stay in the selector, and the inode of each."""
        self._loop.add_reader(self._sockets.fileno(), self._on_sockets)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._due_at: float | None = None
        self._kicked = False
        self._closed = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wake)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)

    async def perform(self, curl: Any) -> tuple[int, str]:
        """Does what the handle is set to. Returns libcurl's code, 0 for success, and its words for a failure."""
        done: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._multi.add_handle(curl)
        self._under_way[curl] = done
        try:
            return await done
        finally:
            if curl in self._under_way:  # cancelled: nobody waits for the answer
                del self._under_way[curl]
                self._multi.remove_handle(curl)

    def close(self) -> None:
        """Closes every connection; what is under way is cancelled."""
        self._closed = True
        for done in self._under_way.values():
            done.cancel()
        for curl in list(self._under_way):
            del self._under_way[curl]
            self._multi.remove_handle(curl)
        if self._timer is not None:
            self._timer.cancel()
        self._multi.close()
        self._loop.remove_reader(self._sockets.fileno())
        self._sockets.close()

    # What libcurl asks for; it may not be called back from here -----------------------------------------------------

    def _watch(self, what: int, socket: int, _multi: object, _assigned: object) -> None:
        if what == pycurl.POLL_REMOVE:
            # The connection is idle, and its next request will be watched for the same: to take the socket out and put
            # it in again would be half of what libcurl itself costs. Its inode tells whether it is still that socket.
            self._parked[socket] = os.fstat(socket).st_ino
            return
        events = what & _BOTH
        watched = self._sockets.get_map().get(socket)
        parked = self._parked.pop(socket, None)
        if watched is not None and parked is not None and parked != os.fstat(socket).st_ino:
            self._sockets.unregister(socket)  # it was closed, and its number given to another
            watched = None
        if watched is None:
            self._sockets.register(socket, events)
        elif watched.events != events:
            try:
                self._sockets.modify(socket, events)
            except OSError:  # as above, without a word before
                self._sockets.register(socket, events)

    def _wake(self, after_ms: int) -> None:
        if self._closed:
            return
        if after_ms < 0:
            self._due_at = None
        elif after_ms == 0:
            if not self._kicked:
                self._kicked = True
                self._loop.call_soon(self._kick)
        else:
            self._due_at = self._loop.time() + after_ms / 1000
            # A timer that comes too early is left: it sets the next one. Most are never due.
            if self._timer is None or self._timer_at > self._due_at:
                self._set_timer(self._due_at)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_time)

    # What the loop says -------------------------------------------------------------------------------------------

    def _kick(self) -> None:
        self._kicked = False
        if not self._closed:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._tell()

    def _on_time(self) -> None:
        self._timer = None
        if self._due_at is None:
            return
        if self._due_at > self._loop.time():
            self._set_timer(self._due_at)
            return
        self._due_at = None
        self._kick()

    def _on_sockets(self) -> None:
        for key, events in self._sockets.select(0):
            if key.fd in self._parked:  # the server closed an idle connection, which libcurl finds out by itself
                del self._parked[key.fd]
                self._sockets.unregister(key.fd)
            else:
                self._multi.socket_action(key.fd, events)
        self._tell()

    def _tell(self) -> None:
        """Takes out the handles that are done and wakes who waits for them."""
        _, succeeded, failed = self._multi.info_read()
        for curl in succeeded:
            self._end(curl, 0, "")
        for curl, code, words in failed:
            self._end(curl, code, words)

    def _end(self, curl: Any, code: int, words: str) -> None:
        self._multi.remove_handle(curl)
        done = self._under_way.pop(curl)
        if not done.done():
            done.set_result((code, words))

"""What a server does again and again by itself: each thing every so many seconds, in a thread of its own.

A slow thing (a mail server that does not answer) holds up no other. One that fails is counted, told, and done again at
its next time; nothing but `stop` ends it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headrace.domain.access import Actor, whole
from headrace.service.verbs import acting_as

Failed = Callable[[str, BaseException], None]
"""Told of a thing by its name, and of why it failed."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something to do every so many seconds, counted from its end."""

    name: str
    every_s: float
    do: Callable[[], object]


class Ticking:
    """Use `start`, then `stop`. `failures` counts by name; `wake` does a thing now instead of at its next time."""

    def __init__(
        self,
        things: Sequence[Thing],
        failed: Failed,
        *,
        actor: Actor = whole("scheduler"),
    ) -> None:
        self._things = {thing.name: thing for thing in things}
        self._failed = failed
        self._actor = actor
        self._woken = {thing.name: threading.Event() for thing in things}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._go, args=(thing,), name=f"tick {thing.name}", daemon=True) for thing in things
        ]
        self.failures = dict.fromkeys(self._things, 0)
        self.done = dict.fromkeys(self._things, 0)

    @property
    def alive(self) -> bool:
        """Whether all of it goes on."""
        return not self._stopping.is_set() and all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self, name: str) -> None:
        self._woken[name].set()

    def stop(self, within_s: float = 10.0) -> bool:
        """Ends it after what is being done now. True where all did within that time."""
        self._stopping.set()
        for event in self._woken.values():
            event.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(within_s)
        return not any(thread.is_alive() for thread in self._threads)

    def do_once(self, name: str) -> None:
        """Does a thing, here and now; a failure is counted and told."""
        try:
            with acting_as(self._actor):
                self._things[name].do()
        except Exception as error:  # noqa: BLE001 - the edge: a bug in one thing must not end it for good
            self.failures[name] += 1
            self._failed(name, error)
        else:
            self.done[name] += 1

    def _go(self, thing: Thing) -> None:
        woken = self._woken[thing.name]
        while not self._stopping.is_set():
            self.do_once(thing.name)
            woken.wait(thing.every_s)
            woken.clear()

"""The ticking of a server: what fails is told and tried again, what is slow holds up nothing else."""

from __future__ import annotations

import threading

from headrace.domain.errors import WorldError
from headrace.service.ticking import Thing, Ticking
from headrace.service.verbs import current_actor

PATIENCE_S = 30


class Told:
    """What failed, as it is told."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []

    def __call__(self, name: str, error: BaseException) -> None:
        self.failures.append((name, str(error)))


def test_a_thing_that_fails_is_counted_told_and_done_again() -> None:
    """A database that is away for a minute must not end the schedules for good."""
    told, attempts, third = Told(), [0], threading.Event()

    def fire() -> None:
        attempts[0] += 1
        if attempts[0] == 1:
            raise WorldError("the store is away", code="store_read_failed")
        if attempts[0] == 2:
            raise KeyError("a bug")
        third.set()

    ticking = Ticking([Thing("fire", 0.001, fire)], told)
    ticking.start()
    assert third.wait(PATIENCE_S)
    assert ticking.alive

    assert ticking.stop()
    assert [("fire", "the store is away"), ("fire", "'a bug'")] == told.failures
    assert 2 == ticking.failures["fire"]
    assert not ticking.alive


def test_a_slow_thing_holds_up_no_other() -> None:
    """A mail server that does not answer must not delay the nightly syncs."""
    let_go, other = threading.Event(), threading.Event()
    ticking = Ticking([Thing("slow", 1, let_go.wait), Thing("other", 1, other.set)], Told())
    ticking.start()

    assert other.wait(PATIENCE_S)
    let_go.set()
    assert ticking.stop()


def test_what_is_woken_is_done_at_once() -> None:
    """An alert is sent when it is written down, not a tick later."""
    first, second = threading.Event(), threading.Event()

    def do() -> None:
        (second if first.is_set() else first).set()

    ticking = Ticking([Thing("send", 3600, do)], Told())
    ticking.start()
    assert first.wait(PATIENCE_S)
    ticking.wake("send")

    assert second.wait(PATIENCE_S)
    assert ticking.stop()


def test_it_acts_as_the_scheduler() -> None:
    """What happens by itself has a name in the audit log."""
    names: list[str] = []
    ticking = Ticking([Thing("look", 1, lambda: names.append(current_actor().name))], Told())

    ticking.do_once("look")

    assert ["scheduler"] == names
    assert {"look": 1} == ticking.done

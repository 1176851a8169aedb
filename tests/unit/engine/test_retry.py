"""When a request is tried again, and when a run is better stopped."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.retry import Health, RetryBudget, backoff_s

from .fakes import HandClock


@given(st.integers(1, 40), st.floats(0, 900), st.integers())
def test_the_wait_is_never_shorter_than_the_floor_nor_longer_than_its_cap(attempt: int, floor_s: float, seed: int):
    wait = backoff_s(attempt, floor_s, random.Random(seed))

    assert floor_s <= wait <= max(floor_s, min(60.0, 2.0 ** (attempt - 1)))


def test_the_wait_is_spread_over_its_whole_range():
    """Full jitter: callers that failed together do not come back together."""
    chance = random.Random(1)
    waits = [backoff_s(4, 0.0, chance) for _ in range(4000)]

    tenths = [sum(at <= wait / 0.8 < at + 1 for wait in waits) for at in range(10)]

    assert min(tenths) > 320  # 400 each on average


def test_retries_are_a_tenth_of_first_sends_and_never_fewer_than_twenty_a_minute():
    """What is down is not hammered; what hiccups is tried again at once."""
    clock = HandClock()
    budget = RetryBudget(clock)

    at_once = _taken(budget)
    clock.seconds += 60
    a_minute_later = _taken(budget)
    for _ in range(1001):
        budget.first_send()
    after_a_thousand = _taken(budget)

    assert (20, 20, 100) == (at_once, a_minute_later, after_a_thousand)


def _taken(budget: RetryBudget) -> int:
    count = 0
    while budget.take() == 0:
        count += 1
    return count


def test_an_empty_budget_says_how_long_to_wait():
    clock = HandClock()
    budget = RetryBudget(clock)
    _taken(budget)

    clock.seconds += budget.take() + 0.001

    assert 0 == budget.take()


def test_a_host_that_can_not_be_reached_stops_the_run_at_the_third_try_of_a_request():
    """A typo in the host should not take an hour to be told."""
    health = Health(HandClock())

    assert [False, False, True] == [health.failed(attempt, reached=False) for attempt in (1, 2, 3)]


def test_a_host_that_only_ever_fails_stops_the_run_after_twenty_failures():
    health = Health(HandClock())

    stops = [health.failed(3, reached=True) for _ in range(25)]

    assert 19 == stops.index(True)


def test_an_outage_in_mid_run_is_waited_out_for_two_minutes():
    clock = HandClock()
    health = Health(clock)
    health.good()

    soon = [health.failed(3, reached=True) for _ in range(50)]
    clock.seconds += 121

    assert not any(soon)
    assert health.failed(3, reached=True)


def test_one_good_answer_forgets_the_failures():
    clock = HandClock()
    health = Health(clock)
    for _ in range(19):
        health.failed(3, reached=True)
    health.good()
    clock.seconds += 500

    assert not health.failed(3, reached=True)


@pytest.mark.parametrize(
    ("refusals", "delivered", "stops"),
    [
        (["a"] * 20, False, True),
        (["a"] * 19, False, False),
        (["a"] * 20, True, False),
        (["a", "b"] * 20, False, False),
        (["b"] + ["a"] * 20, False, True),
    ],
)
def test_the_first_twenty_rows_refused_alike_stop_the_run(refusals: list[str], delivered: bool, stops: bool):
    """A mapping that can't work is told once, not ten thousand times."""
    health = Health(HandClock())

    assert stops == (True in [health.row_refused(words, any_delivered=delivered) for words in refusals])

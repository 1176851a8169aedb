"""The rate limit of one credential: never too many, nearly all that is allowed, shared by everyone who sends."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.destinations import Limits, RateLimit
from headrace.engine.throttle import Throttle, header_number

from .fakes import HandClock, LoopClock, quickly


def limits(requests: int = 10, per_seconds: float = 6.0, timeout_s: float = 30.0) -> Limits:
    return Limits(RateLimit(requests, per_seconds), 8, timeout_s, "credential")


UNLIMITED = Limits(None, 8, 30.0, "credential")


def most_in_any_window(accepted: Sequence[float], window_s: float) -> int:
    """The checker, which knows nothing of slots: the largest number of instants within one window."""
    ordered = sorted(accepted)
    return max((bisect_left(ordered, start + window_s) - at for at, start in enumerate(ordered)), default=0)


async def send_many(throttle: Throttle, accepted: list[float], count: int, workers: int, longest_s: float) -> None:
    """Requests that the other end accepts somewhere between their leaving and their answer."""
    chance = random.Random(count)
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            slot, _ = await throttle.acquire()
            there, back = chance.uniform(0, longest_s), chance.uniform(0, longest_s)
            await asyncio.sleep(there)
            accepted.append(asyncio.get_running_loop().time())
            await asyncio.sleep(back)
            throttle.answered(slot, remaining=None, reset_s=None, refused=False)

    await asyncio.gather(*(work() for _ in range(workers)))


@pytest.mark.parametrize("longest_s", [0.0, 0.05, 2.0, 14.0])
def test_the_other_end_never_counts_more_than_its_limit(tmp_path: Path, longest_s: float):
    """However slow the way there and back is. A 429 of our own making is a request thrown away."""
    accepted: list[float] = []
    throttle = Throttle(limits(), str(tmp_path), LoopClock())

    quickly(send_many(throttle, accepted, 200, 32, longest_s))

    assert 200 == len(accepted)
    assert 10 >= most_in_any_window(accepted, 6.0)


def test_several_processes_share_one_budget(tmp_path: Path):
    """Two syncs at once must not each take the whole of it."""
    accepted: list[float] = []
    throttles = [Throttle(limits(), str(tmp_path), LoopClock()) for _ in range(3)]

    async def all_send() -> None:
        await asyncio.gather(*(send_many(one, accepted, 60, 8, 0.3) for one in throttles))

    quickly(all_send())

    assert 180 == len(accepted)
    assert 10 == most_in_any_window(accepted, 6.0)


def test_nearly_the_whole_budget_is_used(tmp_path: Path):
    """97 % and more at a latency of up to a tenth of a second, over twenty windows."""
    accepted: list[float] = []
    throttle = Throttle(limits(100, 6.0), str(tmp_path), LoopClock())

    quickly(send_many(throttle, accepted, 2001, 32, 0.05))

    took = max(accepted) - min(accepted)
    assert 0.97 <= 2000 / (took / 6.0 * 100) <= 1.06  # the first window's worth goes at once


def test_another_credential_has_a_budget_of_its_own(tmp_path: Path):
    clock = HandClock()
    one = Throttle(limits(1), str(tmp_path), clock)
    other = Throttle(Limits(RateLimit(1, 6.0), 8, 30.0, "another"), str(tmp_path), clock)

    async def take_both() -> list[float]:
        return [(await throttle.acquire())[1] for throttle in (one, other)]

    assert [0.0, 0.0] == asyncio.run(take_both())


def test_a_dead_processs_slots_come_back(tmp_path: Path):
    """It took all of them and never answered: after its time-out and a window nobody can count them any more."""
    clock = HandClock()
    dead = Throttle(limits(2, 6.0, timeout_s=30.0), str(tmp_path), clock)
    alive = Throttle(limits(2, 6.0, timeout_s=30.0), str(tmp_path), clock)

    async def take_over() -> float:
        await dead.acquire()
        await dead.acquire()
        dead.close()
        return (await alive.acquire())[1]

    assert 36.0 == pytest.approx(asyncio.run(take_over()), abs=0.01)


def test_a_refusal_pauses_everyone_for_as_long_as_it_says(tmp_path: Path):
    """A 429 pauses the bucket, not one row after another."""
    clock = HandClock()
    one, other = (Throttle(limits(), str(tmp_path), clock) for _ in range(2))

    async def refused() -> float:
        slot, _ = await one.acquire()
        one.answered(slot, remaining=0, reset_s=20.0, refused=True)
        return (await other.acquire())[1]

    assert 20.0 == pytest.approx(asyncio.run(refused()), abs=0.01)


def test_without_a_rate_limit_a_refusal_still_pauses(tmp_path: Path):
    """`rate_limit: none` says that we set no ceiling, not that we hammer on a closed door."""
    clock = HandClock()
    throttle = Throttle(UNLIMITED, str(tmp_path), clock)

    async def refused() -> list[float]:
        slot, first = await throttle.acquire()
        throttle.answered(slot, remaining=None, reset_s=20.0, refused=True)
        return [first, (await throttle.acquire())[1], (await throttle.acquire())[1]]

    assert [0.0, 20.0, 0.0] == pytest.approx(asyncio.run(refused()), abs=0.01)


def test_nothing_remaining_pauses_where_we_have_slots_left(tmp_path: Path):
    """Somebody shares the key: their requests count too."""
    clock = HandClock()
    throttle = Throttle(limits(), str(tmp_path), clock)

    async def exhausted() -> float:
        slot, _ = await throttle.acquire()
        throttle.answered(slot, remaining=0, reset_s=15.0, refused=False)
        return (await throttle.acquire())[1]

    assert 15.0 == pytest.approx(asyncio.run(exhausted()), abs=0.01)


def test_nothing_remaining_at_the_end_of_our_own_budget_is_no_surprise(tmp_path: Path):
    clock = HandClock()
    throttle = Throttle(limits(2, 6.0), str(tmp_path), clock)

    async def used_up() -> float:
        slots = [(await throttle.acquire())[0] for _ in range(2)]
        for slot in slots:
            throttle.answered(slot, remaining=0, reset_s=60.0, refused=False)
        return (await throttle.acquire())[1]

    assert 6.0 == pytest.approx(asyncio.run(used_up()), abs=0.01)


def test_a_storm_of_refusals_is_over_when_it_is_over(tmp_path: Path):
    """32 requests under way are refused together: one sign, not 32. Afterwards the old pace returns soon."""
    throttle = Throttle(limits(100, 6.0), str(tmp_path), LoopClock())

    async def storm() -> tuple[float, float]:
        slots = [(await throttle.acquire())[0] for _ in range(32)]
        for slot in slots:
            throttle.answered(slot, remaining=0, reset_s=2.0, refused=True)
        started = asyncio.get_running_loop().time()
        accepted: list[float] = []
        await send_many(throttle, accepted, 500, 16, 0.01)
        return min(accepted) - started, max(accepted) - min(accepted)

    paused, took = quickly(storm())

    assert 2.0 <= paused < 2.1
    assert took < 60  # 30 s would be the whole rate


def test_a_run_that_ends_does_not_wait_for_the_pause(tmp_path: Path):
    """Cancel answers within seconds, although Vitally asked for a quarter of an hour."""
    clock = HandClock()
    throttle = Throttle(limits(), str(tmp_path), clock)

    async def cancelled() -> tuple[int, float]:
        slot, _ = await throttle.acquire()
        throttle.answered(slot, remaining=None, reset_s=900.0, refused=True)
        return await throttle.acquire(lambda: clock.seconds > 1003)

    slot, waited = asyncio.run(cancelled())

    assert -1 == slot
    assert waited <= 5


def test_a_clock_that_was_set_back_does_not_block_for_ever(tmp_path: Path):
    """A machine's monotonic clock begins anew when it starts; instants of the last time lie far ahead."""
    clock = HandClock()
    clock.seconds = 10_000_000.0
    before = Throttle(limits(1), str(tmp_path), clock)
    asyncio.run(before.acquire())
    clock.seconds = 5.0

    assert 0.0 == asyncio.run(Throttle(limits(1), str(tmp_path), clock).acquire())[1]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1000", 1000.0),
        ("1000, 1000;window=60", 1000.0),
        (" 0.5 ", 0.5),
        ("12;w=1", 12.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
    ],
)
def test_a_header_is_read_for_its_leading_number(text: str | None, number: float | None):
    assert number == header_number(text)

"""The rate limit that several machines share: the promises of the throttle, over one Postgres."""

from __future__ import annotations

import asyncio
import signal
import time
from bisect import bisect_left
from collections.abc import Iterator

import pytest

from headrace.destinations import Limits, RateLimit
from headrace.domain.errors import WorldError
from headrace.engine.throttle import Throttle
from headrace.store.workspace import Workspace
from postgres_server import PostgresServer

from .world import on_postgres, start_python

pytestmark = on_postgres


class RealClock:
    """The time of the machine: the other clock is the database's, which no test can turn."""

    def now(self) -> None:
        raise NotImplementedError

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def limits(requests: int = 5, per_seconds: float = 0.3, timeout_s: float = 30.0, credential: str = "key") -> Limits:
    return Limits(RateLimit(requests, per_seconds), 8, timeout_s, credential)


@pytest.fixture
def machines(where: str) -> Iterator[list[Workspace]]:
    """The same workspace, opened twice."""
    with Workspace.open(where) as one, Workspace.open(where) as other:
        yield [one, other]


def throttle(workspace: Workspace, its: Limits) -> Throttle:
    return Throttle(its, "", RealClock(), workspace.budgets())  # type: ignore[arg-type]


async def take(throttle: Throttle, count: int) -> tuple[list[int], float]:
    """Takes that many slots at once; gives them and the longest wait."""
    taken = await asyncio.gather(*(throttle.acquire() for _ in range(count)))
    return [slot for slot, _ in taken], max(waited for _, waited in taken)


def test_two_machines_share_one_budget_and_a_slot_opens_a_window_after_its_answer(machines: list[Workspace]) -> None:
    one, other = (throttle(machine, limits(per_seconds=0.5)) for machine in machines)

    async def all_of_it() -> tuple[list[int], float, float]:
        mine, at_once = await take(one, 3)
        theirs, _ = await take(other, 2)
        await asyncio.sleep(0.2)  # the answers come late: the window begins with them
        for slot in mine:
            one.answered(slot, remaining=None, reset_s=None, refused=False)
        return mine + theirs, at_once, (await other.acquire())[1]

    slots, at_once, waited = asyncio.run(all_of_it())

    one.close()
    other.close()
    assert sorted(slots) == [0, 1, 2, 3, 4]
    assert at_once < 0.3
    assert 0.5 <= waited < 1.5


def test_slots_of_a_dead_process_come_back(where: str, machines: list[Workspace]) -> None:
    """It took all of them and was killed: after its time-out and a window nobody can count them any more."""
    script = """if True:
        import asyncio, sys
        from headrace.engine.throttle import Allowance
        from headrace.store.workspace import Workspace

        async def take_all():
            budget = Workspace.open(sys.argv[1]).budgets()("key", Allowance(3, 0.3, 1.0))
            print([await budget.take() for _ in range(3)], flush=True)
            sys.stdin.read()

        asyncio.run(take_all())
    """
    dead = start_python(script, where)
    assert dead.stdout
    dead.stdout.readline()
    dead.kill()
    dead.communicate()
    alive = throttle(machines[0], limits(3, 0.3, timeout_s=1.0))

    slots, waited = asyncio.run(take(alive, 3))

    alive.close()
    assert sorted(slots) == [0, 1, 2]
    assert 0.5 < waited < 3


def test_a_refusal_pauses_every_machine(machines: list[Workspace]) -> None:
    one, other = (throttle(machine, limits()) for machine in machines)

    async def refused() -> float:
        slot, _ = await one.acquire()
        one.answered(slot, remaining=0, reset_s=0.8, refused=True)
        await one.acquire()
        return (await other.acquire())[1]

    started = time.monotonic()
    asyncio.run(refused())

    one.close()
    other.close()
    assert 0.8 <= time.monotonic() - started < 3


def test_a_process_that_stands_still_with_the_ring_in_hand_holds_nobody_up(
    where: str, machines: list[Workspace]
) -> None:
    """A suspended machine, in the worst moment."""
    script = """if True:
        import sys
        from headrace.engine.throttle import Allowance
        from headrace.store.workspace import Workspace

        def stand_still(ring):
            print("held", flush=True)
            sys.stdin.read()

        backend = Workspace.open(sys.argv[1]).database.backend
        backend.open_ring("key-5-0.3", Allowance(5, 0.3, 30)).change(1, stand_still)
    """
    stuck = start_python(script, where)
    assert stuck.stdout
    assert stuck.stdout.readline() == "held\n"
    stuck.send_signal(signal.SIGSTOP)
    try:
        alive = throttle(machines[0], limits())
        slot, waited = asyncio.run(alive.acquire())
        alive.close()
    finally:
        stuck.kill()
        stuck.communicate()

    assert slot >= 0
    assert waited < 2


def test_what_cannot_be_counted_is_not_sent(postgres_server: PostgresServer, machines: list[Workspace]) -> None:
    """Without the database nobody knows what the others send. When it is back, so are the slots."""
    its = throttle(machines[0], limits())

    async def cut_off() -> tuple[str, int]:
        await its.acquire()
        postgres_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")
        with pytest.raises(WorldError) as caught:
            await its.acquire()
        return caught.value.code, (await its.acquire())[0]

    code, slot = asyncio.run(cut_off())

    its.close()
    assert code == "store_write_failed"
    assert slot >= 0


SENDER = """if True:
    import asyncio, sys, time
    from headrace.destinations import Limits, RateLimit
    from headrace.engine.throttle import Throttle
    from headrace.store.workspace import Workspace

    class RealClock:
        monotonic = staticmethod(time.monotonic)
        sleep = staticmethod(asyncio.sleep)

    async def send(throttle):
        for _ in range(50):
            slot, _ = await throttle.acquire()
            accepted = time.time()
            await asyncio.sleep(0.005)
            throttle.answered(slot, remaining=None, reset_s=None, refused=False)
            print(accepted)

    async def main(workspace):
        throttle = Throttle(Limits(RateLimit(100, 1.0), 8, 30.0, "key"), "", RealClock(), workspace.budgets())
        sys.stdin.readline()
        await asyncio.gather(*(send(throttle) for _ in range(6)))
        throttle.close()

    with Workspace.open(sys.argv[1]) as workspace:
        asyncio.run(main(workspace))
"""


@pytest.mark.slow
def test_two_processes_use_nearly_the_whole_rate_and_never_more(where: str, machines: list[Workspace]) -> None:
    """600 requests of 12 senders in two processes under 100 a second: no window has more, and few have less."""
    senders = [start_python(SENDER, where) for _ in range(2)]
    for sender in senders:
        assert sender.stdin
        sender.stdin.write("go\n")
        sender.stdin.flush()
    accepted = sorted(float(line) for sender in senders for line in sender.communicate()[0].splitlines())

    most = max(bisect_left(accepted, start + 1.0) - at for at, start in enumerate(accepted))
    spans = [later - earlier for earlier, later in zip(accepted, accepted[100:], strict=False)]
    assert len(accepted) == 600
    assert most <= 100
    assert 0.95 <= len(spans) / sum(spans)

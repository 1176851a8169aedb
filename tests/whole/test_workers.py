"""Workers over one Postgres: a stop drains, a death is taken over, any machine goes on where another was."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.domain.outcome import RunStatus
from postgres_server import PostgresServer

from .project import as_delivered, eventually
from .workers import LEASE_S, ROWS, World, machines

SYNC = "north"
CONCURRENCY = 8
GROUP = 64  # acknowledgements become durable in groups of so many requests
DRAINED_WITHIN_S = 30.0

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[World]:
    with machines(tmp_path, postgres_server.migrated(), [SYNC], 2) as world:
        yield world


def all_ended(world: World) -> bool:
    return not world.app.workspace.runs.live()


def wanted(world: World) -> dict[str, tuple[str | None, str | None]]:
    return as_delivered(world.rows[SYNC].values())


def test_a_worker_that_is_told_to_stop_drains_and_another_goes_on_at_once(world: World) -> None:
    """A deploy in the middle of a run costs nobody a row, and sends none twice."""
    world.project.vitally.configure(delay_ms=30)
    first, second = world.machines
    first.start()
    world.trigger(SYNC)
    eventually(lambda: world.project.sent() > ROWS // 4, "a run under way")

    first.signal(signal.SIGTERM)
    assert first.process is not None
    code = first.process.wait(DRAINED_WITHIN_S)
    second.start()
    eventually(lambda: all_ended(world), "the run that goes on")

    cut, followed = world.runs()
    assert 0 == code, first.said
    assert (RunStatus.INTERRUPTED, RunStatus.SUCCEEDED) == (cut.status, followed.status)
    assert cut.id == followed.follows
    assert wanted(world) == world.project.delivered()
    assert {1} == set(world.project.writes().values())


def test_a_worker_that_was_killed_is_taken_over_when_its_lease_is_over(world: World) -> None:
    """Promise 2 on several machines: what was acknowledged is folded by another, from the plan that was kept."""
    world.project.vitally.configure(delay_ms=30)
    first, second = world.machines
    first.start()
    world.trigger(SYNC)
    eventually(lambda: world.project.sent() > ROWS // 2, "a run under way")

    first.kill()
    killed = time.monotonic()
    second.start()
    eventually(lambda: len(world.runs()) == 2, "the take-over", 90)
    took_s = time.monotonic() - killed
    eventually(lambda: all_ended(world), "the run that goes on")

    dead, followed = world.runs()
    assert (RunStatus.INTERRUPTED, RunStatus.SUCCEEDED) == (dead.status, followed.status)
    assert (dead.id, "takeover") == (followed.follows, followed.reason)
    assert took_s < LEASE_S + 20, "start of a process and one sweep"
    assert wanted(world) == world.project.delivered()
    repeated = sum(count - 1 for count in world.project.writes().values())
    assert repeated <= CONCURRENCY + GROUP
    assert followed.counts.added < ROWS


def test_the_command_line_of_any_machine_sees_one_ledger(world: World) -> None:
    """`run` here and `plan` there are about the same sync, and a run under way keeps nobody from looking."""
    first, second = world.machines

    here = first.headrace("run", SYNC, "--json")
    there = second.headrace("run", SYNC, "--json")
    looked = second.headrace("plan", SYNC, "--json")

    assert (0, ROWS, ROWS) == (here.code, here.json["added"], here.json["delivered"]), here.both
    assert (0, 0, ROWS) == (there.code, there.json["delivered"], there.json["unchanged"]), there.both
    assert 0 == looked.code, looked.both
    assert wanted(world) == world.project.delivered()


def test_a_run_at_the_command_line_waits_for_a_worker_and_can_be_cancelled_from_elsewhere(world: World) -> None:
    """The contract of `run` is the same over Postgres; a cancel reaches it through its row."""
    world.project.vitally.configure(delay_ms=1000)
    first, second = world.machines
    first.start()
    world.trigger(SYNC)
    eventually(lambda: world.project.sent() > 0, "a run under way")

    refused = second.headrace("run", SYNC, "--json", "--no-wait")
    cancelled = second.headrace("cancel", 1)
    waited = eventually(lambda: all_ended(world), "the end of a cancelled run", 20)

    assert 2 == refused.code, refused.both
    assert "sync_busy" == refused.json["error"]["code"]
    assert 0 == cancelled.code, cancelled.both
    assert waited
    assert [RunStatus.CANCELLED] == [run.status for run in world.runs()]

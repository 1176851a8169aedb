"""Leases: who is heard of keeps its run, who is not loses it, and knows so before it sends another request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.domain.errors import UserError
from headrace.domain.outcome import RunStatus
from headrace.service.owning import LeaseOwned, LeaseOwners
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

NEW = NewRun("accounts", "accounts")
LEASE_S = 60.0
NEVER_S = 1e6
"""Hearts that do not beat by themselves: each test says when."""


class Time:
    """The clock of the database and that of the machine, which may stand still."""

    def __init__(self) -> None:
        self.of_database = datetime(2026, 1, 31, tzinfo=UTC)
        self.of_machine = 1000.0

    def pass_(self, seconds: float) -> None:
        self.of_database += timedelta(seconds=seconds)
        self.of_machine += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def workspace(tmp_path: Path, time: Time) -> Iterator[Workspace]:
    """A folder, since its clock can be told what time it is; the same statements run on Postgres in other tests."""
    with Workspace.open(tmp_path / "ws", create=True, now=lambda: time.of_database) as opened:
        yield opened


@pytest.fixture
def owners(workspace: Workspace, time: Time) -> LeaseOwners:
    return LeaseOwners(workspace.runs, LEASE_S, NEVER_S, lambda: time.of_machine)


def nobody(_dead: Run) -> None:
    return None


def begin(owners: LeaseOwners) -> LeaseOwned:
    owned = owners.begin(NEW)
    assert owned is not None
    return owned


def test_who_shows_life_keeps_the_run_for_longer_than_a_lease(
    workspace: Workspace, owners: LeaseOwners, time: Time
) -> None:
    with begin(owners) as owned:
        for _ in range(5):
            time.pass_(LEASE_S - 1)
            owned.beat()

            assert owned.mine()
            assert [] == owners.settle(nobody)
            assert owners.begin(NEW) is None


def test_who_is_silent_for_a_lease_has_lost_the_run_and_knows_it_by_its_own_clock(
    workspace: Workspace, owners: LeaseOwners, time: Time
) -> None:
    """A process that was stopped asks before each request, and needs no database to know the answer."""
    with begin(owners) as owned:
        time.pass_(LEASE_S)

        assert not owned.mine()
        time.pass_(0.001)
        settled = owners.settle(nobody)

        assert [owned.run.id] == [one.dead.id for one in settled]
        owned.beat()
        assert not owned.mine(), "what is lost stays lost"


def test_a_run_that_was_ended_elsewhere_is_lost_at_the_next_sign_of_life(
    workspace: Workspace, owners: LeaseOwners
) -> None:
    with begin(owners) as owned:
        workspace.runs.finish(owned.run.id, RunStatus.FAILED, owned.run.counts)

        assert owned.mine()
        owned.beat()
        assert not owned.mine()


def test_the_heart_tells_the_run_that_it_is_lost(workspace: Workspace) -> None:
    told = threading.Event()
    owned = LeaseOwners(workspace.runs, LEASE_S, 0.001).begin(NEW)
    assert owned is not None
    with owned:
        owned.on_lost(told.set)
        workspace.runs.finish(owned.run.id, RunStatus.FAILED, owned.run.counts)

        assert told.wait(10)


def test_a_take_over_queues_the_run_that_goes_on_in_the_same_transaction(
    workspace: Workspace, owners: LeaseOwners, time: Time
) -> None:
    """A process that dies between the two would leave a sync that nobody goes on with."""
    with begin(owners) as owned:
        time.pass_(LEASE_S + 1)
        follower = NewRun("accounts", "accounts", status=RunStatus.QUEUED, follows=owned.run.id)

        settled = owners.settle(lambda _dead: follower)
        again = owners.settle(lambda _dead: follower)

        assert settled[0].follower is not None
        assert owned.run.id == settled[0].follower.follows
        assert [] == again, "a second sweep finds nothing to do"


def test_a_dead_run_behind_which_one_is_queued_needs_no_other(
    workspace: Workspace, owners: LeaseOwners, time: Time
) -> None:
    with begin(owners) as owned:
        queued = workspace.runs.create(NewRun("accounts", "accounts", status=RunStatus.QUEUED))
        time.pass_(LEASE_S + 1)

        settled = owners.settle(lambda dead: NewRun("accounts", "accounts", status=RunStatus.QUEUED, follows=dead.id))

        assert [(owned.run.id, None)] == [(one.dead.id, one.follower) for one in settled]
        assert [queued.id] == [run.id for run in workspace.runs.live("accounts")]


def test_who_waits_in_line_and_dies_does_not_hold_the_line(
    workspace: Workspace, owners: LeaseOwners, time: Time
) -> None:
    """`headrace run` that was killed while it waited must not keep the schedule from queueing."""
    with begin(owners) as running, owners.wait_in_line(NEW) as waiting:
        with pytest.raises(UserError, match="busy"):
            owners.wait_in_line(NEW)
        time.pass_(LEASE_S - 1)
        running.beat()
        time.pass_(2)

        settled = owners.settle(lambda dead: NewRun("accounts", "accounts", status=RunStatus.QUEUED, follows=dead.id))

        assert [(waiting.run.id, None)] == [(one.dead.id, one.follower) for one in settled]
        assert [running.run.id] == [run.id for run in workspace.runs.live("accounts")]


def test_one_of_many_claims_a_queued_run(workspace: Workspace, owners: LeaseOwners) -> None:
    """A queue may announce a run twice, to two machines."""
    queued = workspace.runs.create(NewRun("accounts", "accounts", status=RunStatus.QUEUED))

    first, second = owners.claim(queued.id), owners.claim(queued.id)

    assert first is not None
    assert second is None
    first.close()

"""Numbers over many runs, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from headrace.domain.outcome import Counts, RunStatus
from headrace.store.insights import AT_ONCE
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

from .world import NOON, call, outcome


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.at = NOON


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(where: str, clock: Clock) -> Iterator[Workspace]:
    with Workspace.open(where, create=True, now=lambda: clock.at) as opened:
        yield opened


def ended(workspace: Workspace, sync: str, status: RunStatus = RunStatus.SUCCEEDED, **counts: int) -> Run:
    run = workspace.runs.create(NewRun(sync, sync))
    return workspace.runs.finish(run.id, status, Counts(**counts))


def test_bars_are_the_last_ended_runs_of_each_sync_oldest_first(workspace: Workspace) -> None:
    """The overview draws them for fifty syncs at once; a run that goes on has no end to draw."""
    runs = [ended(workspace, "accounts", delivered=n, rejected=1, invalid=2) for n in range(5)]
    ended(workspace, "users")
    workspace.runs.create(NewRun("accounts", "accounts"))

    found = workspace.insights.bars(["accounts", "users", "events"], 3)

    assert [one.id for one in runs[2:]] == [one.run_id for one in found["accounts"]]
    assert [(2, 3), (3, 3), (4, 3)] == [(one.delivered, one.faulty) for one in found["accounts"]]
    assert 1 == len(found["users"])
    assert [] == found["events"]


def test_bars_of_more_syncs_than_a_query_takes_are_all_found(workspace: Workspace) -> None:
    """A database takes a few hundred parts of a compound query, a workspace has a thousand syncs."""
    names = [f"sync-{n}" for n in range(AT_ONCE + 1)]
    ended(workspace, names[0])
    ended(workspace, names[-1])

    found = workspace.insights.bars(names, 30)

    assert [names[0], names[-1]] == [name for name, bars in found.items() if bars]


def test_a_test_of_one_row_is_no_bar_and_no_delivery(workspace: Workspace) -> None:
    """It says nothing of how the sync goes."""
    run = workspace.runs.create(NewRun("accounts", "accounts", kind="test"))
    workspace.runs.finish(run.id, RunStatus.SUCCEEDED, Counts(delivered=1))

    assert {"accounts": []} == workspace.insights.bars(["accounts"], 30)
    assert [] == workspace.insights.slots(NOON - timedelta(days=1), "hour")


def test_slots_are_sums_by_hour_or_day_and_by_sync(workspace: Workspace, clock: Clock) -> None:
    """What a chart shows is what the runs of that hour came to, and what began before the period is left out."""
    for hours in (-30, 0, 0, 1):
        clock.at = NOON + timedelta(hours=hours)
        ended(workspace, "accounts", delivered=10, rejected=1, requests=12)
    ended(workspace, "users", delivered=5)

    by_hour = workspace.insights.slots(NOON - timedelta(hours=1), "hour")
    by_day = workspace.insights.slots(NOON - timedelta(days=2), "day", "accounts")

    assert [
        ("2026-11-23T12", "accounts", 2, 20, 2),
        ("2026-11-23T13", "accounts", 1, 10, 1),
        ("2026-11-23T13", "users", 1, 5, 0),
    ] == [(one.start, one.sync, one.runs, one.delivered, one.rejected) for one in by_hour]
    assert [("2026-11-22", 12), ("2026-11-23", 36)] == [(one.start, one.requests) for one in by_day]


def test_the_stages_of_runs_are_told_in_order(workspace: Workspace, clock: Clock) -> None:
    """A run that is slow is slow somewhere."""
    run = workspace.runs.create(NewRun("accounts", "accounts"))
    for kind, document in (("started", {}), ("stage", {"stage": "read"}), ("planned", {}), ("finished", {})):
        workspace.events.append(run.id, kind, document)
        clock.at += timedelta(seconds=1)

    found = workspace.insights.stages([run.id])

    assert ["read", "finished"] == [one.stage for one in found]
    assert 2 == (found[1].at - found[0].at).total_seconds()
    assert [] == workspace.insights.stages([])


def test_a_row_is_compared_with_the_call_that_last_delivered_it_in_its_own_sync(workspace: Workspace) -> None:
    """Another sync may send other fields of a row with the same key."""
    for sync in ("accounts", "usage", "accounts"):
        run = workspace.runs.create(NewRun(sync, sync))
        with workspace.run_log(run.id, "scope") as log:
            log.append([call(1, "a-1")], [outcome("a-1", call=1)])
        workspace.runs.finish(run.id, RunStatus.SUCCEEDED, Counts())
    last = workspace.outcomes.find(order="newest").items[0]

    assert (1, 1) == workspace.insights.delivered_before("a-1", "accounts", last.sequence)
    assert None is workspace.insights.delivered_before("a-1", "accounts", 1)

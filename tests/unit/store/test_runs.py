from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from headrace.domain.errors import NotFound, UserError, WorldError
from headrace.domain.outcome import Counts, RunStatus
from headrace.store.runs import Hold, NewRun, Run
from headrace.store.workspace import Workspace

from .world import NOON, race_processes

LIVE = NewRun("accounts", "accounts", owner="1@here")
QUEUED = replace(LIVE, status=RunStatus.QUEUED)
HOLD = Hold(removed=612, why="612 of 900 rows would be removed", digest="d1", expires_at=NOON + timedelta(hours=24))


def test_twenty_threads_get_one_running_and_one_queued_run(workspace: Workspace) -> None:
    """Schedule, button and API at the same second are one run, and one more."""

    def attempt(number: int) -> str:
        try:
            return workspace.runs.create(LIVE if number % 2 else QUEUED).status
        except UserError as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(attempt, range(20)))

    assert ["queued", "running", *["sync_busy"] * 18] == answers


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_race_get_one_run(where: str, workspace: Workspace) -> None:
    setup = """
        from headrace.domain.errors import UserError
        from headrace.store.runs import NewRun
        from headrace.store.workspace import Workspace

        def attempt():
            with Workspace.open(sys.argv[1]) as workspace:
                try:
                    return workspace.runs.create(NewRun("accounts", "accounts")).id
                except UserError as error:
                    return error.code
    """

    answers = race_processes(20, setup, where)

    assert answers == ["1", *["sync_busy"] * 19]


def test_a_busy_sync_says_which_run_and_how_to_stop_it(workspace: Workspace, run: Run) -> None:
    with pytest.raises(UserError, match=f"run {run.id} is running.*headrace cancel {run.id}") as caught:
        workspace.runs.create(LIVE)

    assert caught.value.code == "sync_busy"


def test_test_rows_and_other_syncs_do_not_wait(workspace: Workspace, run: Run) -> None:
    workspace.runs.create(replace(LIVE, kind="test"))
    workspace.runs.create(replace(LIVE, sync="users", sync_id="users"))

    assert len(workspace.runs.list().items) == 3
    assert {"accounts": run.id, "users": 3} == {k: r.id for k, r in workspace.runs.latest().items()}


def test_a_queued_run_is_claimed_once_and_after_the_one_before_it(workspace: Workspace, run: Run) -> None:
    queued = workspace.runs.create(QUEUED)
    assert workspace.runs.claim(queued.id, "2@here") is None

    workspace.runs.finish(run.id, RunStatus.SUCCEEDED, Counts())
    claimed = workspace.runs.claim(queued.id, "2@here")

    assert claimed is not None
    assert (claimed.status, claimed.owner, claimed.started_at) == (RunStatus.RUNNING, "2@here", NOON)
    assert workspace.runs.claim(queued.id, "3@here") is None


def test_a_finished_run_keeps_its_numbers_and_its_error(workspace: Workspace, run: Run) -> None:
    error = WorldError("The warehouse is gone.", code="source_failed")

    workspace.runs.finish(run.id, RunStatus.FAILED, Counts(rows=5, delivered=3), error)

    found = workspace.runs.get(run.id)
    assert (RunStatus.FAILED, Counts(rows=5, delivered=3)) == (found.status, found.counts)
    assert (found.error_code, found.error_message) == ("source_failed", "The warehouse is gone.")
    assert (found.ended_at, found.seconds) == (NOON, 0.0)


def test_a_run_that_was_given_up_for_dead_cannot_end_again(workspace: Workspace, run: Run) -> None:
    """A process that slept through its own funeral must not overwrite what others saw since."""
    assert [run.id] == [r.id for r in workspace.runs.mark_interrupted("accounts")]

    with pytest.raises(UserError, match="interrupted") as caught:
        workspace.runs.finish(run.id, RunStatus.SUCCEEDED, Counts())

    assert caught.value.code == "run_ended"
    assert workspace.runs.create(LIVE).id > run.id


def test_cancelling_asks_a_running_run_and_ends_a_queued_one(workspace: Workspace, run: Run) -> None:
    queued = workspace.runs.create(QUEUED)

    assert workspace.runs.request_cancel(run.id).cancel_requested
    assert RunStatus.CANCELLED is workspace.runs.request_cancel(queued.id).status
    assert RunStatus.RUNNING is workspace.runs.get(run.id).status


def test_a_held_run_is_approved_for_what_it_found(workspace: Workspace, run: Run) -> None:
    workspace.runs.hold(run.id, Counts(removed=612), HOLD)
    assert workspace.runs.get(run.id).hold == HOLD

    approved = workspace.runs.approve(run.id)

    assert replace(HOLD, approved_at=NOON) == approved.hold
    assert approved == workspace.runs.approve(run.id)


@pytest.mark.parametrize(
    ("hold", "code"), [(None, "run_not_held"), (replace(HOLD, expires_at=NOON), "approval_expired")]
)
def test_what_cannot_be_approved_says_why(workspace: Workspace, run: Run, hold: Hold | None, code: str) -> None:
    if hold:
        workspace.runs.hold(run.id, Counts(), hold)

    with pytest.raises(UserError) as caught:
        workspace.runs.approve(run.id)

    assert code == caught.value.code


def test_the_list_goes_back_page_by_page(workspace: Workspace) -> None:
    for number in range(5):
        run = workspace.runs.create(replace(LIVE, sync_id=str(number), options={"keys": [number]}))

    first = workspace.runs.list(sync="accounts", limit=2)
    second = workspace.runs.list(sync="accounts", limit=2, cursor=first.cursor)
    third = workspace.runs.list(sync="accounts", limit=2, cursor=second.cursor)

    assert [r.id for page in (first, second, third) for r in page.items] == [5, 4, 3, 2, 1]
    assert third.cursor is None
    assert run.options == {"keys": [4]}
    assert workspace.runs.list(status=RunStatus.HELD).items == ()


def test_a_wrong_number_is_answered_with_the_runs_near_it(workspace: Workspace, run: Run) -> None:
    with pytest.raises(NotFound, match=f"There are: {run.id}"):
        workspace.runs.get(77)
    with pytest.raises(UserError, match="not a cursor"):
        workspace.runs.list(cursor="1; drop table runs")

"""Sequences: one sync after the other, by a rule that says when to stop, on whichever server is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.domain.errors import UserError
from headrace.domain.outcome import Counts, RunStatus
from headrace.store.sequences import SequenceRun

from .server import Server, serving

SYNCS = {"orgs": "", "accounts": "", "users": ""}
ALL = [("orgs", "sequence"), ("accounts", "sequence"), ("users", "sequence")]
END = RunStatus


@pytest.fixture
def server(where: str, tmp_path: Path) -> Iterator[Server]:
    with serving(where, tmp_path) as (one,):
        yield one


def start(server: Server, rule: str = "", syncs: dict[str, str] | None = None) -> SequenceRun:
    server.apply(SYNCS if syncs is None else syncs, f"sequences: {{all: {{syncs: [orgs, accounts, users]{rule}}}}}\n")
    return server.app.sequences.trigger("all")


def status(server: Server, run: SequenceRun) -> tuple[RunStatus, str | None]:
    now = server.workspace.sequences.get(run.id)
    return now.status, now.message


def test_each_sync_waits_for_the_one_before(server: Server) -> None:
    """Users refer to accounts, accounts to organizations: what is sent first must be there first."""
    run = start(server)

    for number in range(3):
        assert ALL[: number + 1] == server.runs()
        server.end()

    assert (END.SUCCEEDED, None) == status(server, run)
    steps = server.app.sequences.progress(run.id).steps
    assert [END.SUCCEEDED] * 3 == [step.run.status for step in steps if step.run]


@pytest.mark.parametrize(
    ("rule", "end", "counts", "goes_on"),
    [
        ("", END.SUCCEEDED, {}, True),
        ("", END.SUCCEEDED_WITH_REJECTIONS, {"rejected": 9, "delivered": 1}, True),
        ("", END.FAILED, {}, False),
        ("", END.HELD, {}, False),
        ("", END.CANCELLED, {}, False),
        (", stop: rejections", END.SUCCEEDED_WITH_REJECTIONS, {"rejected": 1, "delivered": 99}, False),
        (", stop: rejections", END.SUCCEEDED_WITH_REJECTIONS, {"invalid": 1, "delivered": 99}, False),
        (", stop: rejections", END.SUCCEEDED, {}, True),
        (", stop: rejections", END.FAILED, {}, False),
        (
            ", stop: rejections, max_rejected_percent: 1",
            END.SUCCEEDED_WITH_REJECTIONS,
            {"rejected": 1, "delivered": 99},
            True,
        ),
        (
            ", stop: rejections, max_rejected_percent: 1",
            END.SUCCEEDED_WITH_REJECTIONS,
            {"rejected": 1, "invalid": 1, "delivered": 98},
            False,
        ),
        (", stop: never", END.FAILED, {}, True),
        (", stop: never", END.HELD, {}, True),
        (", stop: never", END.CANCELLED, {}, True),
        (", stop: never", END.SUCCEEDED_WITH_REJECTIONS, {"rejected": 10}, True),
    ],
)
def test_the_stop_rule_decides_by_how_a_run_ended(
    server: Server, rule: str, end: RunStatus, counts: dict[str, int], goes_on: bool
) -> None:
    """One row for each rule and each end that it must tell apart."""
    run = start(server, rule)
    server.end()

    server.end(end, **counts)

    assert goes_on == (3 == len(server.runs()))
    if goes_on:
        server.end()
        assert end == status(server, run)[0]
    else:
        ended, message = status(server, run)
        assert end == ended
        assert 'Stopped after "accounts"' in str(message)


def test_a_runs_end_on_another_server_is_seen_by_the_tick(where: str, tmp_path: Path) -> None:
    """The worker that ran the sync may be another process, or dead."""
    with serving(where, tmp_path, servers=2) as (first, second):
        run = start(first)
        second.workspace.runs.finish(second.claim(second.queued()[0]).id, END.SUCCEEDED, Counts())

        assert 1 == len(first.runs())
        for server in (first, second, first):
            server.app.sequences.advance()

        assert ALL[:2] == first.runs()
        assert END.RUNNING == status(first, run)[0]


def test_a_syncs_own_run_is_waited_for(server: Server) -> None:
    """It may have started before the organizations were there, so it is no step of the sequence."""
    server.apply(SYNCS, "sequences: {all: {syncs: [orgs, accounts, users]}}\n")
    own = server.claim(server.app.runs.trigger("orgs"))
    queued = server.app.runs.trigger("orgs")

    run = server.app.sequences.trigger("all")
    assert [("orgs", "manual")] * 2 == server.runs()
    server.end(run=own)
    server.app.sequences.advance()
    assert [("orgs", "manual")] * 2 == server.runs()
    server.end(run=queued)

    assert [("orgs", "manual"), ("orgs", "manual"), ("orgs", "sequence")] == server.runs()
    assert END.RUNNING == status(server, run)[0]


def test_an_interrupted_run_is_waited_for_until_its_successor_has_ended(server: Server) -> None:
    """A worker that was killed is no reason to stop: another takes its run over."""
    run = start(server)
    dead = server.claim(server.queued()[0])
    server.die(dead)
    server.app.sequences.advance()
    assert 1 == len(server.runs())

    successor = server.app.runs.go_on_after(server.workspace.runs.get(dead.id))
    assert successor is not None
    server.end(run=successor)

    assert [("orgs", "sequence"), ("orgs", "takeover"), ("accounts", "sequence")] == server.runs()
    assert END.RUNNING == status(server, run)[0]


def test_an_interrupted_run_that_nobody_takes_over_is_started_again(server: Server) -> None:
    """Else the sequence would wait for ever."""
    start(server)
    server.die(server.claim(server.queued()[0]))

    server.clock.move(minutes=3)
    server.app.sequences.advance()
    server.app.sequences.advance()

    assert [("orgs", "sequence")] * 2 == server.runs()


def test_a_cancelled_sequence_stops_its_run_and_starts_no_other(server: Server) -> None:
    """One word stops it all."""
    run = start(server)
    under_way = server.claim(server.queued()[0])

    server.app.sequences.cancel(run.id)

    assert server.workspace.runs.get(under_way.id).cancel_requested
    server.end(END.CANCELLED, run=under_way)
    server.app.sequences.advance()
    assert 1 == len(server.runs())
    assert END.CANCELLED == status(server, run)[0]
    with pytest.raises(UserError) as refused:
        server.app.sequences.cancel(run.id)
    assert "run_ended" == refused.value.code


def test_one_more_waits_and_a_third_is_refused(server: Server) -> None:
    """As with runs: what is asked for meanwhile is done once more, not twice."""
    first = start(server)
    second = server.app.sequences.trigger("all")
    with pytest.raises(UserError) as refused:
        server.app.sequences.trigger("all")
    with pytest.raises(UserError):
        server.app.sequences.trigger("all", overlap="skip")

    assert "sequence_busy" == refused.value.code
    assert END.QUEUED == second.status
    for _ in range(3):
        server.end()
    assert (END.SUCCEEDED, END.RUNNING) == (status(server, first)[0], status(server, second)[0])
    assert 4 == len(server.runs())


def test_a_sync_that_cannot_start_fails_the_sequence_and_says_why(server: Server) -> None:
    """Its stored configuration no longer fits: users without accounts would be refused row by row."""
    run = start(server)
    stored = server.workspace.catalog.get("sync", "accounts").document
    server.workspace.catalog.put("sync", "accounts", {**stored, "mode": 7})

    server.end()

    ended, message = status(server, run)
    assert END.FAILED == ended
    assert 'Sync "accounts" could not be started' in str(message)
    assert 1 == len(server.runs())


def test_a_schedule_starts_a_sequence(server: Server) -> None:
    """A night's work is one schedule, not four that hope to be far enough apart."""
    server.apply(SYNCS, "sequences: {all: {syncs: [orgs, users], schedule: {every: 15m}}}\n")
    server.app.schedules.fire_due()
    server.clock.move(minutes=15)

    server.app.schedules.fire_due()

    assert [("orgs", "sequence")] == server.runs()
    assert "schedule" == server.app.sequences.runs().items[0].reason


def test_run_all_takes_the_order_of_a_sequence(server: Server) -> None:
    """Who wrote an order down means it."""
    server.apply(SYNCS, "sequences: {odd: {syncs: [users, accounts]}}\n")

    assert ["users", "orgs", "accounts"] == server.app.runs.in_order(None)

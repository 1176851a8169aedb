"""However a run ends, nothing that was acknowledged is lost, and the next run does the rest and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from .project import SYNC, Project, as_delivered, eventually, many

ROWS = 400
CONCURRENCY = 8
GROUP = 64  # acknowledgements become durable in groups of so many requests


def start_run(project: Project, *, seen: int) -> subprocess.Popen[str]:
    """A run under way that has sent at least so many requests; with 0, one that has told the store of itself."""
    before = project.sent()
    process = project.start("run", SYNC, "--json")

    def is_there() -> bool:
        if process.poll() is not None:
            raise AssertionError("the run ended before it could be stopped")
        if seen == 0:
            return ("running",) in project.store("SELECT status FROM runs")
        return project.sent() - before >= seen

    eventually(is_there, f"{seen} requests")
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_killed_run_loses_no_row_and_repeats_at_most_what_was_in_flight(project: Project):
    """kill -9 before the first request, at the first, in the middle, near the end; each time, run again."""
    project.rows(many(ROWS, "first"))
    project.apply()
    project.run()
    for after in (0, 1, 40, 200, 330, 395):
        rows = many(ROWS, f"killed after {after}")
        project.rows(rows)
        project.vitally.workspace.journal.clear()
        project.vitally.configure(delay_ms=4)
        kill(start_run(project, seen=after))
        project.vitally.configure(delay_ms=0)

        again = project.run()

        assert "succeeded" == again["status"]
        assert as_delivered(rows) == project.delivered()
        repeated = sum(count - 1 for count in project.writes().values())
        assert repeated <= CONCURRENCY + GROUP, f"{repeated} rows were sent again after a kill at {after}"
        assert [("ok",)] == project.store("PRAGMA quick_check")
    assert ["succeeded", *["interrupted", "succeeded"] * 6] == project.statuses()
    assert 0 == project.run()["requests"]


@pytest.mark.slow
def test_a_first_sync_that_is_killed_again_and_again_still_ends(project: Project):
    """Every kill may cost some requests, never a row, also while rows change meanwhile."""
    project.rows(many(ROWS))
    project.apply()
    project.vitally.configure(delay_ms=2)
    for round_ in range(3):
        project.rows(many(ROWS, f"plan {round_}"))
        kill(start_run(project, seen=60 + 90 * round_))
    project.vitally.configure(delay_ms=0)

    assert "succeeded" == project.run()["status"]
    assert as_delivered(many(ROWS, "plan 2")) == project.delivered()
    assert ["interrupted"] * 3 + ["succeeded"] == project.statuses()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_ctrl_c_keeps_what_was_acknowledged_and_the_next_run_sends_the_rest(how: int, project: Project):
    rows = many(ROWS)
    project.rows(rows)
    project.apply()
    project.vitally.configure(delay_ms=4)
    process = start_run(project, seen=200)

    process.send_signal(how)
    ended = project.end(process)
    project.vitally.configure(delay_ms=0)
    acknowledged = len(project.delivered())
    again = project.run()

    assert 130 == ended.code
    first = ended.json
    assert "interrupted" == first["status"]
    assert acknowledged == first["delivered"]
    assert ROWS == first["delivered"] + first["owed"]
    assert (ROWS - acknowledged, ROWS) == (again["delivered"], again["rows"])
    assert {1} == set(project.writes().values()), "nothing twice"
    assert as_delivered(rows) == project.delivered()


def test_cancel_from_another_process_stops_within_five_seconds(project: Project):
    rows = many(ROWS)
    project.rows(rows)
    project.apply()
    project.vitally.configure(delay_ms=100)
    process = start_run(project, seen=10)
    (run,) = [one["run"] for one in project.headrace("runs", "--json").json]

    asked = time.monotonic()
    assert 0 == project.headrace("cancel", run).code
    ended = project.end(process)
    took = time.monotonic() - asked
    project.vitally.configure(delay_ms=0)

    assert took < 5
    assert 3 == ended.code
    assert "cancelled" == ended.json["status"]
    assert 0 < ended.json["delivered"] < ROWS
    assert ROWS - ended.json["delivered"] == project.run()["delivered"]
    assert as_delivered(rows) == project.delivered()
    assert {1} == set(project.writes().values())


def test_one_run_of_a_sync_goes_one_waits_and_a_third_is_refused(project: Project):
    project.rows(many(400))
    project.apply(destination={"concurrency": 1})
    project.vitally.configure(delay_ms=250)
    first = start_run(project, seen=1)
    second = project.start("run", SYNC, "--json")
    eventually(lambda: ("queued",) in project.store("SELECT status FROM runs"), "a queued run")

    third = project.headrace("run", SYNC, "--json")
    assert 0 == project.headrace("cancel", 1).code
    ended = project.end(first)
    project.vitally.configure(delay_ms=0)
    waited = project.end(second)

    assert (2, "sync_busy") == (third.code, third.json["error"]["code"])
    assert "cancelled" == ended.json["status"]
    assert "succeeded" == waited.json["status"]
    assert as_delivered(many(400)) == project.delivered()


@pytest.mark.slow
def test_a_run_that_is_stopped_and_woken_goes_on(project: Project):
    """A laptop that slept: the run is neither dead nor doubled."""
    project.rows(many(ROWS))
    project.apply()
    project.vitally.configure(delay_ms=2)
    process = start_run(project, seen=100)
    os.kill(process.pid, signal.SIGSTOP)

    refused = project.headrace("run", SYNC, "--json", "--no-wait")
    os.kill(process.pid, signal.SIGCONT)

    assert "sync_busy" == refused.json["error"]["code"]
    assert "succeeded" == project.end(process).json["status"]
    assert as_delivered(many(ROWS)) == project.delivered()

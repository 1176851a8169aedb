"""What is thrown away, what never is, and that nobody is kept waiting for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from headrace.domain.outcome import Counts, RunStatus, VerdictWord
from headrace.domain.retention import Keep
from headrace.store.calls import CallFilter
from headrace.store.retention import HOLD_LASTS, Sweeper
from headrace.store.runs import Hold, NewRun, Run
from headrace.store.workers import WorkerEntry
from headrace.store.workspace import Workspace

from .world import NOON, call, outcome

DAY = timedelta(days=1)
KEEP = Keep(calls_days=10, rows_days=20, runs_days=30)


class Calendar:
    """The time of a workspace, as the test says it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def workspace(where: str, calendar: Calendar) -> Iterator[Workspace]:
    with Workspace.open(where, create=True, now=calendar) as opened:
        yield opened


class Rests:
    """Where a sweep rests: notes how long, and ends it after so many."""

    def __init__(self, end_after: int | None = None) -> None:
        self.seconds: list[float] = []
        self._end_after = end_after

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) == self._end_after


def sweeper(workspace: Workspace, keep: Keep = KEEP, rest: Callable[[float], bool] | None = None) -> Sweeper:
    return Sweeper(workspace.database, workspace.now, lambda _sync: keep, workspace.has_plan, rest or Rests())


def ran(workspace: Workspace, sync: str = "accounts", rows: int = 3, end: RunStatus | None = RunStatus.FAILED) -> Run:
    """A run with a call and an outcome a row, the first of them tried twice."""
    run = workspace.runs.create(NewRun(sync, sync))
    with workspace.run_log(run.id, "scope") as log:
        log.append([call(1, "k0", verdict=VerdictWord.RETRY, status=503)], [])
        log.append(
            [call(number + 2, f"k{number}") for number in range(rows)],
            [outcome(f"k{number}", number, call=number + 2) for number in range(rows)],
        )
    workspace.events.append(run.id, "started", {})
    return run if end is None else workspace.runs.finish(run.id, end, Counts(rows=rows))


def left(workspace: Workspace, run: Run) -> tuple[int, int, int]:
    """How many calls, outcomes and events of the run are still there."""
    calls = workspace.calls.find(CallFilter(run=run.id), limit=1000).items
    rows = workspace.outcomes.counts(run.id)
    return len(calls), sum(one.count for one in rows), len(workspace.events.since(run.id))


def test_calls_rows_and_runs_go_when_their_days_are_over(workspace: Workspace, calendar: Calendar) -> None:
    """Bodies hold what people would rather forget; that a run was there is worth keeping for longer."""
    old = ran(workspace)
    newest = ran(workspace)

    calendar.now = NOON + 11 * DAY
    sweeper(workspace).sweep()
    assert [(0, 3, 1), (0, 3, 1)] == [left(workspace, old), left(workspace, newest)]
    assert () == workspace.calls.find(CallFilter(key="k0")).items

    calendar.now = NOON + 21 * DAY
    sweeper(workspace).sweep()
    assert [(0, 0, 1), (0, 3, 1)] == [left(workspace, old), left(workspace, newest)]

    calendar.now = NOON + 31 * DAY
    sweeper(workspace).sweep()
    assert [newest.id] == [one.id for one in workspace.runs.list().items]
    assert (0, 0, 0) == left(workspace, old)


def test_the_newest_run_of_a_sync_keeps_its_rows(workspace: Workspace, calendar: Calendar) -> None:
    """A sync that runs once a year still shows what was rejected the last time."""
    run = ran(workspace)

    calendar.now = NOON + 400 * DAY
    swept = sweeper(workspace).sweep()

    assert (4, 0, 0) == (swept.calls, swept.rows, swept.runs)
    assert 3 == left(workspace, run)[1]


def test_what_a_fold_still_needs_is_kept(workspace: Workspace, calendar: Calendar, where: str) -> None:
    """The ledger learns what was acknowledged from these rows: without them, all of it would be sent again."""
    cut = ran(workspace, end=RunStatus.INTERRUPTED)
    ran(workspace, rows=1)
    needy = replace_need(sweeper(workspace), lambda sync_id: sync_id == "accounts")
    calendar.now = NOON + 400 * DAY

    needy.sweep()

    assert [(0, 1, "delivered", None), (0, 2, "delivered", None)] == [
        (0, position, word, code)
        for batch in workspace.acknowledgements.since(cut.id, 0)
        for _, position, word, code in batch
    ][1:]
    assert cut.id in [one.id for one in workspace.runs.list().items]


def replace_need(one: Sweeper, in_need: Callable[[str], bool]) -> Sweeper:
    return replace(one, in_need=in_need)


def test_a_plan_that_waits_is_seen(workspace: Workspace) -> None:
    """On one machine its file says so, on several the table of files."""
    assert not workspace.has_plan("accounts")

    if workspace.is_shared:
        from headrace.store.service_tables import ledger_files

        row = {
            "sync_id": "accounts",
            "kind": "planned",
            "run_id": 1,
            "object": "x",
            "bytes": 1,
            "sha256": "",
            "at": NOON,
        }
        with workspace.database.write() as connection:
            connection.execute(ledger_files.insert(), row)
    else:
        workspace.planned_path("accounts").write_bytes(b"")

    assert workspace.has_plan("accounts")


def test_a_live_run_loses_nothing_however_long_it_takes(workspace: Workspace, calendar: Calendar) -> None:
    """A first sync of millions of rows takes days, and they are days that count for nothing yet."""
    live = ran(workspace, end=None)
    calendar.now = NOON + 400 * DAY

    swept = sweeper(workspace).sweep()

    assert 0 == swept.calls + swept.rows + swept.runs
    assert (4, 3, 1) == left(workspace, live)


def test_a_held_run_waits_for_its_person(workspace: Workspace, calendar: Calendar) -> None:
    """Even where runs are kept for a day, an approval of two minutes ago still has its run."""
    held = ran(workspace, end=None)
    workspace.runs.hold(held.id, Counts(), Hold(9, "9 rows would be removed", "d", NOON + DAY))
    ran(workspace)
    short = Keep(calls_days=1, rows_days=1, runs_days=1)

    calendar.now = NOON + HOLD_LASTS
    sweeper(workspace, short).sweep()
    assert 2 == len(workspace.runs.list().items)

    calendar.now = NOON + HOLD_LASTS + timedelta(seconds=1)
    sweeper(workspace, short).sweep()
    assert 1 == len(workspace.runs.list().items)


def test_none_keeps_for_ever(workspace: Workspace, calendar: Calendar) -> None:
    run = ran(workspace)
    ran(workspace)
    calendar.now = NOON + 10_000 * DAY

    sweeper(workspace, Keep(None, None, None)).sweep()

    assert (4, 3, 1) == left(workspace, run)


def test_a_sync_may_keep_its_own_for_another_time(workspace: Workspace, calendar: Calendar) -> None:
    secret, plain = ran(workspace, "people"), ran(workspace, "plans")
    days = {"people": Keep(calls_days=1), "plans": Keep(calls_days=100)}
    calendar.now = NOON + 2 * DAY

    replace(sweeper(workspace), keep_of=lambda sync: days.get(sync, KEEP)).sweep()

    assert [0, 4] == [left(workspace, secret)[0], left(workspace, plain)[0]]


def test_the_oldest_calls_go_where_there_is_no_room(workspace: Workspace) -> None:
    """A limit in megabytes is for disks; what happened last is what people look for."""
    ran(workspace)
    newest = ran(workspace)
    room = (4 * (1_000 + len(b'{"name":"Acme"}') + len(b'{"id":"v-1"}')) + 10) / 1_000_000

    swept = sweeper(workspace, Keep(None, None, None)).sweep(calls_mb=room)

    assert 4 == swept.calls
    assert {newest.id} == {one.run_id for one in workspace.calls.find().items}


def test_a_sweep_goes_in_small_steps_and_rests_longer_than_it_works(workspace: Workspace, calendar: Calendar) -> None:
    """The store has one writer: a sweep that held it for seconds would hold up every run."""
    for _ in range(3):
        ran(workspace, rows=900)
    rests = Rests()
    times = iter(index * 0.05 for index in range(10_000))  # as if each step took 50 ms, twice what it should
    calendar.now = NOON + 31 * DAY

    swept = replace(sweeper(workspace, rest=rests), timer=lambda: next(times)).sweep()

    assert (2703, 1800, 2) == (swept.calls, swept.rows, swept.runs)
    assert 0.05 == pytest.approx(swept.longest_s)
    assert {0.45} == {round(one, 6) for one in rests.seconds}  # 9 times as long: it works a tenth of the time
    assert 100 < len(rests.seconds)  # steps of 200, 100, 50 and then 25 and fewer


def test_a_sweep_that_is_stopped_goes_on_the_next_time(workspace: Workspace, calendar: Calendar) -> None:
    run = ran(workspace, rows=900)
    ran(workspace)
    calendar.now = NOON + 11 * DAY

    first = sweeper(workspace, rest=Rests(end_after=1)).sweep()
    left_over = left(workspace, run)[0]
    second = sweeper(workspace).sweep()

    assert (200, 701) == (first.calls, left_over)
    assert 905 == first.calls + second.calls
    assert 0 == left(workspace, run)[0]


def test_workers_that_are_long_gone_are_forgotten(workspace: Workspace, calendar: Calendar) -> None:
    entry = WorkerEntry("1@gone", "gone", 1, "0.1", 4, NOON, NOON)
    workspace.workers.enter(entry)
    workspace.workers.enter(replace(entry, id="2@here", seen_at=NOON + 2 * DAY))
    calendar.now = NOON + 2 * DAY

    sweeper(workspace).sweep()

    assert ["2@here"] == [one.id for one in workspace.workers.list()]

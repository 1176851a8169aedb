from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from headrace.domain.errors import WorldError
from headrace.domain.outcome import Counts, RowOutcome
from headrace.engine.ports import Learned, RunLog
from headrace.store import sqlite
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

from .world import call, on_postgres, on_sqlite, outcome, start_python


def acknowledged(workspace: Workspace, run_id: int, since: int = 0) -> list[tuple[int, int, str, str | None]]:
    return [row for batch in workspace.acknowledgements.since(run_id, since) for row in batch]


def in_time(holds: Callable[[], bool]) -> bool:
    """Whether it holds before long: over a net, progress is written in a thread of its own."""
    give_up = time.monotonic() + 5
    while not (held := holds()) and time.monotonic() < give_up:
        pass
    return held


def test_a_group_is_all_or_nothing(workspace: Workspace, run: Run) -> None:
    """A call without its outcome would be sent again; an outcome without its call could not be explained."""
    with workspace.run_log(run.id, "vitally") as log:
        log.append([call(1, "a")], [outcome("a", 0, call=1)])
        with pytest.raises((sqlite.driver.IntegrityError, psycopg.IntegrityError)):
            log.append([call(2, "b"), call(1, "a")], [outcome("b", 1, call=2)], [Learned("account", "b", "v-b")])
        log.append([call(3, "c")], [outcome("c", 2, call=3)])

    assert [item.call.number for item in workspace.calls.find(order="oldest").items] == [1, 3]
    assert [item.record.key for item in workspace.outcomes.find().items] == ["a", "c"]
    assert workspace.identities("vitally").known("account", ["b"]) == {}


def test_kill_9_in_mid_append_loses_no_group_and_leaves_a_sound_database(
    where: str, workspace: Workspace, run: Run
) -> None:
    """The second promise of the house: what was acknowledged stays acknowledged."""
    script = """if True:
        import itertools, sys
        from headrace.store.workspace import Workspace
        sys.path.insert(0, "..")
        from store.world import call, outcome
        with Workspace.open(sys.argv[1]) as workspace, workspace.run_log(int(sys.argv[2]), "vitally") as log:
            for group in itertools.count():
                numbers = range(group * 64 + 1, group * 64 + 65)
                log.append([call(n, f"k{n}") for n in numbers], [outcome(f"k{n}", n, call=n) for n in numbers])
                print(group, flush=True)
    """
    writer = start_python(script, where, run.id)
    assert writer.stdout
    while int(writer.stdout.readline()) < 20:
        pass
    writer.kill()
    last_told = int((writer.stdout.read().splitlines() or ["20"])[-1])
    writer.communicate()

    rows = acknowledged(workspace, run.id)
    with workspace.database.read() as connection:
        if not workspace.is_shared:
            assert connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok"
        calls = connection.exec_driver_sql("SELECT count(*) FROM calls").scalar()
    assert len(rows) >= (last_told + 1) * 64
    assert len(rows) % 64 == 0
    assert calls == len(rows)


def test_the_fold_reads_on_from_where_it_stopped(workspace: Workspace, run: Run) -> None:
    """Rows without a usable key have no place in the ledger; other runs' rows between ours are not ours."""
    other = workspace.runs.create(NewRun("users", "users"))
    with workspace.run_log(run.id, "v") as log, workspace.run_log(other.id, "v") as their_log:
        log.append([], [outcome("a", 0), outcome("", None, outcome=RowOutcome.INVALID, code="primary_key_null")])
        their_log.append([], [outcome("u", 0)])
        log.append([], [outcome("b", 1, outcome=RowOutcome.REJECTED, code="destination_rejected")])

    rows = acknowledged(workspace, run.id)

    assert [row[1:] for row in rows] == [(0, "delivered", None), (1, "rejected", "destination_rejected")]
    assert acknowledged(workspace, run.id, since=rows[0][0]) == rows[1:]
    assert acknowledged(workspace, run.id, since=rows[1][0]) == []
    assert acknowledged(workspace, 99) == []


@pytest.mark.parametrize("rows", [0, 3])
def test_a_run_that_was_taken_over_writes_nothing_more(workspace: Workspace, run: Run, rows: int) -> None:
    """A process that slept past its lease must not record, nor go on to send, beside the one that goes on."""
    with workspace.run_log(run.id, "v") as log:
        log.append([call(1)], [outcome("a", 0, call=1)])
        workspace.runs.mark_interrupted("accounts")

        for write in (
            lambda: log.append([call(2)], [outcome(f"b{n}", n, call=2) for n in range(rows)], [Learned("k", "b", "v")]),
            lambda: in_time(lambda: bool(log.progress(Counts(rows=7), 1, 0.0))),
        ):
            with pytest.raises(WorldError) as caught:
                write()
            assert caught.value.code == "run_lost"

    assert [o.record.key for o in workspace.outcomes.find().items] == ["a"]
    assert len(workspace.calls.find().items) == 1
    assert workspace.identities("v").known("k", ["b"]) == {}
    assert workspace.runs.get(run.id).counts == Counts()


def test_a_long_fold_comes_in_batches_without_gaps(workspace: Workspace, run: Run) -> None:
    with workspace.run_log(run.id, "v") as log:
        log.append([], [outcome(str(n), n) for n in range(10_001)])

    batches = list(workspace.acknowledgements.since(run.id, 0))

    assert [len(batch) for batch in batches] == [10_000, 1]
    assert [row[1] for batch in batches for row in batch] == list(range(10_001))


def test_the_memory_of_look_ups_learns_and_forgets(workspace: Workspace, run: Run) -> None:
    """An id that Vitally blames must be asked again, and ids of another destination are not ours."""
    with workspace.run_log(run.id, "us") as log:
        log.append([], [], [Learned("account", str(n), f"v-{n}") for n in range(1200)])
        log.append([], [], [Learned("account", "1", None), Learned("account", "2", None), Learned("account", "2", "w")])

    known = workspace.identities("us").known("account", [str(n) for n in range(1300)])

    assert len(known) == 1199
    assert (known.get("1"), known["2"], known["1199"]) == (None, "w", "v-1199")
    assert workspace.identities("eu").known("account", ["2"]) == {}
    assert workspace.identities("us").known("user", ["2"]) == {}


def test_progress_and_cancel_cross_processes(where: str, workspace: Workspace, run: Run) -> None:
    """The page that shows the run, and the button that stops it, are another process than the run."""
    log: RunLog
    with workspace.run_log(run.id, "v") as log, Workspace.open(where) as elsewhere:
        assert not log.cancel_requested()

        log.progress(Counts(rows=7, delivered=3), 9, 0.0)
        elsewhere.runs.request_cancel(run.id)

        assert in_time(lambda: elsewhere.runs.get(run.id).counts == Counts(rows=7, delivered=3))
        assert in_time(log.cancel_requested)


def test_readers_never_see_half_a_group_nor_stop_the_writer(workspace: Workspace, run: Run) -> None:
    def look(_: int) -> int:
        return len(workspace.outcomes.find(limit=10_000).items) % 64

    with workspace.run_log(run.id, "v") as log, ThreadPoolExecutor(4) as pool:
        halves = pool.map(look, range(40))
        for group in range(30):
            log.append([], [outcome(f"{group}-{n}", n) for n in range(64)])

    assert set(halves) == {0}


@on_sqlite
def test_a_full_disk_is_told_with_the_mend_and_what_was_written_stays(workspace: Workspace, run: Run) -> None:
    with workspace.run_log(run.id, "v") as log:
        log.append([call(1, "a")], [outcome("a", 0, call=1)])
        # SQLite's own limit answers exactly as a full disk does.
        pages = log._writer._connection.execute("PRAGMA page_count").fetchone()[0]
        log._writer._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(WorldError, match=r"full.*free some space") as caught:
            log.append([call(n, str(n), request_body=b"x" * 9000) for n in range(2, 66)], [outcome("b", 1, call=2)])

    assert caught.value.code == "store_write_failed"
    assert len(acknowledged(workspace, run.id)) == 1


@on_postgres
def test_a_suspended_writer_does_not_keep_its_run_from_being_taken_over(
    where: str, workspace: Workspace, run: Run
) -> None:
    """Wherever it was when it was stopped: it holds no lock that the one who takes over would wait for."""
    script = """if True:
        import itertools, sys
        from headrace.store.workspace import Workspace
        sys.path.insert(0, "..")
        from store.world import call, outcome
        with Workspace.open(sys.argv[1]) as workspace, workspace.run_log(int(sys.argv[2]), "vitally") as log:
            print("go", flush=True)
            for group in itertools.count():
                numbers = range(group * 64 + 1, group * 64 + 65)
                log.append([call(n, f"k{n}") for n in numbers], [outcome(f"k{n}", n, call=n) for n in numbers])
    """
    writer = start_python(script, where, run.id)
    assert writer.stdout
    writer.stdout.readline()
    writer.send_signal(signal.SIGSTOP)
    try:
        assert [run.id] == [ended.id for ended in workspace.runs.mark_interrupted("accounts")]
        before = len(acknowledged(workspace, run.id))
        writer.send_signal(signal.SIGCONT)
        assert writer.wait(timeout=20) == 1  # run_lost
    finally:
        writer.kill()
        writer.communicate()

    assert before == len(acknowledged(workspace, run.id))


@on_postgres
def test_progress_does_not_wait_for_the_server(workspace: Workspace, run: Run) -> None:
    """The loop that sends shows it; a slow database must not keep answers from being read."""
    with workspace.run_log(run.id, "v") as log, workspace.database.write() as connection:
        connection.exec_driver_sql("SELECT id FROM runs FOR UPDATE")
        started = time.monotonic()

        for n in range(20):
            log.progress(Counts(rows=n), 1, 0.0)
            assert not log.cancel_requested()

        assert time.monotonic() - started < 2
        connection.rollback()

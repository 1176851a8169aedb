"""The worker: takes what is queued, in order, once; stops without losing; goes on where another died."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from headrace.app import App, Settings
from headrace.domain.errors import UserError
from headrace.domain.outcome import RunStatus
from headrace.engine.job import RunOptions
from headrace.service.locks import FileLock
from headrace.service.worker import Worker
from headrace.store.runs import NewRun, Run

from .world import PROJECT

SYNC = "accounts-to-vitally"
PATIENCE_S = 30


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A workspace whose one sync reads an empty table, so that a run sends nothing."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE accounts (id VARCHAR, name VARCHAR, plan VARCHAR)")
    (tmp_path / "headrace.yaml").write_text(PROJECT)
    settings = Settings(tmp_path / "ws", None, 256, {"REST_TOKEN": "sk_live_1"})
    with App.open(settings, create=True) as opened:
        opened.catalog.apply(opened.catalog.check(tmp_path, offline=True))
        yield opened


class Ends:
    """Waits for runs to end, as whoever listens does."""

    def __init__(self, app: App) -> None:
        self.runs: list[Run] = []
        self._changed = threading.Condition()
        app.runs.ended.append(self._note)

    def _note(self, run: Run) -> None:
        with self._changed:
            self.runs.append(run)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Run]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.runs) >= count, PATIENCE_S), "the worker took no run"
            return self.runs


@pytest.fixture
def start(app: App) -> Iterator[Callable[[], Worker]]:
    started: list[Worker] = []

    def go() -> Worker:
        worker = Worker(app.workspace, app.runs, lambda: datetime.now(UTC), concurrency=2)
        worker.start()
        started.append(worker)
        return worker

    yield go
    for worker in started:
        worker.stop()


def test_a_triggered_run_is_durable_at_once_and_the_worker_does_it(app: App, start: Callable[[], Worker]) -> None:
    """Who triggers over the API has an answer with a number, whether or not a worker is there."""
    ends = Ends(app)
    queued = app.runs.trigger(SYNC, reason="api")

    start()
    ended = ends.wait_for(1)[0]

    assert (RunStatus.QUEUED, "api", "test") == (queued.status, queued.reason, queued.requested_by)
    assert (queued.id, RunStatus.SUCCEEDED) == (ended.id, ended.status)


def test_a_trigger_during_a_run_queues_one_more_and_refuses_a_third(app: App) -> None:
    app.workspace.runs.create(NewRun(SYNC, SYNC))
    with FileLock(app.workspace.lock_path(SYNC)) as busy:
        busy.try_take("a run")
        app.runs.trigger(SYNC)

        with pytest.raises(UserError) as caught:
            app.runs.trigger(SYNC)
        with pytest.raises(UserError) as skipped:
            app.runs.trigger(SYNC, overlap="skip")

    assert ["sync_busy", "sync_busy"] == [caught.value.code, skipped.value.code]


def test_one_idempotency_key_makes_one_run_and_no_other_request(app: App) -> None:
    """An orchestrator that got no answer asks again, and must not start a second run."""
    first = app.runs.trigger(SYNC, idempotency_key="nightly-1")
    again = app.runs.trigger(SYNC, idempotency_key="nightly-1")

    with pytest.raises(UserError) as caught:
        app.runs.trigger(SYNC, RunOptions(full_resync=True), idempotency_key="nightly-1")

    assert first.id == again.id
    assert "idempotency_key_reused" == caught.value.code


def test_a_hundred_triggers_at_once_make_one_queued_run(app: App) -> None:
    """Schedule, API and people may all ask in the same second."""
    answers: list[str] = []
    gate = threading.Barrier(20)

    def ask() -> None:
        from headrace.domain.access import whole
        from headrace.service.verbs import acting_as

        gate.wait()
        for _ in range(5):
            try:
                with acting_as(whole("somebody")):
                    answers.append(app.runs.trigger(SYNC).status)
            except UserError as error:
                answers.append(error.code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(["queued", *["sync_busy"] * 99]) == sorted(answers)


def test_what_a_dead_worker_left_is_taken_up_again(app: App, start: Callable[[], Worker]) -> None:
    """kill -9 in the middle of a run: the next start marks it and goes on by fold and plan."""
    dead = app.workspace.runs.create(NewRun(SYNC, SYNC, reason="schedule", requested_by="scheduler"))
    ends = Ends(app)

    start()
    follower = ends.wait_for(1)[0]

    assert RunStatus.INTERRUPTED is app.workspace.runs.get(dead.id).status
    assert (dead.id, RunStatus.SUCCEEDED) == (follower.follows, follower.status)


def test_a_run_that_cannot_begin_says_why(app: App, start: Callable[[], Worker]) -> None:
    """A token that was taken away must end as a failed run that somebody sees, not as a queue that stands still."""
    ends = Ends(app)
    document = app.catalog.documents("sync")[SYNC] | {"type": "events"}
    app.workspace.catalog.put("sync", SYNC, document)
    app.workspace.runs.create(NewRun(SYNC, SYNC, status=RunStatus.QUEUED))

    start()
    ended = ends.wait_for(1)[0]

    assert RunStatus.FAILED is ended.status
    assert ended.error_code is not None


def test_who_follows_a_run_sees_its_facts_once_and_in_order(app: App, start: Callable[[], Worker]) -> None:
    """A browser that lost its connection asks for what came after the last number it saw."""
    ends = Ends(app)
    queued = app.runs.trigger(SYNC)
    start()
    ends.wait_for(1)

    followed = app.runs.follow(queued.id)
    later = app.runs.follow(queued.id, after=followed.facts[1].number)

    assert "started" == followed.facts[0].kind
    assert "finished" == followed.facts[-1].kind
    assert list(range(1, len(followed.facts) + 1)) == [one.number for one in followed.facts]
    assert followed.facts[2:] == later.facts
    assert followed.run.status.is_end


def test_a_stopped_worker_takes_no_more_runs(app: App, start: Callable[[], Worker]) -> None:
    worker = start()

    assert worker.stop()
    app.runs.trigger(SYNC)

    assert not worker.alive
    assert [RunStatus.QUEUED] == [run.status for run in app.workspace.runs.list().items]
    assert [] == app.workspace.workers.list()

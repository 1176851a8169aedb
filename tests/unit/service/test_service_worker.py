"""The worker: takes what is queued, in order, once; stops without losing; goes on where another died."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from headrace.app import App
from headrace.domain.errors import UserError
from headrace.domain.outcome import RunStatus
from headrace.engine.job import RunOptions
from headrace.service.runs import MOST_CUT_IN_A_ROW
from headrace.service.worker import Worker
from headrace.store.runs import NewRun, Run

from .world import SYNC, dead_run

PATIENCE_S = 30


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
        worker = app.worker(concurrency=2, sweep_s=0.2)
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
    with app.runner.owners.begin(NewRun(SYNC, SYNC)):
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
    dead = dead_run(app, SYNC, reason="schedule", requested_by="scheduler")
    ends = Ends(app)

    start()
    ended, follower = ends.wait_for(2)

    assert (dead.id, RunStatus.INTERRUPTED) == (ended.id, ended.status)
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


def test_the_run_that_was_queued_behind_another_is_taken_when_that_ends(app: App, start: Callable[[], Worker]) -> None:
    ends = Ends(app)
    start()
    with app.runner.owners.begin(NewRun(SYNC, SYNC)) as busy:
        queued = app.runs.trigger(SYNC)
        app.workspace.runs.finish(busy.run.id, RunStatus.SUCCEEDED, busy.run.counts)

    assert [queued.id] == [run.id for run in ends.wait_for(1)]


def test_a_run_that_kills_whoever_takes_it_is_not_taken_for_ever(app: App) -> None:
    """A model that needs more memory than there is must end as a run that somebody looks at, not as a restart loop."""
    follows = None
    for _ in range(MOST_CUT_IN_A_ROW - 1):
        dead = dead_run(app, SYNC, reason="schedule", follows=follows)
        app.runs.settle_dead()
        follower = app.workspace.runs.live(SYNC)[0]
        assert dead.id == follower.follows
        app.workspace.runs.give_up(follower.id)
        follows = dead.id

    dead_run(app, SYNC, reason="schedule", follows=follows)
    app.runs.settle_dead()

    assert [] == app.workspace.runs.live(SYNC)


def test_what_a_person_ran_at_the_command_line_is_not_run_again_behind_their_back(app: App) -> None:
    dead = dead_run(app, SYNC, requested_by="cli:ada")

    settled = app.runs.settle_dead()

    assert [dead.id] == [run.id for run in settled]
    assert [] == app.workspace.runs.live(SYNC)
    assert "finished" == app.runs.follow(dead.id).facts[-1].kind

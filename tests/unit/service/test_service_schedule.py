"""Schedules: fired once over all servers, made up for once after a sleep, paused until somebody resumes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.domain.access import Actor, Scope, whole
from headrace.domain.errors import ConfigurationError, NotFound, UserError
from headrace.service.verbs import acting_as
from headrace.store.service_tables import schedules

from .server import NOON, Server, serving

QUARTER = {"accounts": "schedule: {every: 15m}"}


@pytest.fixture
def server(where: str, tmp_path: Path) -> Iterator[Server]:
    with serving(where, tmp_path) as (one,):
        yield one


def test_a_due_schedule_is_fired_once_and_again_when_it_comes_next(server: Server) -> None:
    """The plain case: every quarter of an hour, one run each."""
    server.apply(QUARTER)

    assert [] == server.app.schedules.fire_due()
    server.clock.move(minutes=15)
    server.app.schedules.fire_due()
    server.app.schedules.fire_due()
    assert [("accounts", "schedule")] == server.runs()

    server.end()
    server.clock.move(minutes=15)
    server.app.schedules.fire_due()
    assert [("accounts", "schedule")] * 2 == server.runs()


def test_of_several_servers_one_fires(where: str, tmp_path: Path) -> None:
    """Two servers behind a load balancer, one database: the nightly sync must not run twice."""
    with serving(where, tmp_path, servers=3) as servers:
        servers[0].apply({f"sync-{number}": "schedule: {every: 15m}" for number in range(4)})
        for server in servers:
            server.app.schedules.fire_due()
        servers[0].clock.move(minutes=15)
        gate = threading.Barrier(3)
        failed: list[BaseException] = []

        def fire(server: Server) -> None:
            try:
                with acting_as(whole("scheduler")):
                    gate.wait()
                    server.app.schedules.fire_due()
            except BaseException as error:  # told below: a thread's own death is not seen
                failed.append(error)

        threads = [threading.Thread(target=fire, args=(server,)) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == failed
        assert sorted((f"sync-{number}", "schedule") for number in range(4)) == sorted(servers[0].runs())
        assert all(one.skipped_at is None for one in servers[0].app.schedules.overview())


def test_what_was_missed_in_a_sleep_of_ten_hours_is_run_once(server: Server) -> None:
    """A laptop that wakes must not send the same rows forty times."""
    server.apply(QUARTER)
    server.app.schedules.fire_due()

    server.clock.move(hours=10, minutes=7)
    server.app.schedules.fire_due()
    server.end()
    server.app.schedules.fire_due()

    assert [("accounts", "schedule")] == server.runs()
    assert NOON + timedelta(hours=10, minutes=15) == server.app.schedules.overview()[0].due[0]


def test_a_time_that_comes_while_it_still_runs_is_left_out_and_says_so(server: Server) -> None:
    """`overlap: skip` is the default: a slow sync must not pile up behind itself, and a person sees why."""
    server.apply(QUARTER)
    server.app.schedules.fire_due()
    server.clock.move(minutes=15)
    server.app.schedules.fire_due()
    running = server.claim(server.queued()[0])

    server.clock.move(minutes=15)
    (fired,) = server.app.schedules.fire_due()

    state = server.app.schedules.overview()[0]
    assert fired.error is None
    assert f"run {running.id} running" in str(fired.skipped)
    assert (server.clock.now(), fired.skipped) == (state.skipped_at, state.skipped_why)
    assert 1 == len(server.runs())


def test_with_overlap_queue_one_run_waits_and_no_more(server: Server) -> None:
    """Whoever wants the newest rows soon after a slow run asks for it; two in the queue would do the same twice."""
    server.apply({"accounts": "schedule: {every: 15m}\noverlap: queue"})
    server.app.schedules.fire_due()
    server.clock.move(minutes=15)
    server.app.schedules.fire_due()
    server.claim(server.queued()[0])

    for _ in range(2):
        server.clock.move(minutes=15)
        server.app.schedules.fire_due()

    assert 2 == len(server.runs())
    assert "queued" in str(server.app.schedules.overview()[0].skipped_why)


def test_a_pause_survives_restarts_and_apply_and_is_not_exported(where: str, tmp_path: Path) -> None:
    """It is state: whoever pauses in an incident must not have it undone by the next deployment."""
    with serving(where, tmp_path) as (server,):
        server.apply(QUARTER)
        with acting_as(whole("ada@example.com")):
            server.app.schedules.pause("sync", "accounts")
    with serving(where, tmp_path) as (server,):
        server.apply({"accounts": "schedule: {every: 5m}"})
        server.clock.move(hours=1)

        state = server.app.schedules.state("sync", "accounts")
        assert [] == server.app.schedules.fire_due()
        assert (NOON, "ada@example.com", ()) == (state.paused_at, state.paused_by, state.due)
        assert "paused" not in server.app.catalog.export(None)["headrace.yaml"]


def test_a_resumed_schedule_counts_from_now(server: Server) -> None:
    """What came due during the pause was not wanted; nothing starts at the moment of the resume."""
    server.apply(QUARTER)
    server.app.schedules.pause("sync", "accounts")
    server.clock.move(hours=3, minutes=5)

    state = server.app.schedules.resume("sync", "accounts")

    assert NOON + timedelta(hours=3, minutes=15) == state.due[0]
    assert [] == server.app.schedules.fire_due()
    server.clock.move(minutes=10)
    assert 1 == len(server.app.schedules.fire_due())


def test_a_changed_rule_is_reckoned_anew(server: Server) -> None:
    """The old instant belongs to the old rule."""
    server.apply({"accounts": "schedule: {every: 1d}"})
    server.app.schedules.fire_due()
    server.apply({"accounts": "schedule: {cron: 30 13 * * *, timezone: Europe/Berlin}"})
    server.app.schedules.fire_due()

    assert datetime(2026, 11, 23, 12, 30, tzinfo=UTC) == server.workspace.schedules.get(("sync", "accounts")).due_at


def test_a_sync_that_lost_its_schedule_or_is_gone_is_not_fired(server: Server) -> None:
    """What is manual now must not run by a rule of yesterday."""
    server.apply(QUARTER)
    server.app.schedules.fire_due()
    server.apply({"accounts": ""})
    server.clock.move(hours=1)
    server.app.schedules.fire_due()
    server.apply({})
    server.app.schedules.fire_due()

    assert [] == server.runs()
    assert {} == server.workspace.schedules.all()


def test_a_fire_that_a_dead_server_left_is_done_by_another(server: Server) -> None:
    """kill -9 between the claim and the run must not lose a nightly sync."""
    server.apply(QUARTER)
    server.app.schedules.fire_due()
    server.clock.move(minutes=15)
    entry = server.workspace.schedules.get(("sync", "accounts"))
    assert server.workspace.schedules.claim(entry, server.clock.now() + timedelta(minutes=15))

    server.clock.move(seconds=59)
    assert [] == server.app.schedules.fire_due()
    server.clock.move(seconds=1)
    server.app.schedules.fire_due()
    server.app.schedules.fire_due()

    assert [("accounts", "schedule")] == server.runs()


def test_one_that_cannot_start_is_told_and_the_others_are_fired(server: Server) -> None:
    """A sync whose stored configuration no longer fits must not hold up the rest."""
    server.apply({"a-broken": "schedule: {every: 15m}", "b-sound": "schedule: {every: 15m}"})
    server.app.schedules.fire_due()
    stored = server.workspace.catalog.get("sync", "a-broken").document
    server.workspace.catalog.put("sync", "a-broken", {**stored, "mode": 7})
    server.clock.move(minutes=15)

    fired = {one.name: one for one in server.app.schedules.fire_due()}

    assert isinstance(fired["a-broken"].error, ConfigurationError)
    assert fired["b-sound"].error is None
    assert [("b-sound", "schedule")] == server.runs()


def test_the_overview_says_it_in_words_with_the_next_three_instants(server: Server) -> None:
    """A page shows when a sync runs before any server has fired it."""
    server.apply({"accounts": "schedule: {cron: 5 14 * * 1-5, timezone: Europe/Berlin}", "by-hand": ""})

    first, second = server.app.schedules.overview()

    assert "at 14:05 on weekdays, Europe/Berlin" == first.words
    assert [23, 24, 25] == [one.day for one in first.due]
    assert ("manual", ()) == (second.words, second.due)


def test_a_form_asks_what_a_rule_means_before_it_is_saved(server: Server) -> None:
    """The next three instants under the field are the proof that the cron says what was meant."""
    due = server.app.schedules.next_instants({"every": "1h"})

    assert ("every hour", 3) == (due.words, len(due.instants))
    for bad in ({"cron": "61 * * * *"}, {"every": "soon"}, {}):
        with pytest.raises(ConfigurationError):
            server.app.schedules.next_instants(bad)


def test_what_has_no_schedule_cannot_be_paused(server: Server) -> None:
    """A pause of nothing would look like a safety that is not there."""
    server.apply({"by-hand": ""})

    with pytest.raises(UserError) as refused:
        server.app.schedules.pause("sync", "by-hand")
    assert "not_scheduled" == refused.value.code
    with pytest.raises(NotFound):
        server.app.schedules.pause("sync", "nobody")


def test_a_viewer_sees_schedules_and_pauses_none(server: Server) -> None:
    """Reading is no right to stop the night's work."""
    server.apply(QUARTER)

    with acting_as(Actor("viewer", frozenset({Scope.READ}))):
        assert 1 == len(server.app.schedules.overview())
        with pytest.raises(UserError) as refused:
            server.app.schedules.pause("sync", "accounts")
    assert "forbidden" == refused.value.code


def test_the_table_keeps_one_row_a_schedule(server: Server) -> None:
    """However often it fires, is skipped, paused or resumed."""
    server.apply(QUARTER)
    for _ in range(3):
        server.clock.move(minutes=15)
        server.app.schedules.fire_due()
        server.app.schedules.pause("sync", "accounts")
        server.app.schedules.resume("sync", "accounts")

    with server.workspace.database.read() as connection:
        assert 1 == len(connection.execute(schedules.select()).all())

"""Which word on keeping counts, and a sweep that goes on by itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.domain.errors import HeadraceError, NotFound, UserError, WorldError
from headrace.domain.outcome import Counts, RunStatus
from headrace.service.operations import OperationsService
from headrace.service.retention import Retention, Sweeping
from headrace.store.retention import Swept
from headrace.store.runs import NewRun
from headrace.store.workspace import Workspace

from .world import PROJECT, World

SYNC = "accounts-to-vitally"


def operations(world: World, environment: Mapping[str, str] | None = None) -> OperationsService:
    return OperationsService(world.workspace, world.catalog, environment or {})


def test_what_is_said_for_a_sync_goes_before_the_workspace_and_that_before_the_environment(world: World) -> None:
    world.apply(PROJECT)
    service = operations(world, {"HEADRACE_RETENTION_DAYS": "7"})

    assert (7, 7, 400) == days(service.retention())

    service.set_retention({"calls_days": 3})
    found = service.set_retention({"calls_days": 1, "rows_days": None}, SYNC)

    assert (3, 7, 400) == days(found)
    assert {SYNC: {"calls_days": 1, "rows_days": None, "runs_days": 400}} == found["syncs"]
    assert 1 == service.kept().keep_of(SYNC).calls_days


def days(found: Mapping[str, object]) -> tuple[object, ...]:
    return found["calls_days"], found["rows_days"], found["runs_days"]


def test_a_word_that_is_taken_back_leaves_no_trace(world: World) -> None:
    world.apply(PROJECT)
    service = operations(world)
    before = service.retention()

    service.set_retention({"calls_days": 1}, SYNC)
    service.set_retention({"runs_days": 9})
    service.set_retention({"calls_days": "default"}, SYNC)

    assert before == service.set_retention({"runs_days": "default"})
    assert {"syncs": {}} == service.kept().setting()


@pytest.mark.parametrize(
    "changes", [{"calls_days": 0}, {"rows_days": -1}, {"runs_days": "long"}, {"rows_days": True}, {"bytes": 5}]
)
def test_a_time_that_is_none_is_refused_and_nothing_changes(world: World, changes: dict[str, object]) -> None:
    """Zero days would throw away the calls of a run that ended a second ago."""
    service = operations(world)

    with pytest.raises(UserError) as caught:
        service.set_retention(changes)

    assert "retention_invalid" == caught.value.code
    assert {"syncs": {}} == service.kept().setting()


def test_megabytes_are_of_all_syncs_together(world: World) -> None:
    world.apply(PROJECT)

    with pytest.raises(UserError, match="calls_mb"):
        operations(world).set_retention({"calls_mb": 5}, SYNC)


def test_a_sync_that_is_not_there_is_said(world: World) -> None:
    with pytest.raises(NotFound):
        operations(world).set_retention({"calls_days": 5}, "nobody")


@pytest.mark.parametrize(("text", "kept"), [("forever", None), ("2.5", 2.5), ("", 30)])
def test_the_environment_says_how_long_calls_are_kept(world: World, text: str, kept: float | None) -> None:
    assert kept == operations(world, {"HEADRACE_RETENTION_DAYS": text}).retention()["calls_days"]


def test_an_environment_that_says_nonsense_is_refused(world: World) -> None:
    with pytest.raises(UserError, match="HEADRACE_RETENTION_DAYS"):
        operations(world, {"HEADRACE_RETENTION_DAYS": "a while"}).kept()


def test_a_sweep_goes_by_what_is_kept(tmp_path: Path) -> None:
    """The whole way from the setting to the rows."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    with Workspace.open(tmp_path / "ws", create=True, now=lambda: long_ago) as workspace:
        for _ in range(2):
            run = workspace.runs.create(NewRun("accounts", "accounts"))
            workspace.runs.finish(run.id, RunStatus.SUCCEEDED, Counts())

    with Workspace.open(tmp_path / "ws") as workspace:
        swept = Retention(workspace, {}).sweep(lambda _seconds: False)

        assert 1 == swept.runs
        assert [2] == [one.id for one in workspace.runs.list().items]


class Tries:
    """A retention whose first sweep fails."""

    def __init__(self) -> None:
        self.rests: list[float] = []
        self.swept = threading.Event()
        self._failed = False

    def sweep(self, rest: object) -> Swept:
        if not self._failed:
            self._failed = True
            raise WorldError("The disk is full.", code="store_write_failed")
        self.swept.set()
        return Swept()


def test_a_sweep_that_failed_is_told_and_tried_again() -> None:
    """A full disk at three in the morning is no reason to keep everything from then on."""
    tries, told = Tries(), list[HeadraceError]()
    sweeping = Sweeping(tries, told.append, every_s=0.001)  # type: ignore[arg-type]

    sweeping.start()
    assert tries.swept.wait(30)
    sweeping.stop()

    assert ["store_write_failed"] == [one.code for one in told]


def test_a_sweep_stops_at_once_while_it_rests() -> None:
    """A server that is told to end does not wait for housekeeping."""

    class Endless:
        began = threading.Event()

        def sweep(self, rest: object) -> Swept:
            self.began.set()
            assert rest(timedelta(hours=1).total_seconds())  # type: ignore[operator]
            return Swept()

    endless = Endless()
    sweeping = Sweeping(endless, lambda _error: None)  # type: ignore[arg-type]
    sweeping.start()
    assert endless.began.wait(30)

    sweeping.stop()

    assert not sweeping.is_alive

"""The files of syncs on several machines: never half-written, never another's, always what the last owner kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from headrace.domain.errors import UserError, WorldError
from headrace.domain.outcome import RunStatus
from headrace.engine.job import Paths
from headrace.store.depot import Files, SharedFiles, in_place
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

from .world import NOON

PATHS = Paths("ledger", "planned", "held", "limits", "tmp")


class Machine:
    """One machine's view of the files of a workspace."""

    def __init__(self, workspace: Workspace, folder: Path, state: Path, hours: int = 0) -> None:
        (folder / "ledgers").mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._workspace = workspace
        self.files = SharedFiles(
            workspace.database, state.as_uri(), "w-1", folder, lambda: NOON + timedelta(hours=hours)
        )

    @contextmanager
    def run(self, *, end: bool = True) -> Iterator[tuple[Run, Files]]:
        run = self._workspace.runs.create(NewRun("accounts", "accounts"))
        with self.files.of_run(run, PATHS, "accounts") as files:
            files.depot.take()
            yield run, files
        if end:
            self._workspace.runs.finish(run.id, RunStatus.SUCCEEDED, run.counts)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def here(workspace: Workspace, tmp_path: Path, state: Path) -> Machine:
    return Machine(workspace, tmp_path / "here", state)


@pytest.fixture
def there(workspace: Workspace, tmp_path: Path, state: Path) -> Machine:
    return Machine(workspace, tmp_path / "there", state)


def objects(state: Path) -> list[str]:
    return sorted(path.name for path in state.rglob("*") if path.is_file())


def test_another_machine_finds_what_the_last_run_kept(here: Machine, there: Machine, state: Path) -> None:
    """A sync runs wherever a worker is free, and its ledger follows it."""
    with here.run() as (_, files):
        Path(files.paths.ledger).write_text("one")
        files.depot.keep("ledger", "planned", "held")
    with there.run() as (_, files):
        assert "one" == Path(files.paths.ledger).read_text()
        Path(files.paths.ledger).write_text("two, longer")
        files.depot.keep("ledger")

    with here.run() as (_, files):
        assert "two, longer" == Path(files.paths.ledger).read_text()
    assert ["2-1.ledger"] == objects(state)


def test_a_ledger_that_is_here_already_is_not_fetched_again(here: Machine, state: Path) -> None:
    """A ledger of millions of rows has some hundred megabytes."""
    with here.run() as (_, files):
        Path(files.paths.ledger).write_text("one")
        files.depot.keep("ledger")
    for path in state.rglob("*.ledger"):
        path.unlink()

    with here.run() as (_, files):
        assert "one" == Path(files.paths.ledger).read_text()
        files.depot.keep("ledger")

    assert [] == objects(state), "what did not change is not kept again"


def test_the_plan_of_a_run_that_died_is_there_for_the_one_that_goes_on(
    workspace: Workspace, here: Machine, there: Machine
) -> None:
    """Its acknowledgements can be folded by the plan alone, on whichever machine."""
    with here.run(end=False) as (dead, files):
        Path(files.paths.planned).write_text("plan")
        files.depot.keep("planned")
    workspace.runs.take_over(dead, None)

    with there.run() as (_, files):
        assert "plan" == Path(files.paths.planned).read_text()
        Path(files.paths.planned).unlink()
        files.depot.keep("planned")
    with here.run() as (_, files):
        assert not Path(files.paths.planned).exists()


def test_who_lost_the_run_changes_nothing(workspace: Workspace, here: Machine, there: Machine, state: Path) -> None:
    """A machine that slept must not put its old ledger over the new one."""
    with there.run() as (_, files):
        Path(files.paths.ledger).write_text("good")
        files.depot.keep("ledger")
    with here.run(end=False) as (lost, files):
        Path(files.paths.ledger).write_text("of the sleeper")
        workspace.runs.take_over(lost, None)

        with pytest.raises(WorldError) as caught:
            files.depot.keep("ledger")

    assert "run_lost" == caught.value.code
    assert ["1-1.ledger"] == objects(state)
    with here.run() as (_, files):
        assert "good" == Path(files.paths.ledger).read_text()


def test_a_file_that_was_changed_behind_our_back_is_refused(here: Machine, there: Machine, state: Path) -> None:
    with here.run() as (_, files):
        Path(files.paths.ledger).write_text("one")
        files.depot.keep("ledger")
    next(state.rglob("*.ledger")).write_text("two")

    with pytest.raises(WorldError) as caught, there.run():
        pass

    assert "state_unavailable" == caught.value.code


def test_a_file_that_is_not_there_says_that_machines_need_one_state(here: Machine, there: Machine, state: Path) -> None:
    with here.run() as (_, files):
        Path(files.paths.ledger).write_text("one")
        files.depot.keep("ledger")
    next(state.rglob("*.ledger")).unlink()

    with pytest.raises(WorldError, match="one HEADRACE_STATE_URL"), there.run():
        pass


def test_a_look_has_copies_and_disturbs_no_run(here: Machine) -> None:
    """`plan` works while a run of the sync writes its ledger."""
    with here.run() as (_, files):
        Path(files.paths.ledger).write_text("one")
        files.depot.keep("ledger")

    with here.files.copied("accounts", PATHS) as paths:
        Path(paths.ledger).write_text("spoilt")

    assert not Path(paths.ledger).exists()
    with here.run() as (_, files):
        assert "one" == Path(files.paths.ledger).read_text()


def test_a_sweep_removes_what_nobody_points_to_and_only_when_it_is_old(
    workspace: Workspace, here: Machine, state: Path, tmp_path: Path
) -> None:
    """What a killed process uploaded last may be about to count; a day later it is not."""
    with here.run() as (_, files):
        Path(files.paths.ledger).write_text("one")
        files.depot.keep("ledger")
    (state / "w-1" / "accounts" / "9-1.ledger").write_text("of a process that was killed")

    assert 0 == here.files.sweep()
    assert 1 == Machine(workspace, tmp_path / "here", state, hours=10_000).files.sweep()
    assert ["1-1.ledger"] == objects(state)


@pytest.mark.parametrize("url", ["nowhere", "s3://", "gopher://x"])
def test_a_state_url_that_is_none_is_refused_with_an_example(workspace: Workspace, tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="for example") as caught:
        SharedFiles(workspace.database, url, "w-1", tmp_path, lambda: NOON)

    assert "setting_invalid" == caught.value.code


def test_embedded_files_stay_and_what_is_temporary_is_the_runs_own(tmp_path: Path) -> None:
    """Two comparisons that spill into one folder would take each other's files away."""
    paths = Paths("ledger", "planned", "held", "limits", str(tmp_path))

    with in_place(1, paths) as one, in_place(2, paths) as two:
        assert "ledger" == one.paths.ledger == two.paths.ledger
        assert one.paths.temporary != two.paths.temporary

    assert [] == list(tmp_path.iterdir())

"""Who owns a sync: one live run, one more in the queue, and no ghost of a process that died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from headrace.domain.outcome import RunStatus
from headrace.service.locks import FileLock
from headrace.store.runs import NewRun
from headrace.store.workspace import Workspace

HOLDER = """
import sys
from pathlib import Path
from headrace.service.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.try_take("a run of accounts"), flush=True)
sys.stdin.read()
"""


def test_a_lock_is_for_one_and_says_whose_it_is(tmp_path: Path):
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")

    with first, second:
        taken = first.try_take("a run of accounts"), second.try_take("another")
        holder = second.holder()
        first.release()
        after = second.try_take("another")

    assert ((True, False), True) == (taken, after)
    assert holder.startswith("a run of accounts (process ")


def test_a_dead_owner_lets_go_at_once(tmp_path: Path):
    """No lease to wait for: the operating system knows that the process is gone."""
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        took = process.stdout.readline().strip()
        alive = FileLock(path).try_take("me")
        process.kill()
        process.wait()

        with FileLock(path) as lock:
            dead = lock.try_take("me")

    assert ("True", False, True) == (took, alive, dead)


def test_an_unreadable_holder_is_another_process(tmp_path: Path):
    (tmp_path / "a.lock").write_bytes(b"\xff not json")

    assert "another process" == FileLock(tmp_path / "a.lock").holder()


def test_a_lock_that_nobody_took_is_released_without_harm(tmp_path: Path):
    lock = FileLock(tmp_path / "a.lock")

    lock.release()

    assert lock.try_take("me")
    lock.release()


def test_a_run_whose_process_died_leaves_the_way_free(tmp_path: Path):
    """The next run marks it as interrupted and starts; the unique index lets no second live one in."""
    with Workspace.open(tmp_path / "ws", create=True) as workspace:
        dead = workspace.runs.create(NewRun("accounts", "accounts"))

        workspace.runs.mark_interrupted("accounts")
        alive = workspace.runs.create(NewRun("accounts", "accounts"))

        assert RunStatus.INTERRUPTED is workspace.runs.get(dead.id).status
        assert RunStatus.RUNNING is alive.status

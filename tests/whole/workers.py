"""Machines that work for one workspace in Postgres, each a real process with a folder and a token of its own."""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from headrace.app import App, Settings
from headrace.domain.errors import UserError
from headrace.emulator import Emulator, EmulatorSettings
from headrace.store.runs import Run

from .project import Done, Project, many

LEASE_S = 3.0
ROWS = 250


class Machine:
    """A worker with a folder and a token of its own; killed and started again it is still the same machine."""

    def __init__(self, number: int, project: Project, workspace: str, state: Path) -> None:
        self.token = f"sk_live_machine_{number}"
        self.owners: set[str] = set()
        self._project = project
        self._log = project.folder / f"worker-{number}.log"
        self._environment = {
            **project.environment,
            "HEADRACE_WORKSPACE": workspace,
            "HEADRACE_SCRATCH": str(project.folder / f"machine-{number}"),
            "HEADRACE_STATE_URL": state.as_uri(),
            "HEADRACE_LEASE": str(LEASE_S),
            "VITALLY_REST_TOKEN": self.token,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins to work."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headrace", "worker", "--concurrency", "2"],
                cwd=self._project.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.owners.add(f"{self.process.pid}@{socket.gethostname()}")

    def signal(self, which: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(which)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def headrace(self, *arguments: object) -> Done:
        """A command on this machine that has ended."""
        return self._project.headrace(*arguments, **self._environment)

    @property
    def said(self) -> str:
        return self._log.read_text()


class World:
    """A project of several syncs over one workspace in Postgres, and the machines that work for it."""

    def __init__(self, folder: Path, vitally: Emulator, workspace: str, syncs: Sequence[str], count: int) -> None:
        self.syncs = syncs
        self.project = Project(folder, vitally)
        self.rows = {sync: {key: (f"{sync}-{key}", name, plan) for key, name, plan in many(ROWS)} for sync in syncs}
        for sync in syncs:
            self._write(sync)
        self.project.write(self._document())
        environment = {"VITALLY_REST_TOKEN": "sk_live_machine_0"}
        settings = Settings(workspace, None, 256, environment, folder / "here", (folder / "state").as_uri(), LEASE_S)
        self.app = App.open(settings, create=True)
        self.app.catalog.apply(self.app.catalog.check(folder))
        self.machines = [Machine(number, self.project, workspace, folder / "state") for number in range(count)]

    def _document(self) -> dict[str, object]:
        document = self.project.document()
        sync, model = document["syncs"].popitem()[1], document["models"].popitem()[1]
        document["models"] = {name: {**model, "sql": f"select id, name, plan from {name}"} for name in self.syncs}
        document["syncs"] = {name: {**sync, "model": name} for name in self.syncs}
        return document

    def _write(self, sync: str) -> None:
        with closing(sqlite3.connect(self.project.folder / "crm.sqlite", timeout=30)) as connection, connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {sync} (id TEXT PRIMARY KEY, name TEXT, plan TEXT)")
            connection.executemany(f"INSERT OR REPLACE INTO {sync} VALUES (?, ?, ?)", self.rows[sync].values())

    def change(self, sync: str, chance: random.Random, plan: str) -> None:
        for key in chance.sample(sorted(self.rows[sync]), ROWS // 3):
            identity, name, _ = self.rows[sync][key]
            self.rows[sync][key] = (identity, name, plan)
        self._write(sync)

    def trigger(self, sync: str) -> None:
        with suppress(UserError):  # one is queued already
            self.app.runs.trigger(sync, reason="schedule")

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return list(reversed(self.app.workspace.runs.list(limit=10_000).items))

    def close(self) -> None:
        for machine in self.machines:
            machine.kill()
        self.app.close()


@contextmanager
def machines(folder: Path, workspace: str, syncs: Sequence[str], count: int) -> Iterator[World]:
    """A world of so many machines; none of them works yet."""
    tokens = tuple(f"sk_live_machine_{number}" for number in range(count))
    with ExitStack() as opened:
        settings = EmulatorSettings(rate_limit=None, rest_keys=tokens, journal_limit=1_000_000)
        world = World(folder, opened.enter_context(Emulator(settings)), workspace, syncs, count)
        opened.callback(world.close)
        yield world

"""A workspace as a server sees it, with a clock that only the test moves and runs that end as the test says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headrace.app import App, Settings
from headrace.domain.outcome import Counts, RunStatus
from headrace.engine.ports import Clock
from headrace.service.locks import FileLock
from headrace.store.runs import Hold, Run
from headrace.store.workspace import Workspace

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HEAD = """\
sources:
  warehouse: {type: duckdb, path: warehouse.duckdb}
models:
  accounts: {source: warehouse, primary_key: id, table: accounts}
destinations:
  vitally: {type: vitally, region: us, rest_api_token: {env: REST_TOKEN}}
"""
SYNC = """\
  %s:
    model: accounts
    destination: vitally
    type: rest_objects
    object: account
    mode: upsert
    match: {column: id, field: externalId}
    fields: {name: {column: name}}
"""


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def move(self, **span: float) -> None:
        self.at += timedelta(**span)


class Server:
    """One server over a workspace; several over the same place are several servers."""

    def __init__(self, where: str, folder: Path, clock: HandClock) -> None:
        self.clock = clock
        self._folder = folder
        environment = {"REST_TOKEN": "sk_live_1", "HOOK_SECRET": "whsec_1"}
        settings = Settings(where, None, 256, environment, folder / "scratch")
        workspace = Workspace.open(where, create=True, scratch=settings.scratch, now=clock.now)
        self.app = App(settings, workspace)
        hand: Clock = clock
        self.app.clock = hand  # type: ignore[assignment]
        self.workspace = workspace
        self._held: dict[int, FileLock] = {}

    def apply(self, syncs: dict[str, str], more: str = "") -> None:
        """Syncs by name with further keys of theirs, and further sections."""
        text = HEAD + "syncs:\n"
        for name, keys in syncs.items():
            text += SYNC % name + textwrap.indent(textwrap.dedent(keys), "    ")
            text = text.rstrip() + "\n"
        project = self._folder / "project"
        project.mkdir(exist_ok=True)
        (project / "headrace.yaml").write_text(text + textwrap.dedent(more), encoding="utf-8")
        self.app.catalog.apply(self.app.catalog.check(project, offline=True, prune=True))

    def queued(self) -> list[Run]:
        return self.workspace.runs.waiting()

    def claim(self, run: Run) -> Run:
        """Makes a queued run running, as a worker that lives: it holds the sync's lock."""
        lock = FileLock(self.workspace.lock_path(run.sync_id))
        assert lock.try_take("a test")
        claimed = self.workspace.runs.claim(run.id, "1@worker")
        assert claimed is not None
        self._held[run.id] = lock
        return claimed

    def die(self, run: Run) -> None:
        """The worker of a running run is gone."""
        self._held.pop(run.id).release()
        self.workspace.runs.mark_interrupted(run.sync_id)

    def close(self) -> None:
        for lock in self._held.values():
            lock.release()
        self.app.close()

    def end(self, status: RunStatus = RunStatus.SUCCEEDED, run: Run | None = None, **counts: int) -> Run:
        """The oldest queued run, or that one, ends so; who listens in this process is told."""
        run = run or self.claim(self.queued()[0])
        if run.status is RunStatus.QUEUED:
            run = self.claim(run)
        numbers = Counts(**counts)
        if status is RunStatus.HELD:
            hold = Hold(9, "9 rows would be removed", "d", self.clock.now() + timedelta(days=1))
            ended = self.workspace.runs.hold(run.id, numbers, hold)
        else:
            ended = self.workspace.runs.finish(run.id, status, numbers)
        self._held.pop(run.id).release()
        for listener in self.app.runs.ended:
            listener(ended)
        return ended

    def runs(self) -> list[tuple[str, str]]:
        """(sync, reason) of every run, oldest first."""
        found = self.workspace.runs.list(limit=1000).items
        return [(one.sync, one.reason) for one in reversed(found)]


@contextmanager
def serving(where: str, folder: Path, servers: int = 1) -> Iterator[list[Server]]:
    clock = HandClock()
    started = [Server(where, folder, clock) for _ in range(servers)]
    try:
        yield started
    finally:
        for server in started:
            server.close()

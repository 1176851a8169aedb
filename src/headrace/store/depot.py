"""The files of a sync where workers are on several machines: ledger, plan and what the guard held, under a state URL.

An object is written once, under a name with the id of its run, and never changed. Which one counts stands in the
database, and moves in a transaction that checks that the run is still its writer's. A machine keeps what it had last.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url
from sqlalchemy import Connection, delete, select

from headrace.domain.errors import UserError, WorldError
from headrace.domain.outcome import RunStatus
from headrace.engine.job import Paths
from headrace.engine.ports import Depot, FileKind, run_lost
from headrace.engine.run import InPlace
from headrace.store.database import Database
from headrace.store.runs import Run
from headrace.store.service_tables import ledger_files
from headrace.store.tables import runs

KINDS: tuple[FileKind, ...] = ("ledger", "planned", "held")
ORPHAN_AFTER = timedelta(hours=24)
"""So long an object that nobody points to may be one that is about to count."""
_CHUNK = 1 << 20
_FAULTS = (BaseError, OSError)


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run finds its sync's files, and what keeps them."""

    paths: Paths
    depot: Depot


@dataclass(frozen=True, slots=True)
class Kept:
    """What counts of one kind: the object, and what its bytes must be."""

    kind: FileKind
    run_id: int
    object: str
    bytes: int
    sha256: str


@contextmanager
def in_place(run_id: int, paths: Paths) -> Iterator[Files]:
    """The files of a workspace on one machine: they stay where they are, and only what is temporary is the run's own.

    Two comparisons that spill into one folder would take each other's files away.
    """
    with _own_folder(Path(paths.temporary) / f"run-{run_id}") as temporary:
        yield Files(replace(paths, temporary=str(temporary)), InPlace())


class SharedFiles:
    """The files of all syncs of one workspace. `folder` is this machine's, `url` the one that all machines reach."""

    def __init__(
        self, database: Database, url: str, workspace_id: str, folder: Path, now: Callable[[], datetime]
    ) -> None:
        """Raises UserError `setting_invalid`."""
        self._database = database
        self._folder = folder
        self._now = now
        self.remote = Remote(url, workspace_id)

    @contextmanager
    def of_run(self, run: Run, paths: Paths, name: str) -> Iterator[Files]:
        """The files for a run that this process owns, in a folder of its own: one that lost its run harms no other.

        `name` is the sync's id as a file name.
        """
        with _own_folder(self._folder / "runs" / str(run.id)) as folder:
            depot = _RunDepot(self, run, _inside(paths, folder), name)
            yield Files(depot.paths, depot)
            depot.give_back()

    @contextmanager
    def copied(self, sync_id: str, paths: Paths) -> Iterator[Paths]:
        """The files as they count now, for a look: nothing that is done to them counts."""
        with _own_folder(self._folder / "runs" / f"look-{uuid4().hex}") as folder:
            inside = _inside(paths, folder)
            for kept in self.kept(sync_id):
                self.bring(kept, _path(inside, kept.kind), keep_cached=True)
            yield inside

    def kept(self, sync_id: str) -> list[Kept]:
        """What counts of that sync."""
        f = ledger_files.c
        query = select(f.kind, f.run_id, f.object, f.bytes, f.sha256).where(f.sync_id == sync_id)
        with self._database.read() as connection:
            return [Kept(*row) for row in connection.execute(query)]

    def bring(self, kept: Kept, path: Path, *, keep_cached: bool = False) -> None:
        """Puts the object at `path`: from what this machine kept of it, else from the state URL."""
        cached = self.cache_path(kept.object)
        with suppress(FileNotFoundError):
            if keep_cached:
                shutil.copyfile(cached, path)
            else:
                os.rename(cached, path)  # whoever is first has it; nobody else writes to it then
            return
        self.remote.fetch(kept, path)

    def cache_path(self, name: str) -> Path:
        """Where this machine keeps its copy of an object: the folder may serve several workspaces."""
        workspace, sync, own = name.split("/")
        return self._folder / "ledgers" / f"{sync}@{workspace[:8]}@{own}"

    def point(self, run: Run, found: Sequence[Kept], gone: Sequence[FileKind]) -> list[str]:
        """Makes these count instead of what did. Returns the objects that nobody needs now. Raises `run_lost`."""
        with self._database.write() as connection:
            _demand_running(connection, run.id)
            f = ledger_files.c
            kinds = [*(one.kind for one in found), *gone]
            old = select(f.object).where(f.sync_id == run.sync_id, f.kind.in_(kinds))
            superseded = list(connection.scalars(old))
            connection.execute(delete(ledger_files).where(f.sync_id == run.sync_id, f.kind.in_(gone)))
            for one in found:
                row: dict[str, Any] = {"sync_id": run.sync_id, "kind": one.kind, "run_id": one.run_id}
                row |= {"object": one.object, "bytes": one.bytes, "sha256": one.sha256, "at": self._now()}
                connection.execute(self._database.upsert(ledger_files, ["sync_id", "kind"]), row)
        return superseded

    def sweep(self) -> int:
        """Removes objects that nobody has pointed to for a day, and folders of runs that ended. Returns the objects."""
        with self._database.read() as connection:
            counted = set(connection.scalars(select(ledger_files.c.object)))
            running = set(connection.scalars(select(runs.c.id).where(runs.c.status == RunStatus.RUNNING)))
        before = self._now() - ORPHAN_AFTER
        orphans = [name for name, at in self.remote.list() if name not in counted and at < before]
        self.remote.remove(orphans)
        for folder in (self._folder / "runs").glob("*"):
            is_old = folder.stat().st_mtime < before.timestamp()
            if is_old and not (folder.name.isdigit() and int(folder.name) in running):
                shutil.rmtree(folder, ignore_errors=True)
        return len(orphans)


class _RunDepot:
    """Implements `engine.ports.Depot` for one run. Knows what it last took or kept of each kind."""

    def __init__(self, files: SharedFiles, run: Run, paths: Paths, name: str) -> None:
        self.paths = paths
        self._files = files
        self._run = run
        self._name = name
        self._numbers = count(1)
        self._known: dict[FileKind, tuple[Kept, tuple[int, int]]] = {}

    def take(self) -> None:
        for kept in self._files.kept(self._run.sync_id):
            path = _path(self.paths, kept.kind)
            self._files.bring(kept, path)
            self._known[kept.kind] = (kept, _stamp(path))

    def keep(self, *kinds: FileKind) -> None:
        found = [kind for kind in kinds if _path(self.paths, kind).exists() and not self._is_as_kept(kind)]
        gone = [kind for kind in kinds if kind in self._known and not _path(self.paths, kind).exists()]
        if not found and not gone:
            return
        put = [self._put(kind) for kind in found]
        try:
            superseded = self._files.point(self._run, put, gone)
        except BaseException:
            self._files.remote.remove([one.object for one in put])
            raise
        for kind in gone:
            del self._known[kind]
        for kept in put:
            self._known[kept.kind] = (kept, _stamp(_path(self.paths, kept.kind)))
        self._files.remote.remove(superseded)

    def give_back(self) -> None:
        """Leaves the ledger on this machine for its next run, where it is what counts."""
        if not self._is_as_kept("ledger"):
            return
        here = self._files.cache_path(self._known["ledger"][0].object)
        for older in [one for one in here.parent.iterdir() if one.name.startswith(f"{here.name.rpartition('@')[0]}@")]:
            older.unlink(missing_ok=True)
        os.rename(self.paths.ledger, here)

    def _is_as_kept(self, kind: FileKind) -> bool:
        """Whether the file is untouched since it was taken or kept."""
        if kind not in self._known:
            return False
        with suppress(FileNotFoundError):
            return self._known[kind][1] == _stamp(_path(self.paths, kind))
        return False

    def _put(self, kind: FileKind) -> Kept:
        path = _path(self.paths, kind)
        name = self._files.remote.name(self._name, f"{self._run.id}-{next(self._numbers)}.{kind}")
        size, digest = _measure(path)
        self._files.remote.put(name, path)
        return Kept(kind, self._run.id, name, size, digest)


class Remote:
    """The state URL: a folder or object storage, and the part of it that is this workspace's."""

    def __init__(self, url: str, workspace_id: str) -> None:
        """Raises UserError `setting_invalid`."""
        self._folder = Path(url.removeprefix("file://")) if url.startswith("file://") else None
        self._workspace_id = workspace_id
        try:
            self._store: ObjectStore = from_url(url, mkdir=True) if self._folder else from_url(url)
        except (*_FAULTS, ValueError) as error:
            message = f"HEADRACE_STATE_URL names no place for files: {_said(error)}. Write for example "
            message += "file:///var/lib/headrace/state or s3://bucket/folder."
            raise UserError(message, code="setting_invalid") from error

    def name(self, sync: str, name: str) -> str:
        return f"{self._workspace_id}/{sync}/{name}"

    def put(self, name: str, path: Path) -> None:
        """The object is whole and durable when this returns. Raises WorldError `state_unavailable`."""
        try:
            obstore.put(self._store, name, path)
            if self._folder is not None:
                _settle(self._folder / name)
        except _FAULTS as error:
            message = f"The file {name} could not be kept: {_said(error)}. Look at the place that HEADRACE_STATE_URL "
            message += "names, and at the rights there. What was acknowledged stays; run the sync again."
            raise WorldError(message, code="state_unavailable") from error

    def fetch(self, kept: Kept, path: Path) -> None:
        """Raises WorldError `state_unavailable`."""
        digest, size = hashlib.sha256(), 0
        unfinished = path.with_name(f"{path.name}.part")
        try:
            with unfinished.open("wb") as file:
                for chunk in obstore.get(self._store, kept.object).stream(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
        except _FAULTS as error:
            message = f"The file {kept.object}, which run {kept.run_id} kept, can't be fetched: {_said(error)}. All "
            message += "machines of a workspace need one HEADRACE_STATE_URL that each of them reaches."
            raise WorldError(message, code="state_unavailable") from error
        if (size, digest.hexdigest()) != (kept.bytes, kept.sha256):
            message = f"The file {kept.object} has changed since run {kept.run_id} kept it: {size:,} bytes instead of "
            message += f"{kept.bytes:,}, or others. Restore it, or take the present rows as delivered with "
            message += "`run --reset-cdc` once it is gone."
            raise WorldError(message, code="state_unavailable")
        os.replace(unfinished, path)

    def list(self) -> Iterator[tuple[str, datetime]]:
        """Name and age of every object of this workspace."""
        for batch in obstore.list(self._store, prefix=self._workspace_id):
            for one in batch:
                yield one["path"], one["last_modified"]

    def remove(self, names: Sequence[str]) -> None:
        """What can't be removed now is an orphan, and goes with the next sweep."""
        for name in names:
            with suppress(*_FAULTS):
                obstore.delete(self._store, name)


def _demand_running(connection: Connection, run_id: int) -> None:
    row = select(runs.c.status).where(runs.c.id == run_id).with_for_update()
    if connection.scalar(row) != RunStatus.RUNNING:
        raise run_lost(run_id)


def _inside(paths: Paths, folder: Path) -> Paths:
    return replace(
        paths,
        ledger=str(folder / "ledger.duckdb"),
        planned=str(folder / "planned.duckdb"),
        held=str(folder / "held.parquet"),
        temporary=str(folder / "tmp"),
    )


def _path(paths: Paths, kind: FileKind) -> Path:
    return Path(getattr(paths, kind))


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _settle(path: Path) -> None:
    """Makes a file and its name in the folder outlive a loss of power."""
    for one, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        handle = os.open(one, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _said(error: Exception) -> str:
    """What the library says, without its debugging part."""
    return str(error).split("\n", 1)[0].rstrip(". ") or type(error).__name__


@contextmanager
def _own_folder(path: Path) -> Iterator[Path]:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)

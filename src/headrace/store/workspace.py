"""A workspace: the store, and a folder for the key, the ledgers and the locks. The way into the store.

Embedded, the folder is the workspace, and holds the store too. On Postgres, the database is, and the folder of each
machine is scratch. Created by the first command that writes. Opening says plainly what is wrong; never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from sqlalchemy import select

from headrace.domain.errors import UserError
from headrace.engine.throttle import Budgets
from headrace.store import migrate, sqlite
from headrace.store.access import Access
from headrace.store.audit import Audit
from headrace.store.budget import SharedBudget
from headrace.store.calls import Calls
from headrace.store.catalog import Catalog
from headrace.store.database import Database
from headrace.store.events import RunEvents
from headrace.store.insights import Insights
from headrace.store.keys import GivenKeys, KeyRing
from headrace.store.memory import Acknowledgements, Identities
from headrace.store.outcomes import Outcomes
from headrace.store.runlog import RunLogWriter
from headrace.store.runs import Runs
from headrace.store.schedules import Schedules
from headrace.store.sequences import SequenceRuns
from headrace.store.service_tables import ledger_files
from headrace.store.vault import Vault
from headrace.store.workers import Workers

CHEAP_CHECK_BYTES = 1_000_000  # quick_check reads the whole file; up to here that takes a few milliseconds
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_ ")
STEM_LENGTH = 200  # a file name has 255 bytes, and DuckDB and ourselves append endings
ADDRESSES = ("postgresql://", "postgres://")
FOLDERS = ("ledgers", "planned", "limits", "locks", "tmp")


def utc_now() -> datetime:
    return datetime.now(UTC)


def file_stem(sync_id: str) -> str:
    """A sync's id as a file name, percent-encoded; `sync_id_of` turns it back.

    Capitals are encoded too: "Users" and "users" must not share a ledger on a file system that folds case.
    """
    stem = "".join(chr(byte) if byte in PLAIN else f"%{byte:02x}" for byte in sync_id.encode())
    if not stem or len(stem) > STEM_LENGTH:
        raise UserError(
            f'The sync id "{sync_id[:60]}" makes no file name: it is {"too long" if stem else "empty"}. '
            "Give the sync another `id`.",
            code="sync_id_invalid",
        )
    return stem


def sync_id_of(stem: str) -> str:
    return unquote(stem)


class Workspace:
    """An open workspace. Use as a context, or close it; usable from any thread."""

    def __init__(self, database: Database, path: Path, now: Callable[[], datetime]) -> None:
        self.path = path
        self.now = now
        self.now = now
        self.database = database
        self.catalog = Catalog(self.database, now)
        self.runs = Runs(self.database, now)
        self.calls = Calls(self.database)
        self.outcomes = Outcomes(self.database)
        self.access = Access(self.database, now)
        self.audit = Audit(self.database)
        self.events = RunEvents(self.database, now)
        self.workers = Workers(self.database, now)
        self.schedules = Schedules(self.database, now)
        self.sequences = SequenceRuns(self.database, now)
        self.insights = Insights(self.database)
        self.acknowledgements = Acknowledgements(self.database)

    def __repr__(self) -> str:
        return f"Workspace({self.where!r})"

    @property
    def where(self) -> str:
        """What people are told: the folder, or the address without its password."""
        return self.database.backend.where if self.is_shared else str(self.path)

    @property
    def is_shared(self) -> bool:
        """Whether it is a database that several machines may have open."""
        return self.database.backend.is_shared

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        create: bool = False,
        scratch: Path | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Opens a folder or an address of Postgres, makes it where `create` says so, and migrates an older store.

        `scratch` is where the files lie that stay on this machine, for an address; by default in the user's cache.
        Raises UserError `workspace_missing`, `workspace_unreadable`, `workspace_newer`; WorldError `workspace_corrupt`,
        `store_read_failed`.
        """
        if is_address(where):
            return cls._open_address(str(where), create, scratch, now)
        return cls._open_folder(Path(where).absolute(), create, now)

    @classmethod
    def _open_folder(cls, path: Path, create: bool, now: Callable[[], datetime]) -> Self:
        store = path / "store.sqlite"
        backend = sqlite.Sqlite(store)
        try:
            if create:
                _make_folders(path)
                os.close(os.open(store, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its WAL the rights of the file
            elif not store.is_file() or not store.stat().st_size:
                raise _missing(str(path))
            revision = _inspect(backend)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        except sqlite.driver.DatabaseError as error:
            if sqlite.is_corruption(error):
                raise backend.corrupt(str(error)) from error
            if "locked" in str(error):
                raise backend.read_failed(error) from error
            raise _unreadable(path, str(error)) from error
        return cls._migrated(Database(backend), revision, lambda _: path, now)

    @classmethod
    def _open_address(cls, address: str, create: bool, scratch: Path | None, now: Callable[[], datetime]) -> Self:
        from headrace.store import postgres

        backend = postgres.Postgres(address)
        revision = backend.inspect(migrate.read_revision)
        if revision is None and not create:
            raise _missing(backend.where)

        def folder(database: Database) -> Path:
            path = scratch or _cache_folder() / "headrace" / str(Catalog(database, now).setting("workspace.id"))
            try:
                _make_folders(path)
            except OSError as error:
                raise _unreadable(path, error.strerror or str(error)) from error
            return path.absolute()

        return cls._migrated(Database(backend), revision, folder, now)

    @classmethod
    def _migrated(
        cls, database: Database, revision: str | None, folder: Callable[[Database], Path], now: Callable[[], datetime]
    ) -> Self:
        try:
            if revision != migrate.HEAD:
                migrate.upgrade(database)
            return cls(database, folder(database), now)
        except BaseException:
            database.close()
            raise

    @property
    def store_path(self) -> Path:
        """The store's file, of a workspace that is a folder."""
        return self.path / "store.sqlite"

    @property
    def key_path(self) -> Path:
        return self.path / "key"

    @property
    def limits_path(self) -> Path:
        return self.path / "limits"

    @property
    def tmp_path(self) -> Path:
        return self.path / "tmp"

    def ledger_path(self, sync_id: str) -> Path:
        return self.path / "ledgers" / f"{file_stem(sync_id)}.duckdb"

    def planned_path(self, sync_id: str) -> Path:
        return self.path / "planned" / f"{file_stem(sync_id)}.duckdb"

    def has_plan(self, sync_id: str) -> bool:
        """Whether a plan of that sync may still have to be folded: what its runs recorded is needed for that."""
        if not self.is_shared:
            return self.planned_path(sync_id).exists()
        f = ledger_files.c
        with self.database.read() as connection:
            waiting = select(f.run_id).where(f.sync_id == sync_id, f.kind == "planned")
            return connection.execute(waiting).first() is not None

    def lock_path(self, sync_id: str) -> Path:
        return self.path / "locks" / f"{file_stem(sync_id)}.lock"

    def vault(self, given: GivenKeys | None = None) -> Vault:
        """The secrets. Without a given key the key file serves, where the workspace is a folder."""
        ring = KeyRing(None if self.is_shared else self.key_path, given or GivenKeys())
        return Vault(self.database, ring, self.now)

    def budgets(self) -> Budgets | None:
        """Where rate limits are kept that several machines share; None where the files of this machine do."""
        if not self.is_shared:
            return None
        return lambda credential, allowance: SharedBudget(self.database, credential, allowance)

    def identities(self, scope: str) -> Identities:
        return Identities(self.database, scope)

    def run_log(self, run_id: int, scope: str) -> RunLogWriter:
        """The log of one run; what it learns is kept under `scope`. Close it when the run has ended."""
        return RunLogWriter(self.database, run_id, scope, self.now)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_address(where: str | Path) -> bool:
    """Whether a workspace of that name is a database of Postgres rather than a folder."""
    return str(where).lower().startswith(ADDRESSES)


def _make_folders(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FOLDERS:
        (path / name).mkdir(mode=0o700, exist_ok=True)


def _cache_folder() -> Path:
    """Where the system keeps what can be made anew, for this user."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _inspect(backend: sqlite.Sqlite) -> str | None:
    """The revision of the store, after the checks that are cheap and with the journal that is safe."""
    connection = sqlite.connect(backend.path)
    try:
        revision = migrate.read_revision(connection, backend)
        if backend.path.stat().st_size <= CHEAP_CHECK_BYTES and not sqlite.is_sound(connection):
            raise backend.corrupt("its pages do not hang together")
        sqlite.choose_journal(connection)
        return revision
    finally:
        connection.close()


def _missing(where: str) -> UserError:
    return UserError(
        f"There is no workspace at {where}. `headrace apply` creates it; `--workspace` names another place.",
        code="workspace_missing",
        where=where,
    )


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(
        f"The workspace {path} cannot be opened: {why}. It must be a folder that this user may read and write.",
        code="workspace_unreadable",
        path=path,
    )

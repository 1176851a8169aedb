"""A workspace: the folder that holds the store, the key, the ledgers and the locks. The way into the store.

Created by the first command that writes. Opening says plainly what is wrong with a folder; it never shows a traceback.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from headrace.domain.errors import UserError
from headrace.store import migrate, sqlite
from headrace.store.access import Access
from headrace.store.audit import Audit
from headrace.store.calls import Calls
from headrace.store.catalog import Catalog
from headrace.store.database import Database
from headrace.store.events import RunEvents
from headrace.store.memory import Acknowledgements, Identities
from headrace.store.outcomes import Outcomes
from headrace.store.runlog import RunLogWriter
from headrace.store.runs import Runs
from headrace.store.vault import Vault
from headrace.store.workers import Workers

CHEAP_CHECK_BYTES = 1_000_000  # quick_check reads the whole file; up to here that takes a few milliseconds
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_ ")
STEM_LENGTH = 200  # a file name has 255 bytes, and DuckDB and ourselves append endings
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

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self.path = path
        self._now = now
        self.database = Database(self.store_path)
        self.catalog = Catalog(self.database, now)
        self.runs = Runs(self.database, now)
        self.calls = Calls(self.database)
        self.outcomes = Outcomes(self.database)
        self.access = Access(self.database, now)
        self.audit = Audit(self.database, now)
        self.events = RunEvents(self.database, now)
        self.workers = Workers(self.database, now)
        self.acknowledgements = Acknowledgements(self.database)

    def __repr__(self) -> str:
        return f"Workspace({str(self.path)!r})"

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, now: Callable[[], datetime] = utc_now) -> Self:
        """Opens the folder, makes it where `create` says so, and migrates a store of an older version.

        Raises UserError `workspace_missing`, `workspace_unreadable`, `workspace_newer`; WorldError `workspace_corrupt`.
        """
        path = Path(path).absolute()
        store = path / "store.sqlite"
        try:
            if create:
                _make_folders(path, store)
            elif not store.is_file() or not store.stat().st_size:
                raise _missing(path)
            revision = _inspect(store)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        except sqlite.driver.DatabaseError as error:
            if sqlite.is_corruption(error):
                raise sqlite.corrupt(store, str(error)) from error
            if "locked" in str(error):
                raise sqlite.read_failed(error, store) from error
            raise _unreadable(path, str(error)) from error
        workspace = cls(path, now)
        try:
            if revision != migrate.HEAD:
                migrate.upgrade(workspace.database)
        except BaseException:
            workspace.close()
            raise
        return workspace

    @property
    def store_path(self) -> Path:
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

    def lock_path(self, sync_id: str) -> Path:
        return self.path / "locks" / f"{file_stem(sync_id)}.lock"

    def vault(self, keys: str | None = None) -> Vault:
        """The secrets. `keys` is what HEADRACE_KEY holds; without it the key file of the workspace serves."""
        return Vault(self.database, self.key_path, keys, self._now)

    def identities(self, scope: str) -> Identities:
        return Identities(self.database, scope)

    def run_log(self, run_id: int, scope: str) -> RunLogWriter:
        """The log of one run; what it learns is kept under `scope`. Close it when the run has ended."""
        return RunLogWriter(self.database, run_id, scope, self._now)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_folders(path: Path, store: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FOLDERS:
        (path / name).mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(store, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its WAL the rights of the file


def _inspect(store: Path) -> str | None:
    """The revision of the store, after the checks that are cheap and with the journal that is safe."""
    connection = sqlite.connect(store)
    try:
        revision = migrate.read_revision(connection, store)
        if store.stat().st_size <= CHEAP_CHECK_BYTES and not sqlite.is_sound(connection):
            raise sqlite.corrupt(store, "its pages do not hang together")
        sqlite.choose_journal(connection)
        return revision
    finally:
        connection.close()


def _missing(path: Path) -> UserError:
    return UserError(
        f"There is no workspace at {path}. `headrace apply` creates it; `--workspace` names another place.",
        code="workspace_missing",
        path=path,
    )


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(
        f"The workspace {path} cannot be opened: {why}. It must be a folder that this user may read and write.",
        code="workspace_unreadable",
        path=path,
    )

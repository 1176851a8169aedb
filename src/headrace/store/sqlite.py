"""All that is SQLite's own: driver, settings of a connection, how a transaction begins, what its errors mean.

The store on Postgres brings a module like this one; nothing above the two names a dialect.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, Table, Text, cast, create_engine, event, func, type_coerce
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Insert

from headrace.domain.errors import Bug, WorldError
from headrace.engine.throttle import Allowance
from headrace.store.group import GroupWriter
from headrace.store.ring import RingTable
from headrace.store.sqlite_log import SqliteLog
from headrace.store.tables import identities


def load_driver() -> Any:
    """The wheel carries a current SQLite; the interpreter's own is often years old."""
    try:
        return importlib.import_module("pysqlite3")
    except ImportError:
        return importlib.import_module("sqlite3")


driver: Any = load_driver()

BUSY_TIMEOUT_S = 10.0
BEGIN_READ = "BEGIN"
BEGIN_WRITE = "BEGIN IMMEDIATE"  # takes the lock at once: a read that becomes a write can fail without waiting

WRITE_MEND = {
    "full": "The disk is full: free some space, then run again. What was acknowledged is kept.",
    "locked": "Another process holds it for long: look for a stuck headrace, a backup or a copy of the folder.",
    "readonly": "It is read-only: give this user the right to write the folder and its files.",
}


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite is free of the race that can corrupt a WAL database with several writers.

    Mended in 3.51.3, and in 3.44.6 and 3.50.7 of their lines.      https://sqlite.org/wal.html, "The WAL-reset bug"
    """
    line = version[:2]
    if line in ((3, 44), (3, 50)):
        return version >= ((3, 44, 6) if line == (3, 44) else (3, 50, 7))
    return version >= (3, 51, 3)


def connect(path: Path) -> Any:
    """One connection of the driver, usable from any thread, in autocommit until someone says BEGIN."""
    connection = driver.connect(str(path), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def choose_journal(connection: Any) -> None:
    """WAL where it is safe, else a rollback journal. The choice stays in the file.

    The change needs the file alone and does not wait for it by itself, so that processes which start together
    would refuse each other: it is tried until one of them has done it.
    """
    wanted = "wal" if wal_is_safe(driver.sqlite_version_info) else "delete"
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
        try:
            connection.execute(f"PRAGMA journal_mode = {wanted}")
        except driver.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def is_sound(connection: Any) -> bool:
    return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")


def is_of_world(error: BaseException | None) -> bool:
    """Whether disk, lock or file are to blame; the driver's other errors are bugs of ours."""
    return isinstance(error, driver.OperationalError) or type(error) is driver.DatabaseError


def is_corruption(error: BaseException) -> bool:
    text = str(error)
    return "malformed" in text or "is not a database" in text


def corrupt(path: Path, why: str) -> WorldError:
    return WorldError(
        f"The store {path} is damaged: {why}. Keep the file as it is and restore a backup with `headrace restore`.",
        code="workspace_corrupt",
        path=path,
    )


class Sqlite:
    """Implements `database.Backend` over one file."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def create_engines(self) -> tuple[Engine, Engine]:
        """A few connections stay open: the last to close would write the WAL back each time."""
        engine = create_engine(
            "sqlite://",
            module=driver,
            creator=lambda: connect(self.path),
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=32,
        )

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql(BEGIN_WRITE if writes else BEGIN_READ)

        return engine, engine.execution_options(writes=True)

    def open_log(self) -> GroupWriter:
        return SqliteLog(connect(self.path), self.upsert(identities, ["scope", "kind", "external_id"]))

    def open_ring(self, name: str, allowance: Allowance) -> RingTable:
        raise Bug("A workspace that is a folder keeps its rate limits in files.")

    def table_names(self, connection: Any) -> set[str]:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def make_room(self, connection: Connection) -> None:
        """The file is all the room there is."""

    def upsert(self, table: Table, keys: Sequence[str]) -> Insert:
        statement = insert(table)
        others = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=others)

    def bytes_contain(self, column: ColumnElement[Any], words: str) -> ColumnElement[bool]:
        """A BLOB read as UTF-8, and searched in any case of ASCII letters."""
        return cast(column, Text).icontains(words, autoescape=True)

    def number_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[int]:
        return cast(func.json_extract(type_coerce(column, Text), f"$.{name}"), BigInteger)

    def instant(self, connection: Connection) -> datetime | None:
        """The database has no other clock than the process that asks."""
        return None

    def is_of_world(self, error: BaseException | None) -> bool:
        return is_of_world(error)

    def write_failed(self, error: BaseException) -> WorldError:
        if is_corruption(error):
            return self.corrupt(str(error))
        text = str(error)
        mends = (mend for word, mend in WRITE_MEND.items() if word in text)
        mend = next(mends, "Look at the disk that holds it, then run again. What was acknowledged is kept.")
        message = f"The store {self.where} could not be written: {text}. {mend}"
        return WorldError(message, code="store_write_failed", path=self.path)

    def read_failed(self, error: BaseException) -> WorldError:
        if is_corruption(error):
            return self.corrupt(str(error))
        message = (
            f"The store {self.where} could not be read: {error}. Look at its disk, and for a process that blocks it."
        )
        return WorldError(message, code="store_read_failed", path=self.path)

    def corrupt(self, why: str) -> WorldError:
        return corrupt(self.path, why)

"""One open database: reads and writes as transactions, the driver's errors as ours.

What a kind of database has of its own is behind `Backend`; nothing above it names a dialect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Insert

from headrace.domain.errors import WorldError
from headrace.engine.throttle import Allowance
from headrace.store.changes import kept_with
from headrace.store.group import GroupWriter
from headrace.store.ring import RingTable


class Backend(Protocol):
    """What a kind of database has of its own. `where` names it without its password."""

    where: str
    is_shared: bool
    """Whether processes of several machines may have it open."""

    def create_engines(self) -> tuple[Engine, Engine]:
        """One whose transactions only read and see one state; one whose transactions write, each alone."""
        ...

    def open_log(self) -> GroupWriter:
        """Over a connection of its own outside the pool; whoever asks closes it. Raises the driver's errors."""
        ...

    def open_ring(self, name: str, allowance: Allowance) -> RingTable:
        """Over a connection of its own; whoever asks closes it. Raises the driver's errors."""
        ...

    def table_names(self, connection: Any) -> set[str]:
        """Of what the driver's `connection` sees: tables that are ours, or in the place of ours."""
        ...

    def make_room(self, connection: Connection) -> None:
        """Makes what tables stand in, before the first migration."""
        ...

    def upsert(self, table: Table, keys: Sequence[str]) -> Insert: ...

    def bytes_contain(self, column: ColumnElement[Any], words: str) -> ColumnElement[bool]: ...

    def number_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[int]:
        """The whole number that a document holds under that name; NULL where it holds none."""
        ...

    def instant(self, connection: Connection) -> datetime | None: ...

    def is_of_world(self, error: BaseException | None) -> bool:
        """Whether disk, lock, net or rights are to blame; the driver's other errors are bugs of ours."""
        ...

    def read_failed(self, error: BaseException) -> WorldError: ...

    def write_failed(self, error: BaseException) -> WorldError: ...

    def corrupt(self, why: str) -> WorldError: ...


class Database:
    """Usable from any thread; each transaction has a connection of its own."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._reader, self._writer = backend.create_engines()
        self.dialect = self._reader.dialect

    def __repr__(self) -> str:
        return f"Database({self.backend.where!r})"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view. Raises WorldError `store_read_failed` or `workspace_corrupt`."""
        try:
            with self._reader.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            if error.orig is None or not self.backend.is_of_world(error.orig):
                raise
            raise self.backend.read_failed(error.orig) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing, durable when the context ends. Writers wait for each other.

        Raises WorldError `store_write_failed` or `workspace_corrupt`; a broken constraint stays IntegrityError.
        """
        try:
            with self._writer.connect() as connection, connection.begin(), kept_with(connection):
                yield connection
        except DBAPIError as error:
            if error.orig is None or not self.backend.is_of_world(error.orig):
                raise
            raise self.backend.write_failed(error.orig) from error

    def upsert(self, table: Table, keys: Sequence[str]) -> Insert:
        """INSERT that replaces the other columns of a row whose `keys` are there already."""
        return self.backend.upsert(table, keys)

    def instant(self, connection: Connection) -> datetime | None:
        """The present moment by the database's own clock; None where that is the clock of this machine."""
        return self.backend.instant(connection)

    def open_log(self) -> GroupWriter:
        """What writes the log of one run; whoever asks closes it. Raises WorldError `store_read_failed`."""
        try:
            return self.backend.open_log()
        except Exception as error:
            if self.backend.is_of_world(error):
                raise self.backend.read_failed(error) from error
            raise

    def close(self) -> None:
        self._reader.dispose()  # the writer's connections are the same

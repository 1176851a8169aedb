"""One open database: reads and writes as transactions, the driver's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from headrace.store import sqlite


class Database:
    """Usable from any thread; each transaction has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = sqlite.create(path)
        self._writer = self._engine.execution_options(writes=True)
        self.dialect = self._engine.dialect

    def __repr__(self) -> str:
        return f"Database({str(self.path)!r})"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view. Raises WorldError `store_read_failed` or `workspace_corrupt`."""
        try:
            with self._engine.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            if error.orig is None or not sqlite.is_of_world(error.orig):
                raise
            raise sqlite.read_failed(error.orig, self.path) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing, durable when the context ends. Writers wait for each other.

        Raises WorldError `store_write_failed` or `workspace_corrupt`; a broken constraint stays IntegrityError.
        """
        try:
            with self._writer.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            if error.orig is None or not sqlite.is_of_world(error.orig):
                raise
            raise sqlite.write_failed(error.orig, self.path) from error

    def dedicated(self) -> Any:
        """A connection of the driver outside the pool, in autocommit; whoever asks closes it."""
        try:
            return sqlite.connect(self.path)
        except sqlite.driver.Error as error:
            raise sqlite.read_failed(error, self.path) from error

    def close(self) -> None:
        self._engine.dispose()

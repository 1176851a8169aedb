"""All that is Postgres's own: addresses, settings of a connection, how a transaction begins, what its errors mean.

The tables stand in a schema of their own, so that other people's tables in the database are no hindrance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg import conninfo, errors, sql
from psycopg.types.string import StrBinaryDumper, StrDumper
from sqlalchemy import BigInteger, Connection, Engine, Table, Text, cast, create_engine, event, func, type_coerce
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import Insert

from headrace.domain.errors import UserError, WorldError
from headrace.engine.throttle import Allowance
from headrace.store.database import Backend
from headrace.store.group import GroupWriter
from headrace.store.postgres_log import PostgresLog
from headrace.store.postgres_ring import PostgresRing
from headrace.store.ring import RingTable

DEFAULT_SCHEMA = "headrace"
CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 20
STUCK_WRITER_S = 10
"""A writer that stands still in mid-transaction loses it after so long: the others wait for it, and not for ever.

Shorter than the time the others wait, so that a suspended process or a machine that is gone costs nobody a write.
"""
STUCK_READER_S = 600
POOL_SIZE = 5

WRITE_MEND = {
    errors.DiskFull: "The disk of the server is full: free some space there, then run again.",
    errors.LockNotAvailable: "Another process holds it for long: look for a stuck headrace, or a backup that locks.",
    errors.ReadOnlySqlTransaction: "It is read-only: name the primary of the servers in the address.",
    errors.InsufficientPrivilege: "The role lacks a right: see docs/how-to/postgres-workspace.md.",
}
_OF_WORLD = (psycopg.OperationalError, errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege)
_BEGIN_WRITE = """
SELECT set_config('idle_in_transaction_session_timeout', %s, true),
       pg_advisory_xact_lock(hashtextextended('headrace writes ' || %s, 0))
"""
_SEARCH_PATH = re.compile(r"search_path\s*=\s*\"?([^\s,\"]+)")


class Postgres:
    """Implements `database.Backend` over one schema of one database."""

    is_shared = True

    def __init__(self, address: str) -> None:
        """Raises UserError `workspace_unreadable` for what is no address."""
        try:
            self._parameters: dict[str, Any] = conninfo.conninfo_to_dict(address)
        except psycopg.ProgrammingError:
            # libpq repeats the part that it could not read, and that may be half of a password.
            raise UserError(
                "The address of the workspace is not one that Postgres reads. Write it as "
                "postgresql://user:password@host:5432/database, with %40 for an @ within the password.",
                code="workspace_unreadable",
            ) from None
        self.where = _shown(self._parameters)
        found = _SEARCH_PATH.search(str(self._parameters.get("options", "")))
        self.schema = found.group(1) if found else DEFAULT_SCHEMA

    def __repr__(self) -> str:
        return f"Postgres({self.where!r})"

    @property
    def conninfo(self) -> str:
        """For others who connect to the same schema, password included: never to be shown."""
        options = f"{self._parameters.get('options', '')} -c search_path={self.schema}".strip()
        return conninfo.make_conninfo(**{**self._parameters, "options": options})

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """A connection that sees our schema only, and that no role's settings make less durable."""
        defaults = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "headrace", "keepalives_idle": 30}
        connection = psycopg.connect(**{**defaults, **self._parameters}, autocommit=True)
        try:
            for dumper in (_Words, _BinaryWords):
                connection.adapters.register_dumper(str, dumper)
            connection.execute(
                sql.SQL(
                    "SELECT set_config('search_path', quote_ident({schema}), false),"
                    " set_config('synchronous_commit', 'on', false),"
                    " set_config('TimeZone', 'UTC', false),"
                    " set_config('lock_timeout', {lock}, false),"
                    " set_config('idle_in_transaction_session_timeout', {idle}, false)"
                ).format(schema=self.schema, lock=f"{LOCK_TIMEOUT_S}s", idle=f"{STUCK_READER_S}s")
            )
            connection.autocommit = autocommit
        except BaseException:
            connection.close()
            raise
        return connection

    def inspect(self, read_revision: Callable[[Any, Backend], str | None]) -> str | None:
        """The revision of the store. Raises WorldError `store_read_failed` where there is no way to it."""
        try:
            with self.connect() as connection:
                return read_revision(connection, self)
        except psycopg.Error as error:
            if not self.is_of_world(error):
                raise
            raise self.read_failed(error) from error

    def create_engines(self) -> tuple[Engine, Engine]:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self.connect,
            poolclass=QueuePool,
            pool_size=POOL_SIZE,
            max_overflow=32,
            pool_pre_ping=True,  # after a restart of the server the next request works
            use_native_hstore=False,  # asked for at the first connection otherwise
        )

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            if connection.get_execution_options().get("writes", False):
                connection.exec_driver_sql(_BEGIN_WRITE, (f"{STUCK_WRITER_S}s", self.schema))

        reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return reader, engine.execution_options(writes=True)

    def open_log(self) -> GroupWriter:
        return PostgresLog(self.connect(autocommit=True))

    def open_ring(self, name: str, allowance: Allowance) -> RingTable:
        return PostgresRing(self.connect(autocommit=True), name, allowance)

    def table_names(self, connection: Any) -> set[str]:
        """Only whether our own list of revisions is there: the other tables are not asked for."""
        query = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = %s"
        return {name for (name,) in connection.execute(query, (self.schema, "headrace_version"))}

    def make_room(self, connection: Connection) -> None:
        """The schema. Asked for first: a role that may not create one may still use one made for it."""
        there = connection.exec_driver_sql("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (self.schema,))
        if there.first() is None:
            connection.exec_driver_sql(f'CREATE SCHEMA "{self.schema}"')
            connection.exec_driver_sql(f'SET search_path TO "{self.schema}"')

    def upsert(self, table: Table, keys: Sequence[str]) -> Insert:
        statement = insert(table)
        others = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=others)

    def bytes_contain(self, column: ColumnElement[Any], words: str) -> ColumnElement[bool]:
        """Both sides as text in which each byte above ASCII is an octal number: a body need not be UTF-8."""
        body = func.lower(func.encode(column, "escape"))
        return func.strpos(body, func.lower(func.encode(func.convert_to(words, "UTF8"), "escape"))) > 0

    def number_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[int]:
        document = cast(type_coerce(column, Text), JSON)
        return cast(func.json_extract_path_text(document, name), BigInteger)

    def instant(self, connection: Connection) -> datetime | None:
        """By the server's clock, which all machines share, at this very moment."""
        now: datetime | None = connection.scalar(func.clock_timestamp())
        return now

    def is_of_world(self, error: BaseException | None) -> bool:
        return isinstance(error, _OF_WORLD)

    def write_failed(self, error: BaseException) -> WorldError:
        mends = (mend for kind, mend in WRITE_MEND.items() if isinstance(error, kind))
        mend = next(mends, "Look at the server and the way to it, then run again.")
        message = f"The store {self.where} could not be written: {_said(error)}. {mend} What was acknowledged is kept."
        return WorldError(message, code="store_write_failed")

    def read_failed(self, error: BaseException) -> WorldError:
        message = f"The store {self.where} could not be read: {_said(error)}. "
        message += "See whether the server runs and can be reached from here, and whether user and password are right."
        return WorldError(message, code="store_read_failed")

    def corrupt(self, why: str) -> WorldError:
        message = f"The store {self.where} is damaged: {why}. Restore a backup into another database."
        return WorldError(message, code="workspace_corrupt")


class _Words(StrDumper):
    """Text for Postgres, which knows no NUL within text: the sign for it stands there instead."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\u2400"))


class _BinaryWords(StrBinaryDumper):
    """The same in the binary format."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\u2400"))


def _shown(parameters: dict[str, Any]) -> str:
    """The address without password, options and files."""
    user = f"{parameters['user']}@" if "user" in parameters else ""
    host = parameters.get("host") or parameters.get("hostaddr") or ""
    port = f":{parameters['port']}" if "port" in parameters else ""
    return f"postgresql://{user}{host}{port}/{parameters.get('dbname', '')}"


def _said(error: BaseException) -> str:
    """What the driver says, on one line."""
    return " ".join(str(error).split()).rstrip(".?")

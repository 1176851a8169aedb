"""The tables of the store, as queries name them. Migrations build them; a test holds the two together.

Instants are ISO text in UTC, documents are JSON text: readable with any tool, the same in every database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
    text,
)


def iso(instant: datetime) -> str:
    """The text of an aware instant: UTC and of one width, so that text order is time order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as ISO text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else iso(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Json(TypeDecorator[Any]):
    """A document as JSON text; None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


Number = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits. SQLite's INTEGER has them too, and only under that name it counts up by itself."""

metadata = MetaData()

objects = Table(
    "objects",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("document", Json, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("kind", "name", name="objects_name"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Json, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sync", Text, nullable=False),
    Column("sync_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("options", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("counts", Json, nullable=False),
    Column("progress", Json),  # where a running run stands, for whoever watches from another process
    Column("error_code", Text),
    Column("error_message", Text),
    Column("hold", Json),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("owner", Text),
    Column("lease_until", Instant),  # of a run whose owner may be on another machine; NULL where a file lock says it
    Column("requested_by", Text),
    Column("sequence_run", Number),
    Column("follows", Number),  # the interrupted run whose work this one takes over
    Column("seconds", Float),
    # Where the run's outcomes lie in the log: between these two, perhaps among those of runs at the same time.
    Column("first_outcome", Number),
    Column("last_outcome", Number),
    sqlite_autoincrement=True,  # the id of a run that was deleted is never given again
)

for status in ("running", "queued"):
    # The promise "one live run per sync, and one more in the queue", held where no process can race past it.
    where = text(f"kind = 'sync' AND status = '{status}'")
    Index(f"runs_one_{status}", runs.c.sync_id, unique=True, sqlite_where=where, postgresql_where=where)
Index("runs_by_sync", runs.c.sync, runs.c.id)
Index("runs_by_sync_id", runs.c.sync_id, runs.c.id)
Index("runs_by_status", runs.c.status, runs.c.id)
Index("runs_by_end", runs.c.ended_at)

outcomes = Table(
    "outcomes",
    metadata,
    Column("sequence", Number, primary_key=True),
    Column("run_id", Number, nullable=False),
    Column("key", Text, nullable=False),
    Column("position", Number),
    Column("change", Text),
    Column("operation", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("field", Text),
    Column("message", Text),
    Column("theirs", Text),
    Column("call", Number),
    sqlite_autoincrement=True,  # ledgers remember how far they folded: a sequence never comes back
)

# Nearly all rows are delivered, and nobody looks for those among the rest: they stay out of the index.
FAULTY = outcomes.c.outcome != literal_column("'delivered'")
Index(
    "outcomes_by_fault",
    *(outcomes.c.run_id, outcomes.c.outcome, outcomes.c.sequence),
    sqlite_where=FAULTY,
    postgresql_where=FAULTY,
)
Index("outcomes_by_key", outcomes.c.key, outcomes.c.sequence)

calls = Table(
    "calls",
    metadata,
    Column("run_id", Number, primary_key=True),
    Column("number", Number, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("api", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("request_headers", Json, nullable=False),
    Column("request_body", LargeBinary),
    Column("status", Number),
    Column("response_headers", Json),
    Column("response_body", LargeBinary),
    Column("duration_ms", Float, nullable=False),
    Column("waited_ms", Float, nullable=False),
    Column("attempt", Number, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("keys", Json, nullable=False),
)

Index("calls_by_status", calls.c.status, calls.c.run_id, calls.c.number)

# The same for calls: those that did not deliver are few, and looked for.
UNDELIVERED = calls.c.verdict != literal_column("'delivered'")
Index(
    "calls_by_verdict",
    *(calls.c.verdict, calls.c.run_id, calls.c.number),
    sqlite_where=UNDELIVERED,
    postgresql_where=UNDELIVERED,
)

# The calls of a row that decided nothing: look-ups, tries that failed, calls without an answer. The call that decided
# stands in the row's outcome, whose index of keys serves both.
call_rows = Table(
    "call_rows",
    metadata,
    Column("key", Text, primary_key=True),
    Column("run_id", Number, primary_key=True),
    Column("number", Number, primary_key=True),
    sqlite_with_rowid=False,
)

identities = Table(
    "identities",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("record_id", Text, nullable=False),
    Column("learned_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

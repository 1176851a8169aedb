"""The tables of the service: schedules, sequences, what runs told, workers, alerts, files of other machines."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Table, Text, text

from headrace.store.tables import Instant, Json, Number, metadata

schedules = Table(
    "schedules",
    metadata,
    Column("kind", Text, primary_key=True),  # sync | sequence
    Column("name", Text, primary_key=True),
    Column("rule", Json),  # the schedule that `due_at` was reckoned from
    Column("due_at", Instant),
    Column("claimed_at", Instant),  # by a server that fires it just now; left where that server died over it
    Column("fired_at", Instant),
    Column("skipped_at", Instant),
    Column("skipped_why", Text),
    Column("paused_at", Instant),
    Column("paused_by", Text),
)

sequence_runs = Table(
    "sequence_runs",
    metadata,
    Column("id", Number, primary_key=True),
    Column("sequence", Text, nullable=False),
    Column("status", Text, nullable=False),  # of a run
    Column("syncs", Json, nullable=False),
    Column("position", Number, nullable=False, server_default=text("0")),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text),
    Column("message", Text),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    sqlite_autoincrement=True,
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Number, primary_key=True),
    Column("number", Number, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("document", Json, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),  # hash of what was asked
    Column("run_id", Number, nullable=False),
    Column("at", Instant, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("process", Number, nullable=False),
    Column("version", Text, nullable=False),
    Column("concurrency", Number, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=text("false")),
)

ledger_files = Table(
    "ledger_files",
    metadata,
    Column("sync_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # ledger | planned | held
    Column("run_id", Number, nullable=False),  # the fencing number of who put it there
    Column("object", Text, nullable=False),
    Column("bytes", Number, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("name", Text, primary_key=True),  # credential, requests and seconds
    Column("paused_until", Float, nullable=False, server_default=text("0")),
    Column("spacing", Float, nullable=False, server_default=text("0")),
    Column("next_send", Float, nullable=False, server_default=text("0")),
    Column("version", Number, nullable=False, server_default=text("0")),  # of the limit and its slots together
)

rate_slots = Table(
    "rate_slots",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slot", Number, primary_key=True),
    Column("free_at", Float, nullable=False, server_default=text("0")),
)
Index("rate_slots_free", rate_slots.c.name, rate_slots.c.free_at)

alert_states = Table(
    "alert_states",
    metadata,
    Column("sync", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("firing", Boolean, nullable=False),
    Column("since", Instant, nullable=False),
    Column("run_id", Number),
    Column("told", Boolean, nullable=False),  # false: it was muted all the while
    Column("message", Text, nullable=False),
)

alert_mutes = Table(
    "alert_mutes",
    metadata,
    Column("scope", Text, primary_key=True),  # `sync NAME`, `destination NAME`, `all`
    Column("until", Instant),  # NULL: until somebody takes it away
    Column("by", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Number, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("due_at", Instant),  # NULL: done, or given up
    Column("attempts", Number, nullable=False, server_default=text("0")),
    Column("document", Json, nullable=False),
    Column("error", Text),
    sqlite_autoincrement=True,
)
Index("deliveries_due", deliveries.c.due_at)

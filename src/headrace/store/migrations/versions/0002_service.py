"""The tables of the service: access, schedules, events of runs, workers, alerts, files on other machines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headrace.store.migrations.types import Number, Words

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_access()
    create_service()


def create_access() -> None:
    op.create_table(
        "users",
        sa.Column("id", Number, primary_key=True),
        sa.Column("email", Words, nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.Column("role", Words, nullable=False),
        sa.Column("password", Words),
        sa.Column("subject", Words),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", Words, nullable=False),
        sa.Column("signed_in_at", Words),
        sa.UniqueConstraint("email", name="users_email"),
        sa.UniqueConstraint("subject", name="users_subject"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", Number, nullable=False),
        sa.Column("created_at", Words, nullable=False),
        sa.Column("seen_at", Words, nullable=False),
        sa.Column("address", Words),
    )
    op.create_index("sessions_by_user", "sessions", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("email", Words),
        sa.Column("role", Words, nullable=False),
        sa.Column("user_id", Number),
        sa.Column("created_at", Words, nullable=False),
        sa.Column("expires_at", Words, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Number, primary_key=True),
        sa.Column("name", Words, nullable=False),
        sa.Column("prefix", Words, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", Words, nullable=False),
        sa.Column("user_id", Number),
        sa.Column("created_at", Words, nullable=False),
        sa.Column("expires_at", Words),
        sa.Column("used_at", Words),
        sa.Column("revoked_at", Words),
        sa.UniqueConstraint("hash", name="api_keys_hash"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", Words, nullable=False),
        sa.Column("actor", Words, nullable=False),
        sa.Column("address", Words),
        sa.Column("verb", Words, nullable=False),
        sa.Column("subject", Words, nullable=False),
        sa.Column("before", Words),
        sa.Column("after", Words),
        sa.Column("chain", Words, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_subject", "audit", ["subject", "id"])
    head = op.create_table(
        "audit_head",
        sa.Column("entries", Number, nullable=False),
        sa.Column("chain", Words, nullable=False),
    )
    op.bulk_insert(head, [{"entries": 0, "chain": "0" * 64}])
    op.create_table(
        "failed_logins",
        sa.Column("id", Number, primary_key=True),
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("address", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("failed_logins_by_account", "failed_logins", ["account", "at"])
    op.create_index("failed_logins_by_address", "failed_logins", ["address", "at"])


def create_service() -> None:
    op.create_table(
        "schedules",
        sa.Column("kind", Words, primary_key=True),
        sa.Column("name", Words, primary_key=True),
        sa.Column("rule", Words),
        sa.Column("due_at", Words),
        sa.Column("claimed_at", Words),
        sa.Column("fired_at", Words),
        sa.Column("skipped_at", Words),
        sa.Column("skipped_why", Words),
        sa.Column("paused_at", Words),
        sa.Column("paused_by", Words),
    )
    op.create_table(
        "sequence_runs",
        sa.Column("id", Number, primary_key=True),
        sa.Column("sequence", Words, nullable=False),
        sa.Column("status", Words, nullable=False),
        sa.Column("syncs", Words, nullable=False),
        sa.Column("position", Number, nullable=False, server_default=sa.text("0")),
        sa.Column("reason", Words, nullable=False),
        sa.Column("requested_by", Words),
        sa.Column("message", Words),
        sa.Column("created_at", Words, nullable=False),
        sa.Column("ended_at", Words),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_events",
        sa.Column("run_id", Number, primary_key=True),
        sa.Column("number", Number, primary_key=True),
        sa.Column("at", Words, nullable=False),
        sa.Column("kind", Words, nullable=False),
        sa.Column("document", Words, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", Words, primary_key=True),
        sa.Column("key", Words, primary_key=True),
        sa.Column("request", Words, nullable=False),
        sa.Column("run_id", Number, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("id", Words, primary_key=True),
        sa.Column("host", Words, nullable=False),
        sa.Column("process", Number, nullable=False),
        sa.Column("version", Words, nullable=False),
        sa.Column("concurrency", Number, nullable=False),
        sa.Column("started_at", Words, nullable=False),
        sa.Column("seen_at", Words, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False, server_default=sa.text("false")),
    )
    op.create_table(
        "ledger_files",
        sa.Column("sync_id", Words, primary_key=True),
        sa.Column("kind", Words, primary_key=True),
        sa.Column("run_id", Number, nullable=False),
        sa.Column("object", Words, nullable=False),
        sa.Column("bytes", Number, nullable=False),
        sa.Column("sha256", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "rate_limits",
        sa.Column("name", Words, primary_key=True),
        sa.Column("paused_until", sa.Float, nullable=False, server_default=sa.text("0")),
        sa.Column("spacing", sa.Float, nullable=False, server_default=sa.text("0")),
        sa.Column("next_send", sa.Float, nullable=False, server_default=sa.text("0")),
        sa.Column("version", Number, nullable=False, server_default=sa.text("0")),
    )
    op.create_table(
        "rate_slots",
        sa.Column("name", Words, primary_key=True),
        sa.Column("slot", Number, primary_key=True),
        sa.Column("free_at", sa.Float, nullable=False, server_default=sa.text("0")),
    )
    op.create_index("rate_slots_free", "rate_slots", ["name", "free_at"])
    op.create_table(
        "alert_states",
        sa.Column("sync", Words, primary_key=True),
        sa.Column("kind", Words, primary_key=True),
        sa.Column("firing", sa.Boolean, nullable=False),
        sa.Column("since", Words, nullable=False),
        sa.Column("run_id", Number),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("message", Words, nullable=False),
    )
    op.create_table(
        "alert_mutes",
        sa.Column("scope", Words, primary_key=True),
        sa.Column("until", Words),
        sa.Column("by", Words, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", Number, primary_key=True),
        sa.Column("channel", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("due_at", Words),
        sa.Column("attempts", Number, nullable=False, server_default=sa.text("0")),
        sa.Column("document", Words, nullable=False),
        sa.Column("error", Words),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_due", "deliveries", ["due_at"])

"""The first tables."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

from headrace.store.migrations.types import Number, Words

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_catalog()
    create_runs()
    create_outcomes()
    create_calls()
    create_identities()


def create_catalog() -> None:
    op.create_table(
        "objects",
        sa.Column("id", Number, primary_key=True),
        sa.Column("kind", Words, nullable=False),
        sa.Column("name", Words, nullable=False),
        sa.Column("document", Words, nullable=False),
        sa.Column("updated_at", Words, nullable=False),
        sa.UniqueConstraint("kind", "name", name="objects_name"),
    )
    settings = op.create_table(
        "settings",
        sa.Column("key", Words, primary_key=True),
        sa.Column("value", Words, nullable=False),
    )
    # Bound into every secret, so that a ciphertext is worth nothing in another workspace. Never changes.
    op.bulk_insert(settings, [{"key": "workspace.id", "value": f'"{uuid4()}"'}])
    op.create_table(
        "secrets",
        sa.Column("name", Words, primary_key=True),
        sa.Column("key_id", Words, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", Words, nullable=False),
    )


def create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", Number, primary_key=True),
        sa.Column("kind", Words, nullable=False),
        sa.Column("sync", Words, nullable=False),
        sa.Column("sync_id", Words, nullable=False),
        sa.Column("status", Words, nullable=False),
        sa.Column("options", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("counts", Words, nullable=False),
        sa.Column("progress", Words),
        sa.Column("error_code", Words),
        sa.Column("error_message", Words),
        sa.Column("hold", Words),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", Words, nullable=False),
        sa.Column("started_at", Words),
        sa.Column("ended_at", Words),
        sa.Column("owner", Words),
        sa.Column("lease_until", Words),
        sa.Column("requested_by", Words),
        sa.Column("sequence_run", Number),
        sa.Column("follows", Number),
        sa.Column("seconds", sa.Float),
        sa.Column("first_outcome", Number),
        sa.Column("last_outcome", Number),
        sqlite_autoincrement=True,
    )
    for status in ("running", "queued"):
        where = sa.text(f"kind = 'sync' AND status = '{status}'")
        op.create_index(
            f"runs_one_{status}", "runs", ["sync_id"], unique=True, sqlite_where=where, postgresql_where=where
        )
    op.create_index("runs_by_sync", "runs", ["sync", "id"])
    op.create_index("runs_by_sync_id", "runs", ["sync_id", "id"])
    op.create_index("runs_by_status", "runs", ["status", "id"])
    op.create_index("runs_by_end", "runs", ["ended_at"])


def create_outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("sequence", Number, primary_key=True),
        sa.Column("run_id", Number, nullable=False),
        sa.Column("key", Words, nullable=False),
        sa.Column("position", Number),
        sa.Column("change", Words),
        sa.Column("operation", Words, nullable=False),
        sa.Column("outcome", Words, nullable=False),
        sa.Column("code", Words),
        sa.Column("field", Words),
        sa.Column("message", Words),
        sa.Column("theirs", Words),
        sa.Column("call", Number),
        sqlite_autoincrement=True,
    )
    faulty = sa.text("outcome != 'delivered'")
    op.create_index(
        "outcomes_by_fault",
        "outcomes",
        ["run_id", "outcome", "sequence"],
        sqlite_where=faulty,
        postgresql_where=faulty,
    )
    op.create_index("outcomes_by_key", "outcomes", ["key", "sequence"])


def create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("run_id", Number, primary_key=True),
        sa.Column("number", Number, primary_key=True),
        sa.Column("at", Words, nullable=False),
        sa.Column("api", Words, nullable=False),
        sa.Column("purpose", Words, nullable=False),
        sa.Column("method", Words, nullable=False),
        sa.Column("url", Words, nullable=False),
        sa.Column("request_headers", Words, nullable=False),
        sa.Column("request_body", sa.LargeBinary),
        sa.Column("status", Number),
        sa.Column("response_headers", Words),
        sa.Column("response_body", sa.LargeBinary),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("waited_ms", sa.Float, nullable=False),
        sa.Column("attempt", Number, nullable=False),
        sa.Column("verdict", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.Column("keys", Words, nullable=False),
    )
    op.create_index("calls_by_status", "calls", ["status", "run_id", "number"])
    undelivered = sa.text("verdict != 'delivered'")
    op.create_index(
        "calls_by_verdict",
        "calls",
        ["verdict", "run_id", "number"],
        sqlite_where=undelivered,
        postgresql_where=undelivered,
    )
    op.create_table(
        "call_rows",
        sa.Column("key", Words, primary_key=True),
        sa.Column("run_id", Number, primary_key=True),
        sa.Column("number", Number, primary_key=True),
        sqlite_with_rowid=False,
    )


def create_identities() -> None:
    op.create_table(
        "identities",
        sa.Column("scope", Words, primary_key=True),
        sa.Column("kind", Words, primary_key=True),
        sa.Column("external_id", Words, primary_key=True),
        sa.Column("record_id", Words, nullable=False),
        sa.Column("learned_at", Words, nullable=False),
        sqlite_with_rowid=False,
    )

"""The first tables."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

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
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "name", name="objects_name"),
    )
    settings = op.create_table(
        "settings",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    # Bound into every secret, so that a ciphertext is worth nothing in another workspace. Never changes.
    op.bulk_insert(settings, [{"key": "workspace.id", "value": f'"{uuid4()}"'}])
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )


def create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sync", sa.Text, nullable=False),
        sa.Column("sync_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("progress", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("hold", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text),
        sa.Column("ended_at", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", sa.Text),
        sa.Column("requested_by", sa.Text),
        sa.Column("sequence_run", sa.Integer),
        sa.Column("follows", sa.Integer),
        sa.Column("seconds", sa.Float),
        sa.Column("first_outcome", sa.Integer),
        sa.Column("last_outcome", sa.Integer),
        sqlite_autoincrement=True,
    )
    for status in ("running", "queued"):
        where = sa.text(f"kind = 'sync' AND status = '{status}'")
        op.create_index(
            f"runs_one_{status}", "runs", ["sync_id"], unique=True, sqlite_where=where, postgresql_where=where
        )
    op.create_index("runs_by_sync", "runs", ["sync", "id"])


def create_outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("position", sa.Integer),
        sa.Column("change", sa.Text),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("field", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("theirs", sa.Text),
        sa.Column("call", sa.Integer),
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
        sa.Column("run_id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("api", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("request_headers", sa.Text, nullable=False),
        sa.Column("request_body", sa.LargeBinary),
        sa.Column("status", sa.Integer),
        sa.Column("response_headers", sa.Text),
        sa.Column("response_body", sa.LargeBinary),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("waited_ms", sa.Float, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
    )
    op.create_index("calls_by_status", "calls", ["status", "run_id", "number"])
    op.create_table(
        "call_rows",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sqlite_with_rowid=False,
    )


def create_identities() -> None:
    op.create_table(
        "identities",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("external_id", sa.Text, primary_key=True),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("learned_at", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )

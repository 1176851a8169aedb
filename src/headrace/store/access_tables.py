"""The tables of access: who may come in, what they did, how often somebody guessed. Secrets stand as hashes only."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table, Text, UniqueConstraint, text

from headrace.store.tables import Instant, Json, Number, metadata

users = Table(
    "users",
    metadata,
    Column("id", Number, primary_key=True),
    Column("email", Text, nullable=False),  # case folded
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password", Text),  # argon2id; NULL for who signs in elsewhere only
    Column("subject", Text),  # issuer and subject of OpenID Connect
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
    Column("signed_in_at", Instant),
    UniqueConstraint("email", name="users_email"),
    UniqueConstraint("subject", name="users_subject"),
    sqlite_autoincrement=True,  # the audit log names users by id
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", LargeBinary, primary_key=True),  # SHA-256 of what the cookie holds
    Column("user_id", Number, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("address", Text),
)
Index("sessions_by_user", sessions.c.user_id)

invitations = Table(
    "invitations",
    metadata,
    Column("token", LargeBinary, primary_key=True),  # SHA-256 of what the one-time link holds
    Column("email", Text),  # NULL: whoever has the link says it (the first owner)
    Column("role", Text, nullable=False),
    Column("user_id", Number),  # set for a new password of somebody who is there
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Number, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),  # what lists show of the key
    Column("hash", LargeBinary, nullable=False),  # SHA-256: a key has 256 random bits
    Column("scopes", Json, nullable=False),
    Column("user_id", Number),  # NULL: made on the command line
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("used_at", Instant),
    Column("revoked_at", Instant),
    UniqueConstraint("hash", name="api_keys_hash"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text),
    Column("verb", Text, nullable=False),
    Column("subject", Text, nullable=False),  # `sync nightly`, `user 3`
    Column("before", Json),
    Column("after", Json),
    Column("chain", Text, nullable=False),  # hash over this entry and the one before
    sqlite_autoincrement=True,
)
Index("audit_by_subject", audit.c.subject, audit.c.id)

audit_head = Table(  # one row: the end of the chain, so that entries taken off it are missed
    "audit_head",
    metadata,
    Column("entries", Number, nullable=False),
    Column("chain", Text, nullable=False),
)

failed_logins = Table(
    "failed_logins",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account", LargeBinary, nullable=False),  # SHA-256: people type passwords into the wrong field
    Column("address", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
Index("failed_logins_by_account", failed_logins.c.account, failed_logins.c.at)
Index("failed_logins_by_address", failed_logins.c.address, failed_logins.c.at)

"""The shapes that the API takes and gives, as its OpenAPI shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from headrace.domain.access import Role, Scope
from headrace.domain.outcome import Change, RowOutcome, RunStatus


class _Taken(BaseModel):
    """What comes in: an unknown key is a mistake that somebody should hear of."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What went wrong (RFC 9457). `code` is stable; `findings` are all faults of a configuration at once."""

    type: str = Field(examples=["/docs/codes#sync_busy"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["sync_busy"])
    findings: list[dict[str, Any]] | None = None


class ObjectOut(BaseModel):
    """One object of the configuration. `etag` goes into If-Match when it is put again."""

    kind: str
    name: str
    document: dict[str, Any]
    etag: str
    updated_at: datetime


class ObjectList(BaseModel):
    """All objects of a kind, by name."""

    items: list[ObjectOut]
    total: int


class NewName(_Taken):
    name: str = Field(min_length=1, max_length=100)


class CheckedOut(BaseModel):
    """What a configuration would change, and what is wrong with it."""

    changes: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    notes: list[str]
    applied: bool


class Configuration(_Taken):
    """A configuration as YAML text."""

    yaml: str = Field(max_length=1_000_000)


class RunOut(BaseModel):
    """A run. Counts are rows; `requests` are calls that were made."""

    model_config = ConfigDict(extra="allow")

    run: int
    sync: str
    status: RunStatus
    rows: int
    added: int
    changed: int
    removed: int
    unchanged: int
    delivered: int
    skipped: int
    invalid: int
    rejected: int
    owed: int
    requests: int
    seconds: float | None
    reason: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class RunList(BaseModel):
    """Some runs, newest first. `cursor` gives the next ones; null says there are no more."""

    items: list[RunOut]
    cursor: str | None


class RowOut(BaseModel):
    """What became of one row."""

    run: int
    key: str
    change: Change | None
    operation: str
    outcome: RowOutcome
    code: str | None
    field: str | None
    message: str | None
    theirs: str | None
    call: int | None


class RowList(BaseModel):
    """Some rows of a run, in the order of its log."""

    items: list[RowOut]
    cursor: str | None


class GroupOut(BaseModel):
    """Rows of a run that ended alike, with an example."""

    outcome: RowOutcome
    code: str | None
    rows: int
    example: RowOut


class GroupList(BaseModel):
    items: list[GroupOut]


class CallOut(BaseModel):
    """One HTTP exchange with a destination, secrets masked."""

    model_config = ConfigDict(extra="allow")

    run: int
    sync: str
    number: int
    at: datetime
    method: str
    url: str
    status: int | None
    verdict: str
    reason: str
    duration_ms: float
    waited_ms: float
    attempt: int
    keys: list[str]


class CallList(BaseModel):
    """Some calls, newest first."""

    items: list[CallOut]
    cursor: str | None


class Trigger(_Taken):
    """How a run is wanted. Without anything: what changed since the last one."""

    full_resync: bool = Field(default=False, description="Send every row again.")
    reset_cdc: bool = Field(default=False, description="Take the rows as they are for delivered; send nothing.")
    keys: list[str] | None = Field(default=None, max_length=10_000, description="Only rows with these primary keys.")
    overlap: Literal["queue", "skip"] = Field(default="queue", description="What to do while the sync runs.")


class TestRow(_Taken):
    """One row to be sent for real."""

    key: str = Field(min_length=1, max_length=1000)
    as_: Change = Field(default=Change.CHANGED, alias="as")
    set: dict[str, str] = Field(default_factory=dict, description="Other values for columns; empty text is null.")


class UnsavedModel(_Taken):
    """A model that need not be saved."""

    source: str
    sql: str | None = Field(default=None, max_length=200_000)
    table: str | None = None
    primary_key: list[str] = Field(default_factory=list)
    limit: int = Field(default=100, ge=1, le=1000)


class Credentials(_Taken):
    email: str = Field(max_length=256)
    password: str = Field(max_length=512)


class Accept(_Taken):
    """The use of a one-time link."""

    token: str = Field(max_length=100)
    email: str = Field(default="", max_length=256)
    name: str = Field(default="", max_length=100)
    password: str = Field(max_length=512)


class UserOut(BaseModel):
    id: int
    email: str
    name: str
    role: Role
    disabled: bool
    created_at: datetime
    signed_in_at: datetime | None


class UserList(BaseModel):
    items: list[UserOut]
    total: int


class ActorOut(BaseModel):
    """Who asks, and what they may do."""

    name: str
    scopes: list[Scope]
    user: UserOut | None


class Invite(_Taken):
    email: str = Field(max_length=256)
    role: Role


class LinkOut(BaseModel):
    """A link that works once, within 24 hours."""

    link: str


class InvitationOut(BaseModel):
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


class InvitationList(BaseModel):
    items: list[InvitationOut]
    total: int


class SessionOut(BaseModel):
    """A browser in which one is signed in."""

    id: str
    created_at: datetime
    seen_at: datetime
    address: str | None


class SessionList(BaseModel):
    items: list[SessionOut]
    total: int


class UserChange(_Taken):
    role: Role | None = None
    disabled: bool | None = None


class PasswordChange(_Taken):
    old: str = Field(max_length=512)
    new: str = Field(max_length=512)


class NewKey(_Taken):
    name: str = Field(max_length=100)
    scopes: list[Scope] = Field(default_factory=lambda: [Scope.READ])
    days: int | None = Field(default=None, ge=1, le=3660, description="After so many days it is dead.")


class KeyOut(BaseModel):
    """An API key without its secret."""

    id: int
    name: str
    prefix: str
    scopes: list[Scope]
    user_id: int | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


class KeyList(BaseModel):
    items: list[KeyOut]
    total: int


class NewKeyOut(KeyOut):
    secret: str = Field(description="Shown this once.")


class AuditOut(BaseModel):
    id: int
    at: datetime
    actor: str
    address: str | None
    verb: str
    subject: str
    before: Any
    after: Any


class AuditList(BaseModel):
    items: list[AuditOut]
    cursor: str | None


class ProofOut(BaseModel):
    """Whether the audit log is as it was written."""

    entries: int
    head: str = Field(description="The hash over all entries. Kept elsewhere, it shows later that they are the same.")
    broken_at: int | None = Field(description="The first entry that was altered or is missing.")


class SecretOut(BaseModel):
    """A secret without its value, which never comes back."""

    name: str
    key_id: str
    updated_at: datetime


class SecretList(BaseModel):
    items: list[SecretOut]
    total: int


class SecretValue(_Taken):
    value: str = Field(min_length=1, max_length=100_000)

"""The shapes of the API's answers and bodies, with what each field means. OpenAPI is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from headrace.domain.outcome import Change, RowOutcome, RunStatus, VerdictWord

T = TypeVar("T")
Told = ConfigDict(extra="forbid")
Text = Annotated[str, Field(max_length=100_000)]


class Shape(BaseModel):
    """What every shape of ours is: fields that are named, and no others."""

    model_config = Told


class FindingShape(Shape):
    """One fault of a configuration, or a warning."""

    code: str = Field(examples=["column_missing"])
    message: str
    path: str = Field(description="Its address: `syncs.accounts.fields.name`.")
    file: str | None = None
    line: int | None = None
    warning: bool = Field(default=False, description="A warning stops nothing.")


class Problem(BaseModel):
    """A fault, as RFC 9457 has it, with our code."""

    type: str = Field(description="Where the code is explained.", examples=["/docs/codes#not_found"])
    title: str
    status: int
    detail: str = Field(description="What happened to which thing, why we think so, the mend.")
    code: str = Field(description="Stable; the reference of codes has it.", examples=["not_found"])
    findings: list[FindingShape] | None = Field(default=None, description="Every fault of a configuration at once.")


class Page(Shape, Generic[T]):
    """A part of a list in a stable order."""

    items: list[T]
    more: bool = Field(description="Whether there is more.")
    cursor: str | None = Field(description="Ask again with this `cursor` for the next part; null at the end.")


# Configuration ------------------------------------------------------------------------------------------------------


class ObjectShape(Shape):
    """One object of the configuration. `ETag` has its tag too."""

    name: str = Field(examples=["accounts-to-crm"])
    document: dict[str, Any] = Field(description="As `export` writes it under its name.")
    tag: str = Field(description="Names exactly this document: for `If-Match`.")
    updated_at: datetime


class Rename(Shape):
    """The new name. Whatever refers to the object follows; a sync keeps its memory."""

    to: str = Field(max_length=100, examples=["active-accounts"])


class VerdictShape(Shape):
    """What saving does, or would do."""

    action: Literal["create", "change", "delete", "unchanged"]
    fields: list[str] = Field(description="The keys that differ.")
    findings: list[FindingShape]
    notes: list[str] = Field(description="What a person should know first.")
    saved: bool
    object: ObjectShape | None = Field(description="What is saved now; null after a dry run.")


class EditShape(Shape):
    kind: str
    name: str
    action: Literal["create", "change", "delete", "unchanged"]
    fields: list[str]


class CheckedShape(Shape):
    """What a configuration would change, or did."""

    saved: bool
    edits: list[EditShape]
    findings: list[FindingShape]
    notes: list[str]


class SecretShape(Shape):
    """A secret that is kept. Its value never comes back."""

    name: str
    key_id: str = Field(description="Which key encrypts it.")
    updated_at: datetime


class SecretValue(Shape):
    value: str = Field(min_length=1, max_length=64 * 1024, description="Encrypted at once, and never told again.")


class RotationShape(Shape):
    encrypted: int = Field(description="So many secrets were encrypted again.")
    key_id: str


# Runs, rows, calls --------------------------------------------------------------------------------------------------


class ErrorShape(Shape):
    code: str
    message: str | None


class HoldShape(Shape):
    """What the guard held back."""

    removed: int
    why: str
    expires_at: datetime
    approved_at: datetime | None


class RunShape(Shape):
    """A run. Every planned row has exactly one outcome."""

    run: int = Field(description="Its number.", examples=[42])
    sync: str
    kind: Literal["sync", "test"]
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
    reason: str = Field(description="What asked for it: manual, api, schedule, sequence, retry, approval, takeover.")
    options: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: ErrorShape | None
    held: str | None
    hold: HoldShape | None
    requested_by: str | None
    follows: int | None = Field(description="The run that this one goes on after.")
    sequence_run: int | None
    cancel_requested: bool
    progress: dict[str, Any] | None = Field(description="Where it stands: counts while it runs.")


class Trigger(Shape):
    """How the run should go."""

    full_resync: bool = Field(default=False, description="Send every row again.")
    reset_cdc: bool = Field(default=False, description="Take the rows as they are for delivered; send nothing.")
    keys: list[Text] | None = Field(
        default=None, min_length=1, max_length=10_000, description="Only the rows with these primary keys."
    )
    overlap: Literal["queue", "skip"] = Field(
        default="queue", description="While a run is live: queue one more, or answer 409."
    )


class RowShape(Shape):
    """What became of one row."""

    run: int
    key: str | None
    change: Change | None
    operation: str | None
    outcome: RowOutcome
    code: str | None
    field: str | None
    message: str | None
    theirs: str | None = Field(description="The destination's own words.")
    call: int | None = Field(description="Number of the call that decided it, within the run.")


class GroupShape(Shape):
    """Rows of a run that ended alike."""

    outcome: RowOutcome
    code: str | None
    rows: int
    example: RowShape


class GroupsShape(Shape):
    items: list[GroupShape]


class CallShape(Shape):
    """One API call, secrets masked."""

    run: int
    sync: str
    number: int
    at: datetime
    method: str
    url: str
    api: str
    purpose: str
    attempt: int
    status: int | None
    verdict: VerdictWord
    reason: str
    duration_ms: float
    waited_ms: float
    keys: list[str] = Field(description="Primary keys of the rows that it was for.")
    request_headers: dict[str, str]
    request_body: Any
    response_headers: dict[str, str] | None
    response_body: Any


class CurlShape(Shape):
    command: str = Field(description="For a POSIX shell; a variable stands for the secret.")


class ConsequenceShape(Shape):
    said: str = Field(description="What it would do, in a sentence with its number.")


# The service itself --------------------------------------------------------------------------------------------------


class WorkerShape(Shape):
    id: str
    host: str
    process: int
    version: str
    concurrency: int
    started_at: datetime
    seen_at: datetime
    draining: bool


class SystemShape(Shape):
    """What serves."""

    version: str
    workspace: str = Field(description="The workspace's name, as message ids have it.")
    workers: list[WorkerShape]

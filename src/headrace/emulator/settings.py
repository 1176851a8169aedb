"""Every switch of the emulator: what Vitally's documents leave open, and what a test wants to break.

The values come from the command line, from a test, or from `PATCH /emulator/settings`; names in JSON are camelCase.
A settings object never changes: the workspace is given a new one. Table of defaults: vitally.md 10.1.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _status_word(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Keys = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
OnExisting = Annotated[Literal["upsert", "400", "409"], BeforeValidator(_status_word)]
MessageType = Literal["organization", "account", "user", "track", "unlink", "customobjectinstance"]
FaultAction = Literal["respond", "pass", "drop_before", "drop_after", "hang"]


class _Switches(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)


class RateLimit(_Switches):
    """A budget of `units` per `per_seconds`, spent by `read_cost` (GET) and `write_cost` (all else).

    The cost of a write on the live service is not published.  vitally.md 3.1, DOC2
    """

    units: int = Field(default=1000, ge=1)
    per_seconds: float = Field(default=60, gt=0)
    read_cost: int = Field(default=1, ge=0)
    write_cost: int = Field(default=1, ge=0)
    algorithm: Literal["bucket", "sliding"] = "bucket"


class PostOnExisting(_Switches):
    """What POST does when the externalId is taken: update the record, or refuse with that status.  vitally.md 5.5"""

    organizations: OnExisting = "upsert"
    accounts: OnExisting = "upsert"
    users: OnExisting = "upsert"
    notes: OnExisting = "upsert"
    tasks: OnExisting = "upsert"
    nps_responses: OnExisting = "upsert"
    conversations: OnExisting = "upsert"
    instances: OnExisting = "upsert"


class ParentsAcceptExternalId(_Switches):
    """Whether a parent may be named by externalId: in users' arrays, and in an account's organizationId on PUT."""

    users: bool = False
    accounts: bool = True


class FaultMatch(_Switches):
    """Which requests a fault meets; what is not given meets all.

    `path` is a prefix or a regular expression found in the raw path; `body` a substring; `key` the credential's key.
    """

    method: str | None = None
    path: str | None = None
    body: str | None = None
    key: str | None = None

    @field_validator("path")
    @classmethod
    def _path_compiles(cls, path: str | None) -> str | None:
        try:
            re.compile(path or "")
        except re.error as wrong:
            raise ValueError(f"not a regular expression: {wrong}") from wrong
        return path


class Fault(_Switches):
    """One way to misbehave: for the matches after the first `skip`, at most `times` of them (null: for ever).

    respond      answer `status` with `body` (JSON, or a string sent as it is) and `headers`, without any effect
    pass         wait `delay_ms`, then behave
    drop_before  close the connection before any effect
    drop_after   do the effect, then close the connection without an answer
    hang         take the request and never answer
    Left out, the action is `respond` where a status is given, else `pass`.
    """

    match: FaultMatch = FaultMatch()
    action: FaultAction = "pass"
    status: int | None = Field(default=None, ge=200, le=599)
    body: Any = None
    headers: dict[str, str] = {}
    times: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    delay_ms: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _default_action(cls, given: Any) -> Any:
        if isinstance(given, dict) and "action" not in given and given.get("status") is not None:
            return {**given, "action": "respond"}
        return given

    @model_validator(mode="after")
    def _status_to_respond_with(self) -> "Fault":
        if self.action == "respond" and self.status is None:
            raise ValueError("action respond needs a status")
        return self


class EmulatorSettings(_Switches):
    """All switches; defaults are those of vitally.md 10.1, and each unmarked one below is a guess of our own."""

    rest_keys: Keys = ("sk_live_test",)
    analytics_keys: Keys = ("analytics_test",)
    error_shape: Literal["error", "message"] = "error"
    create_status: Literal[200, 201] = 200
    delete_status: Literal[200, 202, 204] = 204
    wrong_method_status: Literal[404, 405] = 404
    post_on_existing: PostOnExisting = PostOnExisting()
    user_parents_on_put: Literal["replace", "add"] = "replace"
    parents_accept_external_id: ParentsAcceptExternalId = ParentsAcceptExternalId()
    account_name_editable: bool = True
    user_delete: Literal["scheduled", "immediate"] = "scheduled"
    rate_limit: RateLimit | None = RateLimit()
    retry_after_on_429: bool = False
    analytics_rate_limit: RateLimit | None = None
    analytics_delay_ms: int = Field(default=0, ge=0)
    batch_max_items: int = Field(default=100, ge=1)
    batch_max_bytes: int | None = Field(default=None, ge=1)
    batch_limit_status: Literal[400, 413] = 400
    batch_partial: bool = False
    dedupe_scope: Literal["type", "global", "none"] = "type"
    dedupe_seconds: float | None = Field(default=None, gt=0)
    blocked_types: tuple[MessageType, ...] = ()
    organizations_enabled: bool = True
    trait_field_map: dict[str, str] = {
        "mrr": "mrr",
        "nextRenewalDate": "nextRenewalDate",
        "churnedAt": "churnedAt",
        "trialEndDate": "trialEndDate",
    }
    emit_at_end: bool = False
    limit_over_100: Annotated[Literal["clamp", "400"], BeforeValidator(_status_word)] = "clamp"
    instance_parents_on_put: Literal["set", "ignore"] = "set"
    instance_search_shape: Literal["object", "results"] = "object"
    admin_search_shape: Literal["object", "results"] = "object"
    unknown_fields: Literal["reject", "ignore"] = "reject"
    unknown_custom_traits: Literal["accept", "ignore", "reject"] = "accept"
    analytics_numeric_ids: bool = False
    analytics_null_traits: Literal["remove", "ignore"] = "remove"
    analytics_reserved_traits: Literal["copy", "move"] = "copy"
    analytics_creates_parents: bool = True
    stale_timestamps: Literal["apply", "ignore"] = "apply"
    rest_source: str | None = None
    delay_ms: int = Field(default=0, ge=0)
    journal_limit: int = Field(default=100_000, ge=1)
    faults: tuple[Fault, ...] = ()

    def changed(self, changes: dict[str, Any]) -> "EmulatorSettings":
        """These settings with `changes` (camelCase or snake_case names) laid over them.

        A group of switches (postOnExisting, rateLimit, ...) is changed switch by switch; a map or list is replaced.
        Raises pydantic's ValidationError.
        """
        merged: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        names = {field.alias: name for name, field in type(self).model_fields.items()}
        for given_name, value in changes.items():
            name = names.get(given_name, given_name)
            present = merged.get(name)
            if isinstance(present, _Switches) and isinstance(value, dict):
                groups = {field.alias: inner for inner, field in type(present).model_fields.items()}
                value = present.model_dump() | {groups.get(inner, inner): part for inner, part in value.items()}
            merged[name] = value
        return type(self).model_validate(merged)

"""The configuration: sources, models, destinations, syncs, as YAML, API and database hold them.

Shapes only. What depends on the destination's declaration or on the source's columns is `lint`'s matter.
The settings of a destination are declared by the destination itself; here they are carried as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    field_validator,
    model_validator,
)

from headrace.domain.rules import KINDS, ObjectRule, Rule

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_SPAN = re.compile(r"(\d+)\s*(s|m|h|d)\Z")
_LONGEST_SPAN_S = 100 * 366 * 86400
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def parse_span(text: object) -> timedelta:
    """`15m`, `24h`, `90s`, `7d`, or whole seconds, as a timedelta. Raises ValueError with the mend."""
    if isinstance(text, timedelta):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        text = f"{text}s"
    found = _SPAN.match(str(text).strip())
    if not found or int(found[1]) == 0:
        raise ValueError("is no span of time: write for example 90s, 15m, 24h or 7d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST_SPAN_S:
        raise ValueError("is longer than 100 years")
    return timedelta(seconds=seconds)


def write_span(span: timedelta) -> str:
    """The shortest text that `parse_span` reads back."""
    seconds = int(span.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def is_name(text: str) -> bool:
    """Whether something may be called so."""
    return bool(_NAME.match(text))


def _check_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(
            "is not a name: use letters, digits, dots, dashes and underscores, at most 100, a letter or digit first"
        )
    return name


Name = Annotated[str, AfterValidator(_check_name)]
Span = Annotated[timedelta, BeforeValidator(parse_span), PlainSerializer(write_span, when_used="json")]


class SecretRef(_Strict):
    """Where a secret is kept: an environment variable, a file, or the workspace's vault. Never the secret itself."""

    env: str | None = Field(default=None, description="Name of an environment variable (`.env` files are read).")
    file: str | None = Field(default=None, description="Path of a file that holds the secret and nothing else.")
    secret: str | None = Field(default=None, description="Name under which `headrace secret set NAME` keeps it.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_literals(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raise ValueError(
                "must not hold the secret itself. Write {env: NAME} or {file: PATH}, "
                "or keep it with `headrace secret set NAME` and write {secret: NAME}"
            )
        return raw

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretRef:
        if sum(one is not None for one in (self.env, self.file, self.secret)) != 1:
            raise ValueError("needs exactly one of env, file, secret")
        return self


class FileSource(_Strict):
    """A DuckDB or SQLite database file, or CSV or Parquet files (a path that may be a glob)."""

    type: Literal["duckdb", "sqlite", "csv", "parquet"]
    path: str = Field(min_length=1, description="Relative to the file that says it; a glob for csv and parquet.")
    statement_timeout: Span = Field(default=timedelta(minutes=10), description="The longest a statement may take.")


class PostgresSource(_Strict):
    """A Postgres database: by url, or by host, port, database, user, password."""

    type: Literal["postgres"]
    url: SecretRef | None = None
    host: str | None = None
    port: int = 5432
    database: str | None = None
    user: str | None = None
    password: SecretRef | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    statement_timeout: Span = Field(default=timedelta(minutes=10), description="The longest a statement may take.")

    @model_validator(mode="after")
    def _url_or_parts(self) -> PostgresSource:
        if (self.url is None) == (self.host is None):
            raise ValueError("needs either url, or host with database and user")
        if self.host is not None and (self.database is None or self.user is None):
            raise ValueError("with host also needs database and user")
        return self


SourceConfig = Annotated[FileSource | PostgresSource, Field(discriminator="type")]


class ModelConfig(_Strict):
    """A SELECT, a SQL file or a table of a source, with the column or columns that tell its rows apart."""

    source: str
    primary_key: list[str] = Field(min_length=1, description="One column, or a list of columns.")
    sql: str | None = None
    sql_file: str | None = Field(default=None, description="Relative to the file that says it.")
    table: str | None = None
    description: str | None = None

    @field_validator("primary_key", mode="before")
    @classmethod
    def _one_or_many(cls, raw: Any) -> Any:
        return [raw] if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _exactly_one(self) -> ModelConfig:
        given = [self.sql_file or self.sql, self.table]
        if sum(one is not None for one in given) != 1:
            raise ValueError("needs exactly one of sql, sql_file, table")
        return self


AlertKind = Literal["run_failed", "rejections", "held", "silent", "slow"]
ALERT_KINDS: tuple[AlertKind, ...] = ("run_failed", "rejections", "held", "silent", "slow")


class AlertsConfig(_Strict):
    """What is told to whom about the syncs of a destination; a sync may say otherwise, key by key."""

    channels: list[str] = Field(default_factory=list, description="Names of channels.")
    on: list[AlertKind] = Field(default_factory=lambda: list(ALERT_KINDS), description="Which kinds of alert.")
    rejected_percent: float = Field(
        default=5, ge=0, lt=100, description="`rejections`: told above this share of the planned rows."
    )
    silent_days: int | None = Field(
        default=None, ge=1, le=366, description="`silent`: told when nothing was delivered for so many days."
    )
    slow_minutes: int | None = Field(
        default=None, ge=1, le=100_000, description="`slow`: told when a run takes longer than that."
    )


def _kind_of_alerts(raw: Any) -> str:
    return "switch" if isinstance(raw, str | bool) else "alerts"


AlertsOfSync = Annotated[
    Annotated[AlertsConfig, Tag("alerts")] | Annotated[Literal["off"], Tag("switch")],
    Discriminator(_kind_of_alerts),
]


class DestinationConfig(_Strict):
    """A destination: its type, settings that the type declares, and what every destination has."""

    type: str
    settings: Mapping[str, Any]
    alerts: AlertsConfig | None = None


class MatchConfig(_Strict):
    """By what a row finds its record: a column of the model against a field of the object."""

    column: str
    field: str


class Guard(_Strict):
    """How many removals a run may make before a person is asked."""

    max_removed: int = Field(default=500, ge=0)
    max_removed_percent: float = Field(default=15, ge=0, le=100)


class Every(_Strict):
    """A schedule by span: every 15m, 1h, 1d."""

    every: Span


class Cron(_Strict):
    """A schedule by cron, in an IANA zone."""

    cron: str
    timezone: str = "UTC"


def _kind_of_schedule(raw: Any) -> str | None:
    if isinstance(raw, Every | Cron):
        return type(raw).__name__.lower()
    return next((kind for kind in ("every", "cron") if isinstance(raw, dict) and kind in raw), None)


Schedule = Annotated[
    Annotated[Every, Tag("every")] | Annotated[Cron, Tag("cron")],
    Discriminator(
        _kind_of_schedule,
        custom_error_type="not_a_schedule",
        custom_error_message="is no schedule. Write {every: 15m} or {cron: '0 * * * *', timezone: Europe/Berlin}",
    ),
]


Overlap = Literal["skip", "queue"]
_OVERLAP = "What happens when it is due and still runs: `skip` leaves that time out, `queue` runs once more afterwards."


def _kind_of_section(raw: Any) -> str:
    if not isinstance(raw, Mapping):
        return "rule"
    is_rule = any(name in KINDS and not isinstance(value, Mapping | BaseModel) for name, value in raw.items())
    return "rule" if is_rule else "rules"


Section = Annotated[
    Annotated[dict[str, Rule], Tag("rules")] | Annotated[Rule, Tag("rule")],
    Discriminator(_kind_of_section),
]
"""Name -> rule, or one rule that makes the whole object: `{column: properties, as: object}`."""


class SyncConfig(_Strict):
    """A model's rows, delivered to one kind of record of a destination."""

    id: Name | None = Field(default=None, description="Keeps the sync's memory when it is renamed. Default: its name.")
    model: str
    destination: str
    type: str
    object: str | None = None
    mode: str | None = None
    match: MatchConfig | None = None
    fields: dict[str, Rule] = Field(default_factory=dict)
    traits: Section | None = None
    event: Rule | None = None
    timestamp: Rule | None = None
    properties: Section | None = None
    parameters: Section | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    parents: Literal["exact", "add"] = Field(default="exact", description="Send the mapped parents, or add them.")
    removed: Literal["ignore", "clear", "delete"] = "ignore"
    guard: Guard = Guard()
    recheck_skipped_after: Span = timedelta(hours=24)
    schedule: Schedule | None = None
    overlap: Overlap = Field(default="skip", description=_OVERLAP)
    alerts: AlertsOfSync | None = Field(
        default=None, description="Overrides the keys of the destination's `alerts`; `off` tells nobody."
    )

    @property
    def rules(self) -> dict[str, Rule]:
        """Field of the object -> rule, those of the sections beside `fields` included."""
        sections: dict[str, Rule | None] = {
            "event": self.event,
            "timestamp": self.timestamp,
            "traits": _as_rule(self.traits),
            "properties": _as_rule(self.properties),
            "parameters": _as_rule(self.parameters),
        }
        return self.fields | {name: rule for name, rule in sections.items() if rule is not None}


def _as_rule(section: dict[str, Rule] | Rule | None) -> Rule | None:
    if isinstance(section, dict):
        return ObjectRule(object=section) if section else None
    return section


SECTIONS = ("event", "timestamp", "traits", "properties", "parameters")
"""The sections of a sync that hold rules, beside `fields`."""


class SequenceConfig(_Strict):
    """Syncs that run in this order, each after the end of the one before."""

    syncs: list[str] = Field(min_length=1, description="Names of syncs.")
    schedule: Schedule | None = Field(default=None, description="When it runs by itself.")
    overlap: Overlap = Field(default="skip", description=_OVERLAP)
    stop: Literal["fatal", "rejections", "never"] = Field(
        default="fatal",
        description="After which end the rest is left out: of a run that did not get through, "
        "of one with too many rejected rows too, or of none.",
    )
    max_rejected_percent: float = Field(
        default=0, ge=0, lt=100, description="`stop: rejections`: too many is more than this share of the planned rows."
    )

    @field_validator("syncs")
    @classmethod
    def _each_once(cls, syncs: list[str]) -> list[str]:
        twice = next((one for one in syncs if syncs.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f'names the sync "{twice}" twice; name it once')
        return syncs


class WorkspaceConfig(_Strict):
    """What belongs to the whole workspace."""

    name: Name = "default"


def sync_id(name: str, sync: SyncConfig) -> str:
    """The identity that ledger and message ids are kept under."""
    return sync.id or name

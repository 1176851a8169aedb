"""What a sync says of its requests beside its fields: method, path, body, batches, and what answers mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from headrace.destinations.http.addresses import Address
from headrace.destinations.http.connection import FixedPath, HeaderName, Headers
from headrace.destinations.http.statuses import BatchAnswers, EventAnswers, RecordAnswers
from headrace.domain.config import SyncConfig
from headrace.domain.errors import Finding
from headrace.domain.rules import ColumnsRule, ObjectRule, Rule

PARAMETERS = "parameters"
BODILESS = frozenset({"GET", "DELETE"})
"""Methods whose requests carry no body."""

Method = Literal["POST", "PUT", "PATCH", "GET", "DELETE"]


def _path(text: str) -> str:
    Address(text)
    return text


Path = Annotated[str, AfterValidator(_path)]

_PATH = "Appended to `base_url`. `{name}` is the value of that parameter or field, percent-encoded."


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateRequest(_Settings):
    """Another request, with the same body."""

    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="It carries the same body.")
    path: Path = Field(default="", description=_PATH)


class DeleteRequest(_Settings):
    """The request for a removed row."""

    method: Literal["DELETE", "POST", "PUT", "PATCH"] = Field(
        default="DELETE", description="Another than DELETE carries the fields as they were last delivered."
    )
    path: Path = Field(default="", description=_PATH)


class _Requests(_Settings):
    method: Method = Field(default="POST", description="GET and DELETE carry no body.")
    path: Path = Field(default="", description=_PATH)
    headers: Headers = Field(default_factory=dict, description="Headers beside those of the destination.")
    idempotency_header: HeaderName | None = Field(
        default=None,
        description="Header for the message id (`Idempotency-Key`): the same at every repeat of one change of one row, "
        "so that the receiver can drop repeats.",
    )
    message_id_field: str | None = Field(default=None, description="Key of the body for the same message id.")


class EventSettings(_Requests):
    """How each event is sent."""

    answers: EventAnswers = Field(default=EventAnswers(), description="What the status of an answer means.")


class RecordSettings(_Requests):
    """How each record is sent."""

    create: CreateRequest | None = Field(
        default=None, description="For upsert: sent when the first request is answered with a status of `not_found`."
    )
    delete: DeleteRequest | None = Field(default=None, description="For `removed: delete`: sent for a removed row.")
    answers: RecordAnswers = Field(default=RecordAnswers(), description="What the status of an answer means.")


class BatchSettings(_Settings):
    """How rows are put together into requests."""

    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="How the rows are sent.")
    path: FixedPath = Field(default="", description="Appended to `base_url`.")
    headers: Headers = Field(default_factory=dict, description="Headers beside those of the destination.")
    format: Literal["json", "ndjson"] = Field(
        default="json", description="One JSON document, or one line of JSON a row."
    )
    rows_key: str | None = Field(
        default=None,
        min_length=1,
        description="Key of the body that holds the list of rows; without it the body is the list.",
    )
    beside: dict[str, Any] = Field(default_factory=dict, description="What stands in the body beside `rows_key`.")
    most_rows: int = Field(default=100, ge=1, le=100_000, description="Rows in a request.")
    most_bytes: int = Field(
        default=1_000_000, ge=1_000, le=100_000_000, description="Bytes of a body. One that is too large is halved."
    )
    message_id_field: str | None = Field(
        default=None,
        description="Key of each row for its message id: the same at every repeat of one change of it, so that the "
        "receiver can drop repeats.",
    )
    answers: BatchAnswers = Field(default=BatchAnswers(), description="What the status of an answer means.")

    @model_validator(mode="after")
    def _one_shape(self) -> BatchSettings:
        if self.format == "ndjson" and (self.rows_key or self.beside):
            raise ValueError("With format: ndjson a line is a row. Take rows_key and beside out")
        if self.beside and self.rows_key is None:
            raise ValueError("beside needs rows_key: the rows must have a key of their own")
        if self.rows_key in self.beside:
            raise ValueError(f'"{self.rows_key}" is the key of the rows. Take it out of beside')
        return self


SHAPING_REQUESTS = frozenset({"method", "path", "message_id_field"})
SHAPING_BATCHES = frozenset({"method", "path", "format", "rows_key", "beside", "message_id_field"})


# Against the rest of the sync -------------------------------------------------------------------------------------


def check_event(settings: EventSettings, sync: SyncConfig) -> Iterator[Finding]:
    yield from _check_request(settings, sync)
    yield from _check_message_id(settings.message_id_field, sync)


def check_record(settings: RecordSettings, sync: SyncConfig) -> Iterator[Finding]:
    yield from _check_request(settings, sync)
    yield from _check_message_id(settings.message_id_field, sync)
    for name, request in (("create", settings.create), ("delete", settings.delete)):
        if request is not None:
            yield from _check_path(request.path, f"settings.{name}.path", sync)
    if sync.mode == "update" and settings.create is not None:
        message = "Mode update creates nothing. Take create out, or choose mode: upsert."
        yield Finding("unknown_key", message, "settings.create")
    if sync.removed == "delete" and settings.delete is None:
        message = "Removed rows are to be deleted, and nothing says how: write delete: {method: DELETE, path: ...}."
        yield Finding("key_missing", message, "settings.delete")
    if sync.removed != "delete" and settings.delete is not None:
        message = f"No request is sent for a removed row with removed: {sync.removed}. Write removed: delete."
        yield Finding("unknown_key", message, "settings.delete", warning=True)


def check_batch(settings: BatchSettings, sync: SyncConfig) -> Iterator[Finding]:
    yield from _check_message_id(settings.message_id_field, sync)


def _check_request(settings: _Requests, sync: SyncConfig) -> Iterator[Finding]:
    yield from _check_path(settings.path, "settings.path", sync)
    if settings.method in BODILESS and (
        lost := [one for one in sync.fields if one not in Address(settings.path).names]
    ):
        message = (
            f'{settings.method} carries no body, so "{lost[0]}" would be lost. Use it in the path, or another method.'
        )
        yield Finding("unknown_field", message, f"fields.{lost[0]}")


def _check_path(path: str, here: str, sync: SyncConfig) -> Iterator[Finding]:
    """Every placeholder must have a rule."""
    mapped = _keys_of(sync.rules.get(PARAMETERS))
    if mapped is None:
        return  # a column makes the whole object: its keys are the row's
    for name in Address(path).names:
        if name not in mapped and name not in sync.fields:
            message = f"Nothing is mapped to {{{name}}}. Write a rule for it: parameters: {{{name}: {{column: ...}}}}."
            yield Finding("field_required", message, here)


def _keys_of(rule: Rule | None) -> Sequence[str] | None:
    match rule:
        case None:
            return ()
        case ObjectRule():
            return list(rule.object)
        case ColumnsRule():
            return rule.columns
        case _:
            return None


def _check_message_id(name: str | None, sync: SyncConfig) -> Iterator[Finding]:
    if name is not None and name in sync.fields:
        message = f'"{name}" holds the message id. Take it out of fields, or name another message_id_field.'
        yield Finding("field_twice", message, f"fields.{name}")


def parameters_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What placeholders may name: fields, and parameters before them."""
    return {**values, **(values.get(PARAMETERS) or {})}

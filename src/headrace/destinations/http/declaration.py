"""Any HTTP API as one declaration: settings, secrets, sync types. The body's keys are the person's own."""

from __future__ import annotations

from headrace.destinations.http.connection import BASIC_PASSWORD, BEARER_TOKEN, SECRET_HEADERS, HttpSettings
from headrace.destinations.http.settings import (
    PARAMETERS,
    SHAPING_BATCHES,
    SHAPING_REQUESTS,
    BatchSettings,
    EventSettings,
    RecordSettings,
    check_batch,
    check_event,
    check_record,
)
from headrace.domain.spec import DestinationSpec, Field, FieldType, Mode, ObjectSpec, SettingsSpec, SyncTypeSpec

_BODY = Field("any name", FieldType.ANY, "A key of the body, under the name that you give it.", sends_null=True)
_PARAMETERS = Field(
    PARAMETERS,
    FieldType.OBJECT,
    "Values for the placeholders of paths, which are not to stand in the body.",
    section=True,
)
_BATCH_SETTINGS = SettingsSpec(BatchSettings, check_batch, SHAPING_BATCHES)


def _events(fields: tuple[Field, ...], settings: SettingsSpec) -> ObjectSpec:
    return ObjectSpec(
        name="event",
        title="Events",
        help="Things that happened: each primary key is sent once, whatever becomes of its row afterwards.",
        fields=fields,
        others=_BODY,
        modes=frozenset({Mode.INSERT}),
        matchings=(),
        settings=settings,
        rank=9,
        once=True,
    )


REQUESTS = SyncTypeSpec(
    name="requests",
    title="Requests",
    help="One request a row, each with its own answer.",
    secret=None,
    objects=(
        ObjectSpec(
            name="record",
            title="Records",
            help="Rows that live on: sent when they are added and whenever they change. With upsert, the API creates "
            "what is not there yet, or `create` does where it answers `not_found`.",
            fields=(_PARAMETERS,),
            others=_BODY,
            modes=frozenset({Mode.UPSERT, Mode.UPDATE}),
            matchings=(),
            removed_rules=frozenset({"ignore", "delete"}),
            settings=SettingsSpec(RecordSettings, check_record, SHAPING_REQUESTS),
            rank=1,
        ),
        _events((_PARAMETERS,), SettingsSpec(EventSettings, check_event, SHAPING_REQUESTS)),
    ),
)

BATCHES = SyncTypeSpec(
    name="batches",
    title="Batches",
    help="Many rows a request. One answer for all of them: a refused batch is halved until the bad row is known.",
    secret=None,
    objects=(
        ObjectSpec(
            name="record",
            title="Records",
            help="Rows that live on: sent when they are added and whenever they change.",
            fields=(),
            others=_BODY,
            modes=frozenset({Mode.UPSERT}),
            matchings=(),
            settings=_BATCH_SETTINGS,
            rank=1,
        ),
        _events((), _BATCH_SETTINGS),
    ),
)

HTTP = DestinationSpec(
    type="http",
    title="HTTP",
    help="Any HTTP API: webhooks, internal services, tools without a destination of their own.",
    settings=HttpSettings,
    secrets=(BEARER_TOKEN, BASIC_PASSWORD, SECRET_HEADERS),
    sync_types=(REQUESTS, BATCHES),
)

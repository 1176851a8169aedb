"""What a sync of some objects says beside its fields, the same for all rows: shapes, and the rules about them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from headrace.domain.config import SyncConfig
from headrace.domain.errors import Finding


class SourceSettings(BaseModel):
    """The integration that the records come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        default="",
        description="The integration that Vitally says the records come from, such as hubspot: it finds them by "
        "external id only together with it. Required for `update` matched on `externalId`.",
    )


class InstanceSettings(BaseModel):
    """The custom object that the instances are of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    custom_object: str = Field(default="", description="Vitally's id of the custom object. Required.")


def check_source(settings: SourceSettings, sync: SyncConfig) -> Iterator[Finding]:
    """vitally 4: an external id in the path of a note or a task works only beside the name of the integration."""
    by_external_id = sync.match is not None and sync.match.field == "externalId"
    if sync.mode == "update" and by_external_id and not settings.source.strip():
        yield _required("source", "It names the integration that the records come from, such as hubspot.")


def check_instance(settings: InstanceSettings, sync: SyncConfig) -> Iterator[Finding]:
    """vitally 6.6: the path of an instance holds the id of its definition."""
    if not settings.custom_object.strip():
        yield _required("custom_object", "It is Vitally's id of the custom object.")


def _required(name: str, help: str) -> Finding:
    return Finding("field_required", f'Required setting: "{name}". {help}', f"settings.{name}")

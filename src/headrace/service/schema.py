"""The JSON Schema of the YAML files, made from the checked shapes and every destination's declaration.

For editors: completion and a first check. What it lets through, `headrace check` may still find.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from headrace.destinations import DESTINATION_KINDS, destination_kind
from headrace.domain.channels import CHANNEL_MODELS
from headrace.domain.config import (
    AlertsConfig,
    FileSource,
    ModelConfig,
    PostgresSource,
    SequenceConfig,
    SyncConfig,
    WorkspaceConfig,
)
from headrace.domain.rules import Rule
from headrace.domain.spec import DestinationSpec, ObjectSpec, SyncTypeSpec

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{model}"


class _OurWords(GenerateJsonSchema):
    """Spans of time are written `15m`, not as ISO durations."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> Schema:
        return {"anyOf": [{"type": "string", "pattern": r"^\s*\d+\s*[smhd]\s*$"}, {"type": "integer", "minimum": 1}]}


def configuration_schema() -> Schema:
    """The schema of one file: every kind of object, and the workspace."""
    found: Schema = {}
    sources = {"oneOf": [_shape(FileSource, found), _shape(PostgresSource, found)]}
    model, sync = _shape(ModelConfig, found), _shape(SyncConfig, found)
    _rule(found)
    found["ModelConfig"]["properties"]["primary_key"]["anyOf"] = _one_or_many(found, "ModelConfig", "primary_key")
    channels = {"oneOf": [_shape(one, found) for one in CHANNEL_MODELS]}
    found["EmailChannel"]["properties"]["to"]["anyOf"] = _one_or_many(found, "EmailChannel", "to")
    kinds = {name: destination_kind(name).SPEC for name in DESTINATION_KINDS}
    destinations = {"oneOf": [_destination(spec, found) for spec in kinds.values()]}
    types = [one.name for spec in kinds.values() for one in spec.sync_types]
    choices = [one for spec in kinds.values() for one in _choices(spec, found)]
    found["SyncConfig"]["allOf"] = [{"properties": {"type": {"enum": types}}}, *choices]
    return {
        "$schema": DIALECT,
        "title": "Headrace configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "sources": _named(sources, "Where rows come from."),
            "models": _named(model, "A SELECT, a SQL file or a table of a source, and its primary key."),
            "destinations": _named(destinations, "Where rows go."),
            "syncs": _named(sync, "A model's rows, delivered to one kind of record of a destination."),
            "sequences": _named(_shape(SequenceConfig, found), "Syncs that run in an order."),
            "channels": _named(channels, "Where alerts go."),
            "workspace": _shape(WorkspaceConfig, found),
        },
        "$defs": found,
    }


def _shape(model: type[BaseModel], found: Schema) -> Schema:
    """A reference to the model's schema, which joins those `found`."""
    schema = model.model_json_schema(by_alias=True, ref_template=_REF, schema_generator=_OurWords)
    found.update(schema.pop("$defs", {}))
    found[model.__name__] = schema
    return {"$ref": _REF.format(model=model.__name__)}


def _rule(found: Schema) -> None:
    """`Rule`, for the fields of a sync: any kind of mapping rule."""
    schema = TypeAdapter(Rule).json_schema(by_alias=True, ref_template=_REF, schema_generator=_OurWords)
    found.update(schema.pop("$defs", {}))
    found["Rule"] = schema


def _one_or_many(found: Schema, model: str, key: str) -> list[Schema]:
    many = found[model]["properties"][key]
    return [{"type": "string"}, {key: many.pop(key) for key in ("type", "items", "minItems") if key in many}]


def _named(schema: Schema, description: str) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": schema}


def _destination(spec: DestinationSpec, found: Schema) -> Schema:
    """The settings of one type of destination, with its `type` beside them."""
    _shape(spec.settings, found)
    schema = found[spec.settings.__name__]
    schema["properties"] = {"type": {"const": spec.type, "description": spec.help}, **schema["properties"]}
    schema["properties"]["alerts"] = _shape(AlertsConfig, found)
    schema["required"] = ["type", *schema.get("required", [])]
    for name, said in schema["properties"].items():
        if name.endswith("rate_limit") and "anyOf" in said:
            said["anyOf"] = [*said["anyOf"], {"const": "none"}]
    return {"$ref": _REF.format(model=spec.settings.__name__)}


def _choices(spec: DestinationSpec, shapes: Schema) -> list[Schema]:
    """What a sync's type allows: its objects, and for each object its modes, matchings, settings and fields."""
    found: list[Schema] = []
    for sync_type in spec.sync_types:
        objects = [one.name for one in sync_type.objects]
        found.append({"if": _is(type=sync_type.name), "then": {"properties": {"object": {"enum": objects}}}})
        found += [_choices_of(sync_type, one, shapes) for one in sync_type.objects]
    return found


def _choices_of(sync_type: SyncTypeSpec, one: ObjectSpec, shapes: Schema) -> Schema:
    rule = {"$ref": _REF.format(model="Rule")}
    fields = {field.name: {"description": field.help, **rule} for field in one.fields}
    properties: Schema = {"fields": {"properties": fields}}
    if one.modes:
        properties["mode"] = {"enum": sorted(mode.value for mode in one.modes)}
    if one.matchings:
        properties["match"] = {"properties": {"field": {"enum": [matching.field for matching in one.matchings]}}}
    if one.settings is not None:
        properties["settings"] = _shape(one.settings.model, shapes)
    properties["removed"] = {"enum": sorted(one.removed_rules)}
    return {"if": _is(type=sync_type.name, object=one.name), "then": {"properties": properties}}


def _is(**values: str) -> Schema:
    return {"properties": {name: {"const": value} for name, value in values.items()}, "required": list(values)}

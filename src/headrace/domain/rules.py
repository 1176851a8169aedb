"""Mapping rules as the configuration writes them. How they are carried out is in `mapping`.

A rule is recognised by the one key that names its kind: `column`, `static`, `variable`, `template`,
`object`, `array`, `columns` (the list form). Options stand beside that key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

AsType = Literal["string", "integer", "number", "boolean", "datetime", "date", "object", "array"]
NullPolicy = Literal["send", "skip"]
EmptyPolicy = Literal["send", "null"]

VARIABLES = {
    "run.id": "The number of the run.",
    "run.started_at": "When the run started, ISO 8601 UTC.",
    "sync.name": "The name of the sync.",
    "model.name": "The name of the model.",
    "workspace.name": "The name of the workspace.",
}


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    as_: AsType | None = Field(default=None, alias="as", description="Convert the value to this type first.")
    null: NullPolicy | None = Field(
        default=None,
        description="Whether a null is sent or left out. Default: skip for fields, send inside objects and lists. "
        "On an object or a list it holds for every rule inside that says nothing itself.",
    )
    empty_string: EmptyPolicy | None = Field(
        default=None,
        description="Whether an empty text is sent as it is (default) or as null. Handed on inside like `null`.",
    )
    by: Literal["external_id", "vitally_id"] | None = Field(
        default=None, description="For references: whose id the value is. Default external_id: looked up and cached."
    )
    timezone: str | None = Field(
        default=None, description="IANA zone of a datetime without one. Default UTC. Handed on like `null`."
    )


class ColumnRule(_Rule):
    """The value of a column of the model."""

    column: str


class StaticRule(_Rule):
    """The same value for every row: text, number, boolean, null, list or object."""

    static: Any


class VariableRule(_Rule):
    """A value that the run knows. It never makes a row count as changed."""

    variable: str


class TemplateRule(_Rule):
    """A Liquid template over the row. What it renders is read as the type of the field, or as `as` says."""

    template: str = Field(
        description="The template. `row` holds the columns, `run`, `sync`, `model`, `workspace` the variables."
    )


class ObjectRule(_Rule):
    """An object built of further rules, to any depth."""

    object: dict[str, Rule]


class ArrayRule(_Rule):
    """A list built of further rules."""

    array: list[Rule]


class ColumnsRule(_Rule):
    """The list form: an object with each of these columns under its own name."""

    columns: list[str] = Field(min_length=1)


KINDS = ("column", "static", "variable", "template", "object", "array", "columns")


def _kind_of(raw: Any) -> str | None:
    if isinstance(raw, _Rule):
        return next(kind for kind in KINDS if kind in type(raw).model_fields)
    if not isinstance(raw, dict):
        return None
    return next((kind for kind in KINDS if kind in raw), None)


Rule = Annotated[
    Annotated[ColumnRule, Tag("column")]
    | Annotated[StaticRule, Tag("static")]
    | Annotated[VariableRule, Tag("variable")]
    | Annotated[TemplateRule, Tag("template")]
    | Annotated[ObjectRule, Tag("object")]
    | Annotated[ArrayRule, Tag("array")]
    | Annotated[ColumnsRule, Tag("columns")],
    Discriminator(
        _kind_of,
        custom_error_type="not_a_rule",
        custom_error_message="is not a mapping rule. Write one of {column: ...}, {static: ...}, {variable: ...}, "
        "{template: ...}, {object: {...}}, {array: [...]}, {columns: [...]}",
    ),
]

ObjectRule.model_rebuild()
ArrayRule.model_rebuild()

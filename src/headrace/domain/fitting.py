"""Whether a column fits a field, decided when configured: by type, before any value is seen.

Lint, suggestions, templates and the page of types read these tables. What a single value becomes is in `coerce`.
"""

from __future__ import annotations

from typing import get_args

from headrace.domain.columns import ColumnType
from headrace.domain.rules import AsType
from headrace.domain.spec import FieldType

AS_TYPES: tuple[AsType, ...] = get_args(AsType)

_IDS = frozenset({FieldType.ID, FieldType.REFERENCE, FieldType.REFERENCES})
_MAY_BE: dict[FieldType, frozenset[AsType]] = {
    FieldType.TEXT: frozenset({"string"}),
    FieldType.HTML: frozenset({"string"}),
    FieldType.NUMBER: frozenset({"integer", "number"}),
    FieldType.INTEGER: frozenset({"integer"}),
    FieldType.BOOLEAN: frozenset({"boolean"}),
    FieldType.DATETIME: frozenset({"datetime", "date"}),
    FieldType.DATE: frozenset({"date"}),
    FieldType.OBJECT: frozenset({"object"}),
    FieldType.LIST: frozenset({"array"}),
    FieldType.TEXTS: frozenset({"string", "array"}),
    FieldType.ANY: frozenset(AS_TYPES),
    **dict.fromkeys(_IDS, frozenset[AsType]({"string", "integer", "array"})),
}

_FITS: dict[FieldType, frozenset[ColumnType]] = {
    FieldType.TEXT: frozenset({ColumnType.TEXT}),
    FieldType.HTML: frozenset({ColumnType.TEXT}),
    FieldType.INTEGER: frozenset({ColumnType.INTEGER}),
    FieldType.DATE: frozenset({ColumnType.DATE}),
    FieldType.LIST: frozenset({ColumnType.JSON}),
    FieldType.TEXTS: frozenset({ColumnType.TEXT, ColumnType.JSON}),
    FieldType.ID: frozenset({ColumnType.TEXT, ColumnType.INTEGER}),
    FieldType.NUMBER: frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL}),
    FieldType.BOOLEAN: frozenset({ColumnType.BOOLEAN}),
    FieldType.DATETIME: frozenset({ColumnType.DATE, ColumnType.DATETIME, ColumnType.DATETIME_TZ}),
    FieldType.OBJECT: frozenset({ColumnType.JSON}),
    FieldType.REFERENCE: frozenset({ColumnType.TEXT, ColumnType.INTEGER}),
    FieldType.REFERENCES: frozenset({ColumnType.TEXT, ColumnType.INTEGER, ColumnType.JSON}),
    FieldType.ANY: frozenset(ColumnType),
}

_NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL})
_COUNTS = _NUMBERS | {ColumnType.TEXT, ColumnType.BOOLEAN, ColumnType.JSON}
_TIMES = frozenset({ColumnType.DATE, ColumnType.DATETIME, ColumnType.DATETIME_TZ, ColumnType.TEXT, ColumnType.JSON})
_DOCUMENTS = frozenset({ColumnType.TEXT, ColumnType.JSON, ColumnType.BINARY})
_CONVERTS: dict[AsType, frozenset[ColumnType]] = {
    "string": frozenset(ColumnType),
    "integer": _COUNTS,
    "number": _COUNTS,
    "boolean": _COUNTS,
    "datetime": _TIMES,
    "date": _TIMES,
    "object": _DOCUMENTS,
    "array": _DOCUMENTS,
}

_OFFERS: dict[FieldType, AsType] = {
    FieldType.TEXT: "string",
    FieldType.HTML: "string",
    FieldType.NUMBER: "number",
    FieldType.INTEGER: "integer",
    FieldType.DATE: "date",
    FieldType.LIST: "array",
    FieldType.BOOLEAN: "boolean",
    FieldType.DATETIME: "datetime",
    FieldType.OBJECT: "object",
}
_TEXTS = frozenset({ColumnType.TEXT, ColumnType.JSON})


def fits(column: ColumnType, field: FieldType) -> bool:
    """Whether every value of such a column may stand in such a field without `as`."""
    return column in _FITS[field]


def may_be(as_: AsType, field: FieldType) -> bool:
    """Whether what `as` makes may stand in such a field at all."""
    return as_ in _MAY_BE[field]


def converts(column: ColumnType, to: AsType) -> bool:
    """Whether `as: <to>` can make anything of such a column's values; if not, it would refuse each of them."""
    return column in _CONVERTS[to]


def offer(column: ColumnType, field: FieldType) -> AsType | None:
    """The `as` that could make the column fit the field without losing anything, or None."""
    found = _OFFERS.get(field)
    if field in _IDS:
        # An id of 12.0 is 12, and 12.5 is none; nobody means a day or a yes as an id.
        found = "integer" if column in _NUMBERS else "string" if column in _TEXTS else None
    return found if found is not None and converts(column, found) else None

"""How Postgres's types arrive: the kind of column each is, and the SQL that brings its values into that shape."""

from __future__ import annotations

import re

import pyarrow as pa

from headrace.domain.columns import Column, ColumnType
from headrace.sources.names import quoted

_KINDS = {
    "bool": ColumnType.BOOLEAN,
    "int2": ColumnType.INTEGER,
    "int4": ColumnType.INTEGER,
    "int8": ColumnType.INTEGER,
    "oid": ColumnType.INTEGER,
    "float4": ColumnType.NUMBER,
    "float8": ColumnType.NUMBER,
    "numeric": ColumnType.DECIMAL,
    "money": ColumnType.DECIMAL,
    "date": ColumnType.DATE,
    "timestamp": ColumnType.DATETIME,
    "timestamptz": ColumnType.DATETIME_TZ,
    "json": ColumnType.JSON,
    "jsonb": ColumnType.JSON,
    "bytea": ColumnType.BINARY,
}
_SHOWN = {
    "bool": "boolean",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "varchar": "character varying",
    "bpchar": "character",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}
_UNNAMED = re.compile(r"unnamed<oid:(\d+)>")
_JSON_CATEGORIES = frozenset("AC")  # arrays and composites


def column_of(name: str, typname: str, category: str, native: str) -> Column:
    """The column as the port tells it. Arrays and composites are JSON; what has no kind of its own is text."""
    if category in _JSON_CATEGORIES:
        return Column(name, ColumnType.JSON, native)
    return Column(name, _KINDS.get(typname, ColumnType.TEXT), native)


def unnamed_oid(field: pa.Field) -> int | None:
    """The oid of a type whose name the driver does not know, else None."""
    found = _UNNAMED.fullmatch(_metadata(field, "type"))
    return int(found[1]) if found else None


def native_name(field: pa.Field) -> tuple[str, str, str]:
    """Name, category and shown name of a type that the driver knows."""
    typname = _metadata(field, "type")
    if typname == "record" or pa.types.is_struct(field.type):
        return typname, "C", typname
    if pa.types.is_list(field.type):
        element = typname.removeprefix("_")
        return typname, "A", f"{_SHOWN.get(element, element)}[]"
    typmod = _metadata(field, "typmod")
    if typname == "numeric" and typmod not in ("", "-1"):
        # Precision and scale share the modifier, which is 4 too large; a scale is 11 bits with a sign.
        packed = int(typmod) - 4
        scale = (packed & 0x7FF) ^ 0x400
        return typname, "N", f"numeric({packed >> 16 & 0xFFFF},{scale - 0x400})"
    return typname, "", _SHOWN.get(typname, typname)


def arrival(column: Column) -> str:
    """The SQL that brings the column into its arrival shape, under its own name.

    Moments and days that no calendar of Python holds (infinity, BC, past 9999) arrive as null. Decimals arrive as
    their exact text, since a numeric may be NaN, infinite, or longer than any Arrow decimal.
    """
    name = f"model.{quoted(column.name)}"
    return f"{_shape(name, column)} AS {quoted(column.name)}"


def _shape(name: str, column: Column) -> str:
    match column.type:
        case ColumnType.BOOLEAN | ColumnType.BINARY:
            return name
        case ColumnType.INTEGER:
            return f"{name}::bigint" if column.native == "oid" else name
        case ColumnType.NUMBER:
            # By way of its text, so that 0.1 stays 0.1 and does not become 0.10000000149011612.
            return f"{name}::text::float8" if column.native == "real" else name
        case ColumnType.DECIMAL if column.native == "money":
            return f"{name}::numeric::text"  # its own text has the currency's sign
        case ColumnType.DATE:
            return _within(name, "date", "0001-01-01", "9999-12-31")
        case ColumnType.DATETIME:
            return _within(name, "timestamp", "0001-01-01", "9999-12-31 23:59:59.999999")
        case ColumnType.DATETIME_TZ:
            return _within(name, "timestamptz", "0001-01-01 00:00Z", "9999-12-31 23:59:59.999999Z")
        case ColumnType.JSON if column.native not in ("json", "jsonb"):
            return f"to_json({name})::text"
        case _:
            return f"{name}::text"


def _within(value: str, kind: str, first: str, last: str) -> str:
    return f"CASE WHEN {value} BETWEEN {kind} '{first}' AND {kind} '{last}' THEN {value} END"


def _metadata(field: pa.Field, what: str) -> str:
    return ((field.metadata or {}).get(f"POSTGRESQL:{what}".encode()) or b"").decode()

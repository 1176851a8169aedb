"""How DuckDB's types arrive: the kind of column each is, and the SQL that brings its values into that shape.

Runs in the child; imports nothing that starts slowly.
"""

from __future__ import annotations

import re

from headrace.domain.columns import Column, ColumnType
from headrace.sources.names import quoted

_PLAIN = {
    "BOOLEAN": ColumnType.BOOLEAN,
    "TINYINT": ColumnType.INTEGER,
    "SMALLINT": ColumnType.INTEGER,
    "INTEGER": ColumnType.INTEGER,
    "BIGINT": ColumnType.INTEGER,
    "UTINYINT": ColumnType.INTEGER,
    "USMALLINT": ColumnType.INTEGER,
    "UINTEGER": ColumnType.INTEGER,
    "UBIGINT": ColumnType.INTEGER,
    "HUGEINT": ColumnType.INTEGER,
    "UHUGEINT": ColumnType.INTEGER,
    "FLOAT": ColumnType.NUMBER,
    "DOUBLE": ColumnType.NUMBER,
    "DATE": ColumnType.DATE,
    "TIMESTAMP": ColumnType.DATETIME,
    "TIMESTAMP_S": ColumnType.DATETIME,
    "TIMESTAMP_MS": ColumnType.DATETIME,
    "TIMESTAMP_NS": ColumnType.DATETIME,
    "TIMESTAMP WITH TIME ZONE": ColumnType.DATETIME_TZ,
    "TIMESTAMP_NS WITH TIME ZONE": ColumnType.DATETIME_TZ,
    "BLOB": ColumnType.BINARY,
    "JSON": ColumnType.JSON,
    "VARIANT": ColumnType.JSON,
}
_NESTED = re.compile(r"(STRUCT|TUPLE|MAP|UNION|ROW)\b|.*\[\d*\]$", re.DOTALL)
_TEXT_ALREADY = frozenset({"VARCHAR"})


def column_of(name: str, native: str) -> Column:
    """The column as the port tells it. Structs, lists, maps and unions arrive as JSON text."""
    if _NESTED.match(native):
        return Column(name, ColumnType.JSON, native)
    if native.startswith("DECIMAL"):
        return Column(name, ColumnType.DECIMAL, native)
    return Column(name, _PLAIN.get(native, ColumnType.TEXT), native)


def arrival(column: Column) -> str:
    """The SQL that brings the column into its arrival shape, under its own name.

    Moments and days that no calendar of Python holds (infinity, BC, past 9999) arrive as null.
    """
    name = quoted(column.name)
    return f"{_shape(name, column)} AS {name}"


def _shape(name: str, column: Column) -> str:
    match column.type:
        case ColumnType.INTEGER if column.native in ("HUGEINT", "UHUGEINT"):
            return f"{name}::VARCHAR"  # 39 digits are one more than a decimal holds
        case ColumnType.NUMBER if column.native == "FLOAT":
            # By way of its text, so that 0.1 stays 0.1 and does not become 0.10000000149011612.
            return f"{name}::VARCHAR::DOUBLE"
        case ColumnType.DATE:
            return _within(name, "DATE", "0001-01-01", "9999-12-31")
        case ColumnType.DATETIME:
            return _within(f"{name}::TIMESTAMP", "TIMESTAMP", "0001-01-01", "9999-12-31 23:59:59.999999")
        case ColumnType.DATETIME_TZ:
            return _within(f"{name}::TIMESTAMPTZ", "TIMESTAMPTZ", "0001-01-01 00:00Z", "9999-12-31 23:59:59.999999Z")
        case ColumnType.JSON if column.native == "JSON":
            return f"{name}::VARCHAR"
        case ColumnType.JSON:
            return f"to_json({name})::VARCHAR"
        case ColumnType.TEXT if column.native not in _TEXT_ALREADY:
            return f"{name}::VARCHAR"
        case _:
            return name


def _within(value: str, kind: str, first: str, last: str) -> str:
    return f"CASE WHEN {value} BETWEEN {kind} '{first}' AND {kind} '{last}' THEN {value} END"

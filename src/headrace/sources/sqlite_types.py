"""From SQLite's storage classes to the kinds of the port, and from its values to Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headrace.domain.columns import Column, ColumnType

ARROW = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.DECIMAL: pa.string(),
    ColumnType.TEXT: pa.string(),
    ColumnType.BINARY: pa.binary(),
}
_CLASSES = {"i": "integer", "r": "real", "t": "text", "b": "blob"}
_EXACT_IN_A_DOUBLE = 2**53


def column_of(name: str, letters: str, widest_integer: int) -> Column:
    """The column whose values have these storage classes, each told by its first letter (n is null).

    Whole and real numbers mixed are numbers, unless one of the whole ones is too long for a double to keep: then they
    are decimals, as exact text. Text mixed with anything but blobs is text. Nothing but nulls is text.
    """
    classes = [word for letter, word in _CLASSES.items() if letter in letters]
    native = ", ".join(classes) or "null"
    match classes:
        case ["integer"]:
            return Column(name, ColumnType.INTEGER, native)
        case ["integer", "real"] if (widest_integer or 0) > _EXACT_IN_A_DOUBLE:
            return Column(name, ColumnType.DECIMAL, native)
        case ["real"] | ["integer", "real"]:
            return Column(name, ColumnType.NUMBER, native)
        case [*_, "blob"]:
            return Column(name, ColumnType.BINARY, native)
        case _:
            return Column(name, ColumnType.TEXT, native)


def declared_column(name: str, declared: str) -> Column:
    """What the declared type promises. SQLite does not hold anyone to it."""
    word = declared.upper()
    if "INT" in word or "BOOL" in word:
        kind = ColumnType.INTEGER
    elif any(part in word for part in ("REAL", "FLOA", "DOUB", "DEC", "NUM")):
        kind = ColumnType.NUMBER
    elif "BLOB" in word:
        kind = ColumnType.BINARY
    else:
        kind = ColumnType.TEXT
    return Column(name, kind, declared.lower() or "any")


def to_array(column: Column, values: Sequence[Any]) -> pa.Array:
    """The values in the column's Arrow type. Numbers become the shortest text that gives them back."""
    match column.type:
        case ColumnType.NUMBER if "," in column.native:
            values = [value if value is None else float(value) for value in values]
        case ColumnType.TEXT | ColumnType.DECIMAL if column.native not in ("text", "null"):
            values = [value if value is None or isinstance(value, str) else repr(value) for value in values]
        case ColumnType.BINARY if column.native != "blob":
            values = [value if value is None or isinstance(value, bytes) else str(value).encode() for value in values]
    return pa.array(values, ARROW[column.type])

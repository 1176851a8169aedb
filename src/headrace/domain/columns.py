"""What a column of a model holds. Each source maps its own types to these; lint, mapping and ledger know no others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """The kinds of value a source column can hold, and the Python value that a row carries for it."""

    TEXT = "text"  # str
    INTEGER = "integer"  # int, any size
    NUMBER = "number"  # float
    DECIMAL = "decimal"  # decimal.Decimal, or its exact text where the source has no scale
    BOOLEAN = "boolean"  # bool
    DATE = "date"  # datetime.date
    DATETIME = "datetime"  # naive datetime.datetime: zone unknown, read as UTC unless told
    DATETIME_TZ = "datetime_tz"  # naive datetime.datetime that is UTC
    JSON = "json"  # str of JSON text: json columns, structs, lists, maps
    BINARY = "binary"  # bytes


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a model: its name as the source spells it, its kind, and the source's own word for its type.

    `nested` marks a JSON column that arrives as an Arrow struct, list or map and not as text.
    """

    name: str
    type: ColumnType
    native: str
    nested: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing but nulls, so that its type says nothing."""
        return self.native.strip('"').lower() == "null"


Columns = tuple[Column, ...]


def column_named(columns: Columns, name: str) -> Column | None:
    """The column of that name: exact first, else the only one that differs in case alone, else None."""
    for column in columns:
        if column.name == name:
            return column
    folded = [column for column in columns if column.name.casefold() == name.casefold()]
    return folded[0] if len(folded) == 1 else None

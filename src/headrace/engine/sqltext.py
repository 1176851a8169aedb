"""Pieces of DuckDB SQL that ledger and planner share: quoting, one declared type a column, key and hash expressions.

Both sides of the comparison are cast to the same declared types, else a drifting type would look like change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from headrace.domain.columns import Column, ColumnType

_DECIMAL = re.compile(r"DECIMAL\(\d+,\s*\d+\)")
_BIGINT_AT_MOST = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "INT", "INT2", "INT4", "INT8"}
)
_TEXT_OF_AN_INTEGER = frozenset({"HUGEINT", "UHUGEINT", "VARCHAR"})

PROBE = (
    "CAST(hash(CAST(1 AS BIGINT), 'headrace é', CAST(2.5 AS DOUBLE), true, DATE '2026-01-31', "
    "TIMESTAMP '2026-01-31 09:30:00', CAST(19.90 AS DECIMAL(10,2)), CAST(NULL AS VARCHAR)) AS VARCHAR)"
)
"""One hash over a fixed vector. DuckDB may change `hash` between versions; the ledger remembers what this was."""


def quoted(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted."""
    return "'" + text.replace("'", "''") + "'"


def declared_type(column: Column, arriving: str) -> str:
    """The type the ledger keeps a column in. `arriving` is DuckDB's type of it as the source hands it over."""
    match column.type:
        case ColumnType.INTEGER:
            if arriving in _BIGINT_AT_MOST:
                return "BIGINT"
            # A HUGEINT arrives as text: it may have 39 digits.
            return "VARCHAR" if arriving in _TEXT_OF_AN_INTEGER else "DECIMAL(38,0)"
        case ColumnType.NUMBER:
            return "DOUBLE"
        case ColumnType.DECIMAL:
            return arriving if _DECIMAL.fullmatch(arriving) else "VARCHAR"
        case ColumnType.BOOLEAN:
            return "BOOLEAN"
        case ColumnType.DATE:
            return "DATE"
        case ColumnType.DATETIME | ColumnType.DATETIME_TZ:
            return "TIMESTAMP"
        case ColumnType.BINARY:
            return "BLOB"
        case ColumnType.TEXT | ColumnType.JSON:
            return "VARCHAR"


def declared_value(column: Column, arriving: str) -> str:
    """The expression that turns an arriving column into its declared type."""
    name = quoted(column.name)
    if column.type is ColumnType.DATETIME_TZ:
        # Without the zone database: the instant as UTC.
        return f"make_timestamp(epoch_us({name}))"
    if column.type is ColumnType.JSON and column.nested:
        return f"CAST(to_json({name}) AS VARCHAR)"
    return f"CAST({name} AS {declared_type(column, arriving)})"


def key_type(columns: Sequence[Column], arriving: Sequence[str]) -> str:
    """BIGINT for one integer column, else VARCHAR: the text of one column, or a JSON array of texts for several."""
    if len(columns) == 1 and columns[0].type is ColumnType.INTEGER and arriving[0] in _BIGINT_AT_MOST:
        return "BIGINT"
    return "VARCHAR"


def key_value(columns: Sequence[Column], arriving: Sequence[str], wanted: str) -> str:
    """The expression of a row's key; null where any part of it is null or blank."""
    if len(columns) == 1:
        one = declared_value(columns[0], arriving[0])
        if wanted == "BIGINT":
            return one
        text = f"CAST({one} AS VARCHAR)"
        return f"CASE WHEN trim({text}) = '' THEN NULL ELSE {text} END"
    parts = [f"CAST({declared_value(column, kind)} AS VARCHAR)" for column, kind in zip(columns, arriving, strict=True)]
    blank = " OR ".join(f"{part} IS NULL OR trim({part}) = ''" for part in parts)
    return f"CASE WHEN {blank} THEN NULL ELSE CAST(to_json([{', '.join(parts)}]) AS VARCHAR) END"


def hash_of(expressions: Sequence[str]) -> str:
    """The hash of a row over its declared values; a constant where the mapping reads no column."""
    return f"hash({', '.join(expressions or ['0'])})"


BUCKETS = 8192
"""How many parts the ledger is digested in: few enough to compare quickly, many enough that a change dirties little."""


def bucket_of(key: str) -> str:
    """The expression of the bucket that a key falls into."""
    return f"CAST(hash({key}) % {BUCKETS} AS INTEGER)"


def digest_of(key: str, row_hash: str) -> str:
    """The aggregate over a bucket's rows that changes with any of them. Order does not matter; copies do."""
    return f"CAST(sum(hash({key}, {row_hash})) AS DECIMAL(38,0))"

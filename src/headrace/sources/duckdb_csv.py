"""CSV files as a typed relation. A type is given by every value of every file, not by a sample.

So a column that is whole numbers for 100,000 lines and then a word is text, and no run breaks on line 100,001; and a
value that a number would not give back as it was written (`007`, `+49`, 20 digits) keeps its column text. One pass
over the files decides. The first line names the columns and its most frequent delimiter is the file's; quotes are `"`;
an empty field is null.

DuckDB's own sniffer is not asked: when one line has a field too many it may take that line for the header, skip all
lines above, and return fewer rows without a word (2.0.0; `test_a_broken_csv_line_is_named`).
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from headrace.domain.errors import SourceError
from headrace.sources.names import quoted

if TYPE_CHECKING:
    import duckdb

_DELIMITERS = ",;\t|"

_SHORT_INTEGER, _LONG_INTEGER, _NUMBER, _BOOLEAN, _DATE, _DATETIME, _DATETIME_TZ, _TEXT = (1 << bit for bit in range(8))
_DIGITS_EXACT_IN_A_DOUBLE = 15

_TYPES = {
    _SHORT_INTEGER: "BIGINT",
    _LONG_INTEGER: "BIGINT",
    _SHORT_INTEGER | _LONG_INTEGER: "BIGINT",
    _NUMBER: "DOUBLE",
    _NUMBER | _SHORT_INTEGER: "DOUBLE",
    _BOOLEAN: "BOOLEAN",
    _DATE: "DATE",
    _DATETIME: "TIMESTAMP",
    _DATE | _DATETIME: "TIMESTAMP",
    _DATETIME_TZ: "TIMESTAMP WITH TIME ZONE",
}

_MOMENT = r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"


def csv_relation(files: list[str]) -> str:
    """The FROM item that reads the files with every column as text. Files with other headers are matched by name.

    Raises SourceError for a file whose first line does not name its columns.
    """
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for file in files:
        alike.setdefault(_header(file), []).append(file)
    parts = [f"SELECT * FROM {_read_csv(same, *header)}" for header, same in alike.items()]
    return f"({' UNION ALL BY NAME '.join(parts)})"


def typed_select(connection: duckdb.DuckDBPyConnection, files: list[str]) -> str:
    """The SELECT that reads the files with each column in the type that all its values have."""
    relation = csv_relation(files)
    names = connection.sql(f"SELECT * FROM {relation} LIMIT 0").columns
    marks = ", ".join(f"coalesce(bit_or({_mark(quoted(name))}), 0)" for name in names)
    (found,) = connection.execute(f"SELECT {marks} FROM {relation}").fetchall()
    types = [_TYPES.get(kinds, "VARCHAR") for kinds in found]
    casts = (
        quoted(name) if kind == "VARCHAR" else f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}"
        for name, kind in zip(names, types, strict=True)
    )
    return f"SELECT {', '.join(casts)} FROM {relation}"


def _header(file: str) -> tuple[str, tuple[str, ...]]:
    """The file's delimiter and the names of its columns."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            first = lines.readline()
            delimiter = max(_DELIMITERS, key=first.count)
            lines.seek(0)
            names = next(csv.reader(lines, delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error) as failure:
        raise _unreadable(file, f"{failure}.", "Save it as UTF-8.") from failure
    names = [name.strip() or f"column{at}" for at, name in enumerate(names, 1)]
    if not names:
        raise _unreadable(file, "it is empty.", "Its first line must name the columns.")
    repeated = {name for name in names if [other.casefold() for other in names].count(name.casefold()) > 1}
    if repeated:
        raise _unreadable(file, f'two columns are named "{min(repeated)}".', "Give each its own name.")
    return delimiter, tuple(names)


def _read_csv(files: list[str], delimiter: str, names: tuple[str, ...]) -> str:
    listed = ", ".join(_literal(file) for file in files)
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv([{listed}], auto_detect=false, header=true, skip=0, delim={_literal(delimiter)}, quote='\"',"
        f" escape='\"', columns={{{columns}}})"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unreadable(file: str, why: str, mend: str) -> SourceError:
    return SourceError(f'The CSV file "{file}" can\'t be read: {why} {mend}', code="source_failed", path=file)


def _mark(value: str) -> str:
    """The kind of one value as a bit. Most texts are told by their first letter, before any pattern is tried."""
    return f"""CASE
        WHEN {value} IS NULL THEN 0
        WHEN {value}[1] NOT BETWEEN '0' AND '9' AND {value}[1] <> '-' THEN
            CASE WHEN lower({value}) IN ('true', 'false') THEN {_BOOLEAN} ELSE {_TEXT} END
        WHEN TRY_CAST({value} AS BIGINT)::VARCHAR = {value} THEN
            CASE WHEN length({value}) <= {_DIGITS_EXACT_IN_A_DOUBLE} THEN {_SHORT_INTEGER} ELSE {_LONG_INTEGER} END
        WHEN regexp_full_match({value}, '-?(0|[1-9]\\d{{0,14}})(\\.\\d+)?([eE][+-]?\\d+)?')
            AND isfinite(TRY_CAST({value} AS DOUBLE))
            AND (length(rtrim(regexp_replace({value}, '\\D', '', 'g'), '0')) <= {_DIGITS_EXACT_IN_A_DOUBLE}
                OR TRY_CAST({value} AS DOUBLE)::VARCHAR = {value}) THEN {_NUMBER}
        WHEN {value}[5] <> '-' THEN {_TEXT}
        WHEN length({value}) = 10 AND TRY_CAST({value} AS DATE)::VARCHAR = {value} THEN {_DATE}
        WHEN regexp_full_match({value}, '{_MOMENT}') AND TRY_CAST({value} AS TIMESTAMP) IS NOT NULL THEN {_DATETIME}
        WHEN regexp_full_match({value}, '{_MOMENT} ?(Z|[+-]\\d{{2}}(:?\\d{{2}})?)')
            AND TRY_CAST({value} AS TIMESTAMPTZ) IS NOT NULL THEN {_DATETIME_TZ}
        ELSE {_TEXT} END"""

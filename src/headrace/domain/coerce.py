"""One value: from what a column holds to what a field takes, strictly. What does not fit is a fault, never a guess.

`converter` decides once per rule which function to call; the function runs once per row.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from headrace.domain.columns import ColumnType
from headrace.domain.json_values import MOST_DIGITS, NotFinite, TooDeep, float_text, read_json, read_sendable, sendable
from headrace.domain.rules import AsType
from headrace.domain.spec import FieldType

Convert = Callable[[Any], Any]


class Mismatch(ValueError):
    """A value is not of the type that is asked for.

    `expected` is that type in words; `path` the keys down to the value inside an object.
    """

    code = "type_mismatch"

    def __init__(self, value: object, expected: str, hint: str = "") -> None:
        self.expected = expected
        self.path: tuple[str, ...] = ()
        super().__init__(f"{show_value(value)} is not {expected}{'. ' + hint if hint else ''}")


def show_value(value: object) -> str:
    """A value as a message shows it: short, its type visible, never a whole document."""
    match value:
        case str() | bool() | None:
            shown = orjson.dumps(value).decode()
        case float() if not math.isfinite(value):
            shown = float_text(value)
        case dict() | list():
            shown = orjson.dumps(sendable(value)).decode()
        case _:
            shown = str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def iso(instant: datetime) -> str:
    """An instant as ISO 8601, UTC, milliseconds, `Z`; a naive one is UTC."""
    moment = instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


# What a value becomes in JSON when nothing else is asked for -----------------------------------------------------


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Mismatch(value, "a finite number", "JSON has no NaN and no infinity")
    return value + 0.0  # -0.0 is 0.0


def _exact(value: Any) -> Any:
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise Mismatch(value, "a finite number", "JSON has no NaN and no infinity")
    # 19.90 and 19.9 are one number; a fragment keeps digits that a float would lose.
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return orjson.Fragment(text if text not in ("-0", "") else "0")


def _integer(value: Any) -> Any:
    # What may be past 64 bits (HUGEINT, the type of a sum) arrives as text or as a whole Decimal.
    whole = value if type(value) is int else int(value)
    return whole if -(2**63) <= whole < 2**64 else orjson.Fragment(str(whole))


def read_document(value: Any) -> Any:
    """JSON text as a value, every number exact. Raises Mismatch."""
    try:
        return read_json(_text_of(value))
    except ValueError as fault:
        raise _no_json(value, fault) from None


def _parsed(value: Any) -> Any:
    try:
        return read_sendable(_text_of(value))
    except ValueError as fault:
        raise _no_json(value, fault) from None


def _text_of(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def _no_json(value: Any, fault: ValueError) -> Mismatch:
    return Mismatch(value, "JSON", str(fault) if isinstance(fault, TooDeep | NotFinite) else "")


def jsonable(value: Any) -> Any:
    """A constant of the configuration as JSON can hold it, whatever is inside it. Raises Mismatch for NaN."""
    match value:
        case dict():
            return {key: jsonable(inner) for key, inner in value.items()}
        case list():
            return [jsonable(inner) for inner in value]
        case float():
            return _finite(value)
        case int() if not isinstance(value, bool):
            return _integer(value)
        case _:
            return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_NATURAL: dict[ColumnType, Convert] = {
    ColumnType.TEXT: _same,
    ColumnType.INTEGER: _integer,
    ColumnType.NUMBER: _finite,
    ColumnType.DECIMAL: _exact,
    ColumnType.BOOLEAN: _same,
    ColumnType.DATE: date.isoformat,
    ColumnType.DATETIME: iso,
    ColumnType.DATETIME_TZ: iso,
    ColumnType.JSON: _parsed,
    ColumnType.BINARY: _base64,
}

# Conversions that a rule asks for with `as` ----------------------------------------------------------------------


def _as_string(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return float_text(value)
        case Decimal():
            return format(value, "f")
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case bytes():
            return _base64(value)
        case int():
            return str(value)
        case _:
            return orjson.dumps(sendable(value)).decode()


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")


def _number_in(value: Any, expected: str) -> Decimal:
    """The finite number that a value or its text is. Raises Mismatch."""
    text = str(value).strip()
    if not isinstance(value, Decimal | float) and not _NUMBER.match(text):
        raise Mismatch(value, expected)
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent past what decimals know
        raise Mismatch(value, expected) from None
    if not number.is_finite():
        raise Mismatch(value, expected)
    if len(text) > MOST_DIGITS or abs(number.adjusted()) > MOST_DIGITS:
        raise Mismatch(value, expected, f"it has more than {MOST_DIGITS:,} digits")
    return number


def _as_integer(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    number = _number_in(value, "an integer")
    if number != number.to_integral_value():
        raise Mismatch(value, "an integer")
    return _integer(number)


def _as_number(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _finite(value)
    return _exact(_number_in(value, "a number"))


_BOOLEANS = {"true": True, "t": True, "yes": True, "y": True, "1": True, "on": True}
_BOOLEANS |= {"false": False, "f": False, "no": False, "n": False, "0": False, "off": False}


def _as_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    whole = isinstance(value, float | Decimal) and value in (0, 1)
    found = _BOOLEANS.get(str(int(value) if whole else value).strip().lower())
    if found is None:
        raise Mismatch(value, "a boolean", "true, false, yes, no, 1 and 0 are understood")
    return found


def read_datetime(value: Any, zone: ZoneInfo | None) -> datetime:
    """An aware UTC instant from a datetime, a date, or ISO text; what has no zone is of `zone`, else UTC."""
    moment = _moment(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # 0001-01-01 east of Greenwich, 9999-12-31 west of it: dates that stand for "never"
        raise Mismatch(value, "a datetime", "in UTC it lies outside the years 1 to 9999") from None


def _moment(value: Any) -> datetime:
    """The datetime as it is written, with a zone or without. Raises Mismatch."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = value.strip() if isinstance(value, str) else ""
    try:
        # Digits alone may be seconds since 1970, of which some would read as a date. Only eight are surely none.
        if text.isdigit() and len(text) != 8:
            raise ValueError
        return datetime.fromisoformat(text)
    except ValueError:
        raise Mismatch(value, "a datetime", "ISO 8601 is understood: 2026-01-31 or 2026-01-31T09:30:00Z") from None


def _as_object(value: Any) -> dict[str, Any]:
    parsed = _parsed(value) if isinstance(value, str | bytes) else sendable(value)
    if not isinstance(parsed, dict):
        raise Mismatch(value, "a JSON object")
    return parsed


def _as_array(value: Any) -> list[Any]:
    parsed = _parsed(value) if isinstance(value, str | bytes) else sendable(value)
    if not isinstance(parsed, list):
        raise Mismatch(value, "a JSON array")
    return parsed


def _datetime_reader(zone: ZoneInfo | None) -> Convert:
    return lambda value: iso(read_datetime(value, zone))


def _as_date(value: Any) -> str:
    """The day as it is written; of an instant with a zone, its day in UTC."""
    moment = _moment(value)
    return (moment if moment.tzinfo is None else read_datetime(moment, None)).date().isoformat()


def natural(column: ColumnType, zone: ZoneInfo | None = None) -> Convert:
    """What a column's value becomes in JSON when no type is asked for: numbers stay numbers, objects objects."""
    if column is ColumnType.DATETIME and zone is not None:
        return _datetime_reader(zone)
    return _NATURAL[column]


def is_sent_as_it_is(convert: Convert) -> bool:
    """Whether the function gives back what it was given."""
    return convert is _same


def conversion(to: AsType, column: ColumnType | None, zone: ZoneInfo | None = None) -> Convert:
    """The function behind `as: <to>`. It raises Mismatch where a value can't be that without loss."""
    match to:
        case "string":
            return _as_string
        case "integer":
            return _as_integer
        case "number":
            return _as_number
        case "boolean":
            return _as_boolean
        case "datetime":
            # Such a column arrives as UTC: no zone of the rule moves it.
            return _datetime_reader(None if column is ColumnType.DATETIME_TZ else zone)
        case "date":
            return _as_date
        case "object":
            return _as_object
        case "array":
            return _as_array


# The type of a JSON value against the type of a field, row by row --------------------------------------------------


def check_field(value: Any, field: FieldType, between: tuple[int, int] | None = None) -> Any:
    """The value as the field takes it. Raises Mismatch where it is of another type, or not `between` two integers."""
    return field_check(field, between)(value)


def field_check(field: FieldType, between: tuple[int, int] | None = None) -> Convert:
    """`check_field` for one field, to be asked once and used for every row."""
    if between is None:
        return _CHECKS[field]
    least, most = between

    def check_between(value: Any) -> Any:
        if not least <= _CHECKS[field](value) <= most:
            raise Mismatch(value, f"an integer from {least} to {most}")
        return value

    return check_between


def _text_field(value: Any) -> Any:
    if not isinstance(value, str):
        raise Mismatch(value, "text")
    return value


def _integer_field(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mismatch(value, "an integer")
    return value


def _number_field(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | orjson.Fragment):
        raise Mismatch(value, "a number")
    return value


def _boolean_field(value: Any) -> Any:
    if not isinstance(value, bool):
        raise Mismatch(value, "a boolean")
    return value


def _datetime_field(value: Any) -> Any:
    if not isinstance(value, str):
        raise Mismatch(value, "a datetime")
    return value


def _date_field(value: Any) -> Any:
    if not isinstance(value, str):
        raise Mismatch(value, "a date")
    return value


def _list_field(value: Any) -> Any:
    if not isinstance(value, list):
        raise Mismatch(value, "a list", "map a JSON array with `as: array`")
    return value


def _object_field(value: Any) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(value, "an object", "map an object of columns, or a JSON object with `as: object`")
    return value


_DIGITS = re.compile(r"-?\d+\Z")


def id_text(value: Any) -> str:
    """An id as text: text as it is, a whole number as its digits. Raises Mismatch for anything else."""
    match value:
        case str():
            return value
        case int() if not isinstance(value, bool):
            return str(value)
        case Decimal() if value.is_finite() and value == value.to_integral_value():
            return format(value.to_integral_value(), "f")
        case orjson.Fragment() if _DIGITS.match(digits := orjson.dumps(value).decode()):
            return digits  # a whole number past 64 bits
        case orjson.Fragment():
            raise Mismatch(orjson.dumps(value).decode(), "an id")
        case _:
            raise Mismatch(value, "an id")


def _texts(value: Any) -> list[str]:
    """A list of texts: a text that is a JSON array is that array, any other text a list of one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(orjson.JSONDecodeError):  # a tag may begin with a bracket
            value = orjson.loads(value)
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise Mismatch(value, "text or a list of texts")
    for one in found:
        if not isinstance(one, str):
            raise Mismatch(one, "text")
    return found


_CHECKS: dict[FieldType, Convert] = {
    FieldType.TEXT: _text_field,
    FieldType.ID: id_text,
    FieldType.HTML: _text_field,
    FieldType.NUMBER: _number_field,
    FieldType.INTEGER: _integer_field,
    FieldType.BOOLEAN: _boolean_field,
    FieldType.DATETIME: _datetime_field,
    FieldType.DATE: _date_field,
    FieldType.OBJECT: _object_field,
    FieldType.LIST: _list_field,
    FieldType.TEXTS: _texts,
    FieldType.REFERENCE: _same,
    FieldType.REFERENCES: _same,
    FieldType.ANY: _same,
}

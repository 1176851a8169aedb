"""The types of Vitally's fields: which JSON values each accepts, how it is said in an error, what an empty one holds.

Nothing is coerced: a number where a string belongs is the client's mistake, and is told.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headrace.emulator.clock import vitally_time
from headrace.emulator.html_text import strip_html

_DAY = r"\d{4}-\d{2}-\d{2}"
_ISO = re.compile(_DAY + r"([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?")


@dataclass(frozen=True, slots=True)
class ValueType:
    """`phrase` completes "<field> must be ..."; `empty` makes the value of a field nobody has set."""

    phrase: str
    accepts: Callable[[Any], bool]
    empty: Callable[[], Any] = lambda: None
    tidy: Callable[[Any], Any] | None = None


def parse_instant(text: str) -> datetime | None:
    """The instant, aware, UTC, of an ISO-8601 date or time; without a zone it is read as UTC. None if it is no such."""
    if _ISO.fullmatch(text) is None:
        return None
    try:
        instant = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def is_utc_instant(value: Any) -> bool:
    """Whether the value is an ISO-8601 time that says it is UTC, as the Analytics API asks.  vitally.md 7, DOC"""
    return isinstance(value, str) and value.endswith(("Z", "+00:00")) and parse_instant(value) is not None


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and parse_instant(value) is not None


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _tidy_time(value: str) -> str:
    instant = parse_instant(value)
    return value if instant is None else vitally_time(instant)


VALUE_TYPES: dict[str, ValueType] = {
    "string": ValueType("a string", _is_string),
    "html": ValueType("a string", _is_string, tidy=strip_html),
    "id": ValueType("an id (string)", _is_string),
    "ids": ValueType("an array of ids (strings)", _is_strings, list),
    "strings": ValueType("an array of strings", _is_strings, list),
    "number": ValueType("a number", _is_number),
    "integer": ValueType("an integer", _is_integer, int),
    "boolean": ValueType("a boolean", lambda value: isinstance(value, bool), bool),
    "datetime": ValueType("an ISO-8601 date and time", _is_time, tidy=_tidy_time),
    "day": ValueType("an ISO-8601 date", _is_time),
    "traits": ValueType("a JSON object", lambda value: isinstance(value, dict), dict),
    "object": ValueType("a JSON object", lambda value: isinstance(value, dict)),
    "array": ValueType("an array", lambda value: isinstance(value, list), list),
    "score": ValueType("an integer from 0 to 10", lambda value: _is_integer(value) and 0 <= value <= 10),
    "writeMode": ValueType(
        "one of: writable, writableByAll, readonly", lambda value: value in ("writable", "writableByAll", "readonly")
    ),
}

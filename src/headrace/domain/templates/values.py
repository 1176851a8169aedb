"""The values a template works with: null, boolean, number, text, list, object; how each is written, read and measured.

Whole numbers and decimals are exact to any length. A float is written as JavaScript writes it, as templates elsewhere
show it: `1.0` is `1`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

import orjson
from liquid.exceptions import FilterArgumentError

from headrace.domain.json_values import MOST_DIGITS, exact_number, float_text

MOST_CHARACTERS = 1_000_000
"""What one value or the output may hold: characters, digits past the first few, and one for each member of a list."""
MOST_ITERATIONS = 10_000
"""Turns of all loops of one rendering together, and the length of a range."""
MOST_WORK = 10_000_000
"""Characters that all filters and outputs of one rendering may read and make together; a member counts as several."""
TOO_LONG = 10**MOST_DIGITS

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\s*\Z")


def refuse(message: str) -> NoReturn:
    """End the rendering of this row. The library adds the place in the template."""
    raise FilterArgumentError(message, token=None)


# Text ------------------------------------------------------------------------------------------------------------


def text_of(value: Any) -> str:
    """A value as `{{ value }}` shows it: nothing for null, the members of a list one after another, objects as JSON."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case int():
            if not -TOO_LONG < value < TOO_LONG:
                refuse(f"a number has more than {MOST_DIGITS} digits")
            return str(value)
        case float():
            return float_text(value)
        case Decimal():
            return format(value, "f")
        case list() | tuple() | range():
            return "".join(text_of(item) for item in items_of(value))
        case _ if is_object(value):
            return json_text(value)
        case _:  # `empty`, `blank`, and what the library hands out for a missing value
            return ""


# Numbers ---------------------------------------------------------------------------------------------------------


def number_in(value: Any) -> int | float | Decimal | None:
    """The number that a value is, or that its text says; None where it is none."""
    match value:
        case bool():
            return int(value)
        case int() | float() | Decimal():
            return value
        case str():
            return _number_in_text(value)
        case _:
            return None


def _number_in_text(text: str) -> int | float | Decimal | None:
    if len(text) > MOST_DIGITS or not _NUMBER.match(text):
        return None
    bare = text.strip()
    if bare.lstrip("+-").isdigit():
        return int(bare)
    return exact_number(bare)


def same_kind(left: Any, right: Any) -> tuple[Any, Any]:
    """A float beside a decimal becomes the decimal that it is written as: 19.9 is 19.90."""
    if isinstance(left, Decimal) and isinstance(right, float):
        return left, Decimal(repr(right))
    if isinstance(left, float) and isinstance(right, Decimal):
        return Decimal(repr(left)), right
    return left, right


# Lists and objects -----------------------------------------------------------------------------------------------


def is_object(value: Any) -> bool:
    """Whether the value has named members. The library's missing value only looks so."""
    return isinstance(value, Mapping) and not hasattr(value, "poke")


def items_of(value: Any) -> list[Any]:
    """The members of a list; null has none, any other value is a list of one."""
    match value:
        case list():
            return value
        case range():
            if len(value) > MOST_ITERATIONS:
                refuse(f"a range has more than {MOST_ITERATIONS:,} numbers")
            return list(value)
        case tuple():
            return list(value)
        case None:
            return []
        case _:
            return [value]


def member(value: Any, path: str) -> Any:
    """The value at a dotted path inside an object; None where there is nothing."""
    for key in path.split("."):
        if is_object(value):
            value = value.get(key, len(value) if key == "size" else None)
        elif isinstance(value, list | str) and key == "size":
            value = len(value)
        elif isinstance(value, list) and key in ("first", "last"):
            value = (value[0] if key == "first" else value[-1]) if value else None
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def weight_of(value: Any, most: int = MOST_CHARACTERS) -> int:
    """How much a value holds, counted no further than just past `most`: lists may hold one list many times over."""
    weight, open_ = 0, [value]
    while open_ and weight <= most:
        match open_.pop():
            case str() as text:
                weight += len(text)
            case list() | tuple() as items:
                weight += len(items)
                open_.extend(items if weight <= most else ())
            case dict() as members:
                weight += len(members)
                open_.extend((*members, *members.values()) if weight <= most else ())
            case bool():
                weight += 1
            case int() as number:
                weight += 1 + number.bit_length() // 3
            case Decimal() as number:
                weight += 1 + len(number.as_tuple().digits) + abs(number.adjusted())
            case _:
                weight += 1
    return weight


# JSON ------------------------------------------------------------------------------------------------------------


def json_text(value: Any) -> str:
    """A value as compact JSON. A number that JSON does not have (NaN, infinity) is null, as in JavaScript."""
    return orjson.dumps(sendable(value), option=orjson.OPT_NON_STR_KEYS).decode()


def sendable(value: Any) -> Any:
    """A value as orjson writes it without loss: what is no float and no 64-bit number becomes a fragment."""
    match value:
        case str() | bool() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else orjson.Fragment(text_of(value))
        case float():
            return orjson.Fragment(float_text(value)) if math.isfinite(value) else None
        case Decimal():
            return orjson.Fragment(text_of(value)) if value.is_finite() else None
        case list() | tuple() | range():
            return [sendable(item) for item in items_of(value)]
        case _ if is_object(value):
            return {key: sendable(inner) for key, inner in value.items()}
        case _:
            return None

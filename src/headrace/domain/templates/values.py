"""The values a template works with: null, boolean, number, text, list, object; how each is written, read and measured.

Whole numbers and decimals are exact to any length. A float is written as JavaScript writes it, as templates elsewhere
show it: `1.0` is `1`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

import orjson
from liquid.exceptions import FilterArgumentError

MOST_CHARACTERS = 1_000_000
"""What one value or the output may hold: characters, digits past the first few, and one for each member of a list."""
MOST_ITERATIONS = 10_000
"""Turns of all loops of one rendering together, and the length of a range."""
MOST_WORK = 10_000_000
"""Characters that all filters and outputs of one rendering may read and make together; a member counts as several."""
MOST_DIGITS = 1000
"""Digits of a number that is computed or read."""
TOO_LONG = 10**MOST_DIGITS
MOST_LEVELS = 100
"""Lists and objects inside each other in JSON that is read."""

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\s*\Z")
_LONG_NUMBER = re.compile(rb"[\d.]{16,}|\d[eE]")


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


def float_text(value: float) -> str:
    """As JavaScript's String(number): shortest digits that give the number back, exponents from 1e21 and below 1e-6."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits))
    point = len(shown) + exponent
    if -6 < point <= 21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    mantissa = shown[0] + (f".{shown[1:]}" if len(shown) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"


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


def exact_number(text: str) -> float | Decimal:
    """A float where the float is the very number that is written, else a decimal."""
    number = Decimal(text)
    near = float(text)
    return near if math.isfinite(near) and Decimal(repr(near)) == number else number


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


class TooDeep(ValueError):
    """JSON with more levels than any sender means."""

    def __init__(self) -> None:
        super().__init__(f"it has more than {MOST_LEVELS} levels")


def read_json(text: str) -> Any:
    """JSON text as a value, every number exact. Raises ValueError, among them TooDeep."""
    document = text.encode()
    found = orjson.loads(document)
    _check_levels(text, found)
    if not _LONG_NUMBER.search(document):
        return found
    return json.loads(text, parse_float=_number_of_json, parse_int=_integer_of_json)


def read_sendable(text: str) -> Any:
    """JSON text as orjson writes it again without loss. Raises ValueError, among them TooDeep."""
    document = text.encode()
    if _LONG_NUMBER.search(document):
        return sendable(read_json(text))
    found = orjson.loads(document)
    _check_levels(text, found)
    return found


def _check_levels(text: str, found: Any) -> None:
    if text.count("[") + text.count("{") <= MOST_LEVELS:
        return
    level = [found]
    for _ in range(MOST_LEVELS + 1):
        if not level:
            return
        inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [inner for members in inside for inner in members]
    raise TooDeep


def _number_of_json(text: str) -> float | Decimal:
    number = exact_number(text)
    if isinstance(number, Decimal) and (len(text) > MOST_DIGITS or abs(number.adjusted()) > MOST_DIGITS):
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return number


def _integer_of_json(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return int(text)


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

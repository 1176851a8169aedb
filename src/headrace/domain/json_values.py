"""JSON text as values and back without losing a digit: what no float and no 64-bit integer holds stays exact.

In: the text of a JSON column, or what a template wrote. Out: plain Python values, or what orjson writes as it was.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

MOST_LEVELS = 100
"""Lists and objects inside each other in JSON that is read."""
MOST_DIGITS = 1000
"""Digits of a number that is read: 1e999999999 is a number, and written out it would fill the memory."""

_LONG_NUMBER = re.compile(rb"[\d.]{16,}|\d[eE]")


class TooDeep(ValueError):
    """JSON with more levels than any sender means."""

    def __init__(self) -> None:
        super().__init__(f"it has more than {MOST_LEVELS} levels")


class NotFinite(ValueError):
    """NaN or infinity, which some databases write into JSON although it has neither."""

    def __init__(self) -> None:
        super().__init__("JSON has no NaN and no infinity")


def read_json(text: str) -> Any:
    """JSON text as a value, every number exact. Raises ValueError, among them TooDeep and NotFinite."""
    document = text.encode()
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError:
        return _read_slowly(text)
    _check_levels(text, found)
    return _loads(text) if _LONG_NUMBER.search(document) else found


def read_sendable(text: str) -> Any:
    """JSON text as orjson writes it again without loss. Raises ValueError, among them TooDeep and NotFinite."""
    if _LONG_NUMBER.search(document := text.encode()):
        return sendable(read_json(text))
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError:
        return sendable(_read_slowly(text))
    _check_levels(text, found)
    return found


def sendable(value: Any) -> Any:
    """What `read_json` gave as orjson writes it without loss: numbers that it would spoil become fragments."""
    match value:
        case dict():
            return {key: sendable(inner) for key, inner in value.items()}
        case list():
            return [sendable(inner) for inner in value]
        case Decimal():
            return orjson.Fragment(format(value, "f"))
        case int() if not -(2**63) <= value < 2**64:
            return orjson.Fragment(str(value))
        case _:
            return value


def exact_number(text: str) -> float | Decimal:
    """A float where the float is the very number that is written, else a decimal."""
    number = Decimal(text)
    near = float(text)
    return near if math.isfinite(near) and Decimal(repr(near)) == number else number


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


def _read_slowly(text: str) -> Any:
    """Text that orjson refuses, some of which is JSON: it knows no 1e400. Raises ValueError."""
    if text.count("[") + text.count("{") > MOST_LEVELS:
        raise ValueError("it is not JSON")  # the reader below would go as deep as the text does
    found = _loads(text)
    try:
        orjson.dumps(sendable(found))
    except TypeError:  # half a character of two, which no UTF-8 can hold
        raise ValueError("it is not JSON") from None
    return found


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=_number_of, parse_int=_integer_of, parse_constant=_refuse_constant)


def _refuse_constant(_text: str) -> NoReturn:
    raise NotFinite


def _number_of(text: str) -> float | Decimal:
    try:
        number = exact_number(text)
    except InvalidOperation:  # an exponent past what decimals know
        raise ValueError(f"a number has more than {MOST_DIGITS} digits") from None
    if isinstance(number, Decimal) and (len(text) > MOST_DIGITS or abs(number.adjusted()) > MOST_DIGITS):
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return number


def _integer_of(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return int(text)


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

"""Filters over numbers. Whole numbers and decimals are counted exactly; a float is counted as JavaScript counts it."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from headrace.domain.json_values import MOST_DIGITS
from headrace.domain.templates.catalogue import declares
from headrace.domain.templates.text_filters import whole
from headrace.domain.templates.values import TOO_LONG, number_in, refuse

Number = int | float | Decimal
_EXACT = Context(prec=60)
"""Digits kept where a decimal can't be exact, as in 10 / 3."""


def _number(value: Any) -> Number:
    """What a filter counts with: text that is no number counts as 0, as everywhere in Liquid."""
    number = number_in(value)
    return 0 if number is None else number


def _pair(value: Any, other: Any) -> tuple[Number, Number]:
    """Both numbers, decimals both as soon as one is: a float would lose digits."""
    left, right = _number(value), _number(other)
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return _decimal(left), _decimal(right)
    return left, right


def _decimal(number: Number) -> Decimal:
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def _bounded(number: Number) -> Number:
    if isinstance(number, int) and abs(number) >= TOO_LONG:
        refuse(f"the number has more than {MOST_DIGITS} digits")
    if isinstance(number, float) and not math.isfinite(number):
        refuse("the number is too large")
    if isinstance(number, Decimal) and number:
        if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
            refuse("the number is too large or too small")
        shorter = number.normalize(_EXACT)
        return int(shorter) if shorter == shorter.to_integral_value() else shorter
    return number


@declares("numbers", "The number without its sign.", "{{ -4 | abs }}", "4")
def abs_(value: Any) -> Number:
    number = _number(value)
    return -number if number < 0 else number


@declares("numbers", "Rounded up.", "{{ 1.2 | ceil }}", "2")
def ceil(value: Any) -> Number:
    return math.ceil(_number(value))


@declares("numbers", "Rounded down.", "{{ 1.8 | floor }}", "1")
def floor(value: Any) -> Number:
    return math.floor(_number(value))


@declares("numbers", "Rounded to so many decimals, halves away from zero.", "{{ 2.345 | round: 2 }}", "2.35")
def round_(value: Any, decimals: Any = 0) -> Number:
    number, places = _number(value), whole(decimals)
    if abs(places) > MOST_DIGITS:
        refuse("round takes a number of decimals")
    if isinstance(number, float) and not math.isfinite(number):
        return number
    exact = _decimal(number)
    if exact.adjusted() + places > 50:  # nothing there to round
        return number
    rounded = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=_EXACT)
    if rounded == rounded.to_integral_value():
        return int(rounded)
    return rounded if isinstance(number, Decimal) else float(rounded)


@declares("numbers", "Added.", "{{ 4 | plus: 2 }}", "6")
def plus(value: Any, other: Any) -> Number:
    left, right = _pair(value, other)
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return _bounded(_EXACT.add(left, right))
    return _bounded(left + right)  # type: ignore[operator]


@declares("numbers", "Taken away.", "{{ 4 | minus: 2 }}", "2")
def minus(value: Any, other: Any) -> Number:
    left, right = _pair(value, other)
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return _bounded(_EXACT.subtract(left, right))
    return _bounded(left - right)  # type: ignore[operator]


@declares("numbers", "Multiplied.", "{{ 4 | times: 2.5 }}", "10")
def times(value: Any, other: Any) -> Number:
    left, right = _pair(value, other)
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return _bounded(_EXACT.multiply(left, right))
    return _bounded(left * right)  # type: ignore[operator]


@declares(
    "numbers",
    "Divided. The second argument, if true, rounds down to a whole number.",
    "{{ 10 | divided_by: 4 }} {{ 10 | divided_by: 4, true }}",
    "2.5 2",
)
def divided_by(value: Any, other: Any, whole_number: Any = False) -> Number:
    left, right = _pair(value, other)
    if not right:
        refuse("can't divide by 0")
    if whole_number:
        return _bounded(math.floor(left / right) if isinstance(left, float | Decimal) else left // right)  # type: ignore[operator]
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return _bounded(_EXACT.divide(left, right))
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return _bounded(left / right)  # type: ignore[operator]


@declares("numbers", "What is left over by a division.", "{{ 7 | modulo: 3 }}", "1")
def modulo(value: Any, other: Any) -> Number:
    left, right = _pair(value, other)
    if not right:
        refuse("can't divide by 0")
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        rest = _EXACT.remainder(left, right)
        return _bounded(rest + right if rest and (rest < 0) != (right < 0) else rest)
    return left % right  # type: ignore[operator]


@declares("numbers", "The number, but not below the other.", "{{ 3 | at_least: 5 }}", "5")
def at_least(value: Any, other: Any) -> Number:
    return max(_number(value), _number(other))


@declares("numbers", "The number, but not above the other.", "{{ 9 | at_most: 5 }}", "5")
def at_most(value: Any, other: Any) -> Number:
    return min(_number(value), _number(other))

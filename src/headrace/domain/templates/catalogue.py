"""The list of filters, each declared once: name, what it does, an example with its result. The reference is made of it.

A filter is a plain function over the values of `values`; the first argument is what stands before the bar.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

FilterFunction = Callable[..., Any]
F = TypeVar("F", bound=FilterFunction)
Group = Literal["text", "numbers", "lists", "dates", "data"]


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """One filter. `example` is a whole template over no columns, `result` what it renders.

    `least` and `most` count the arguments after the colon. A filter that `knows_the_run` is called with the time the
    run started, as ISO text, as its keyword `started_at`.
    """

    name: str
    group: Group
    says: str
    example: str
    result: str
    function: FilterFunction
    arguments: str
    least: int
    most: int
    named: frozenset[str]
    knows_the_run: bool
    work: int
    """What a character that it reads counts in the limit on a row's work."""


FILTERS: dict[str, FilterSpec] = {}


def declares(
    group: Group,
    says: str,
    *examples: str,
    name: str = "",
    knows_the_run: bool = False,
    work: int = 1,
) -> Callable[[F], F]:
    """Put a function into the list. `examples` is a template and what it renders."""
    example, result = examples

    def put(function: F) -> F:
        found = name or function.__name__.rstrip("_")
        arguments = list(inspect.signature(function).parameters.values())[1:]
        by_place = [one for one in arguments if one.kind is not one.KEYWORD_ONLY]
        by_name = [one for one in arguments if one.kind is one.KEYWORD_ONLY and one.name != "started_at"]
        FILTERS[found] = FilterSpec(
            name=found,
            group=group,
            says=says,
            example=example,
            result=result,
            function=function,
            arguments=_written(by_place, by_name),
            least=sum(one.default is one.empty for one in by_place),
            most=len(by_place),
            named=frozenset(one.name for one in by_name),
            knows_the_run=knows_the_run,
            work=work,
        )
        return function

    return put


def _written(by_place: Sequence[inspect.Parameter], by_name: Sequence[inspect.Parameter]) -> str:
    """`length, end = "..."` as the reference shows it."""
    shown = [one.name.rstrip("_") + _default(one) for one in by_place]
    return ", ".join([*shown, *(f"{one.name}:{_default(one).removeprefix(' =')}" for one in by_name)])


def _default(parameter: inspect.Parameter) -> str:
    match parameter.default:
        case parameter.empty:
            return ""
        case None:
            return " = nil"
        case bool() as flag:
            return f" = {str(flag).lower()}"
        case str() as text:
            return f' = "{text}"'
        case other:
            return f" = {other}"

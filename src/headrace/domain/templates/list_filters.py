"""Filters over lists. Null is an empty list, any other single value a list of one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from headrace.domain.templates.catalogue import declares
from headrace.domain.templates.number_filters import Number, plus
from headrace.domain.templates.text_filters import spread
from headrace.domain.templates.values import is_object, items_of, json_text, member, same_kind, text_of

PEOPLE = (
    """{% assign people = '[{"name":"Bo","team":"b"},{"name":"Ann","team":"a"},{"name":"Cy","team":"b"}]'"""
    " | parse_json %}"
)
"""What the examples below work on."""


@declares("lists", "The members with a separator between.", '{{ "a b" | split: " " | join: ", " }}', "a, b")
def join(value: Any, separator: Any = " ") -> str:
    parts = [text_of(item) for item in items_of(value)]
    between = " " if separator is None else text_of(separator)
    spread("", len(parts), len(between))
    return between.join(parts)


@declares("lists", "The first member.", '{{ "a,b" | split: "," | first }}', "a")
def first(value: Any) -> Any:
    if isinstance(value, str):
        return value[:1]
    return (found[0] if (found := items_of(value)) else None) if _is_list(value) else ""


@declares("lists", "The last member.", '{{ "a,b" | split: "," | last }}', "b")
def last(value: Any) -> Any:
    if isinstance(value, str):
        return value[-1:]
    return (found[-1] if (found := items_of(value)) else None) if _is_list(value) else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | range)


@declares("lists", "How many members, or how many characters.", '{{ "a,b" | split: "," | size }}', "2")
def size(value: Any) -> int:
    return len(value) if isinstance(value, str | dict) or _is_list(value) else 0


@declares("lists", "In the other order.", '{{ "a,b" | split: "," | reverse | join }}', "b a")
def reverse(value: Any) -> list[Any]:
    return items_of(value)[::-1]


@declares("lists", "One member of each object.", PEOPLE + '{{ people | map: "name" | join }}', "Bo Ann Cy")
def map_(value: Any, path: Any) -> list[Any]:
    return [member(item, text_of(path)) for item in items_of(value)]


@declares(
    "lists",
    "Sorted, by a member if one is named; nulls last.",
    PEOPLE + '{{ people | sort: "name" | map: "name" | join }}',
    "Ann Bo Cy",
)
def sort(value: Any, path: Any = None) -> list[Any]:
    return sorted(items_of(value), key=lambda item: _order(_at(item, path)))


@declares("lists", "Sorted, capitals or not.", '{{ "b,A" | split: "," | sort_natural | join }}', "A b")
def sort_natural(value: Any, path: Any = None) -> list[Any]:
    def order(item: Any) -> tuple[bool, str]:
        found = _at(item, path)
        return found is None, text_of(found).lower()

    return sorted(items_of(value), key=order)


def _at(item: Any, path: Any) -> Any:
    return item if path is None else member(item, text_of(path))


def _order(value: Any) -> tuple[int, Any]:
    """Numbers before texts, nulls last: what can't be compared stands apart."""
    match value:
        case int() | float() | Decimal():
            return 0, value
        case str():
            return 1, value
        case None:
            return 3, 0
        case _:
            return 2, json_text(value)


@declares("lists", "Each member once.", '{{ "a,b,a" | split: "," | uniq | join }}', "a b")
def uniq(value: Any) -> list[Any]:
    found: dict[Any, Any] = {}
    for item in items_of(value):
        found.setdefault(_identity(item), item)
    return list(found.values())


def _identity(value: Any) -> Any:
    """What two members have in common that are the same: 1 is not true, and 1 is 1.0."""
    return json_text(value) if is_object(value) or _is_list(value) else (isinstance(value, bool), value)


@declares("lists", "Without nulls.", '{{ "[1,null,2]" | parse_json | compact | join }}', "1 2")
def compact(value: Any) -> list[Any]:
    return [item for item in items_of(value) if item is not None]


@declares(
    "lists",
    "Two lists as one.",
    '{% assign b = "c" | split: "," %}{{ "a,b" | split: "," | concat: b | join }}',
    "a b c",
)
def concat(value: Any, other: Any) -> list[Any]:
    return [*items_of(value), *items_of(other)]


@declares("lists", "With one member more at the end.", '{{ "a,b" | split: "," | push: "c" | join }}', "a b c")
def push(value: Any, item: Any) -> list[Any]:
    return [*items_of(value), item]


@declares("lists", "With one member more at the start.", '{{ "a,b" | split: "," | unshift: "c" | join }}', "c a b")
def unshift(value: Any, item: Any) -> list[Any]:
    return [item, *items_of(value)]


@declares("lists", "Without the last member.", '{{ "a,b" | split: "," | pop | join }}', "a")
def pop(value: Any) -> list[Any]:
    return items_of(value)[:-1]


@declares("lists", "Without the first member.", '{{ "a,b" | split: "," | shift | join }}', "b")
def shift(value: Any) -> list[Any]:
    return items_of(value)[1:]


@declares("lists", "The sum of the numbers, or of a member of each object.", '{{ "1,2,3" | split: "," | sum }}', "6")
def sum_(value: Any, path: Any = None) -> Number:
    total: Number = 0
    for item in items_of(value):
        total = plus(total, _at(item, path))
    return total


@declares(
    "lists",
    "The objects whose member is that value; without a value, whose member is true or there.",
    PEOPLE + '{{ people | where: "team", "b" | map: "name" | join }}',
    "Bo Cy",
)
def where(value: Any, path: Any, expected: Any = None) -> list[Any]:
    return [item for _, item in _matching(value, path, expected)]


@declares(
    "lists",
    "The objects that where would leave out.",
    PEOPLE + '{{ people | reject: "team", "b" | map: "name" | join }}',
    "Ann",
)
def reject(value: Any, path: Any, expected: Any = None) -> list[Any]:
    kept = {place for place, _ in _matching(value, path, expected)}
    return [item for place, item in enumerate(items_of(value)) if place not in kept]


@declares(
    "lists", "The first of what where finds.", PEOPLE + '{% assign b = people | find: "team", "b" %}{{ b.name }}', "Bo"
)
def find(value: Any, path: Any, expected: Any = None) -> Any:
    return next((item for _, item in _matching(value, path, expected)), None)


@declares(
    "lists", "The place of the first of what where finds.", PEOPLE + '{{ people | find_index: "team", "a" }}', "1"
)
def find_index(value: Any, path: Any, expected: Any = None) -> int | None:
    return next((place for place, _ in _matching(value, path, expected)), None)


@declares("lists", "Whether where finds one.", PEOPLE + '{{ people | has: "team", "c" }}', "false")
def has(value: Any, path: Any, expected: Any = None) -> bool:
    return any(True for _ in _matching(value, path, expected))


def _matching(value: Any, path: Any, expected: Any) -> Iterator[tuple[int, Any]]:
    for place, item in enumerate(items_of(value)):
        found = member(item, text_of(path))
        if (found not in (None, False)) if expected is None else _equal(found, expected):
            yield place, item


def _equal(one: Any, other: Any) -> bool:
    one, other = same_kind(one, other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


@declares(
    "lists",
    "Groups of objects by a member: a list of objects with `name` and `items`.",
    PEOPLE
    + '{% assign teams = people | group_by: "team" %}{% for t in teams %}{{ t.name }}{{ t.items.size }} {% endfor %}',
    "b2 a1 ",
)
def group_by(value: Any, path: Any) -> list[Any]:
    groups: dict[Any, dict[str, Any]] = {}
    for item in items_of(value):
        name = member(item, text_of(path))
        groups.setdefault(_identity(name), {"name": name, "items": []})["items"].append(item)
    return list(groups.values())


@declares(
    "lists",
    "The members as a sentence tells them.",
    '{{ "a,b,c" | split: "," | array_to_sentence_string }}',
    "a, b, and c",
)
def array_to_sentence_string(value: Any, connector: Any = "and") -> str:
    parts = [text_of(item) for item in items_of(value)]
    word = text_of(connector)
    match len(parts):
        case 0 | 1:
            return "".join(parts)
        case 2:
            return f"{parts[0]} {word} {parts[1]}"
        case _:
            return f"{', '.join(parts[:-1])}, {word} {parts[-1]}"

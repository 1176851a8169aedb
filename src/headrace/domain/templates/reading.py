"""A template rule against the columns of its model: which it reads, and the value it makes of a row's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from headrace.domain import rules as r
from headrace.domain.coerce import Mismatch, conversion, natural, read_document
from headrace.domain.columns import Column, Columns, ColumnType, column_named
from headrace.domain.errors import Bug
from headrace.domain.fitting import offer
from headrace.domain.json_values import TooDeep, read_sendable
from headrace.domain.spec import FieldType
from headrace.domain.templates.template import Template, nested, read_template

_MAP_AN_OBJECT = "map an object of columns instead, or let the template write one JSON object"


class Cell(NamedTuple):
    """A column that a template reads: the name it has there, its place in the row, and how its value is read."""

    name: str
    place: int
    read: Callable[[Any], Any]


def template_of(rule: r.TemplateRule) -> Template:
    """The template of a rule that lint has passed. Raises Bug where it can't be read."""
    found = read_template(rule.template)
    if not isinstance(found, Template):
        raise Bug(f"a template that can't be read reached the mapping: {found.message}")
    return found


def columns_of(template: Template, available: Columns) -> dict[str, Column]:
    """The name that a column has in the template -> the column. Raises Bug for a name that no column has."""
    found = {column.name: column for column in available} if template.reads_all else {}
    for name in template.names:
        column = column_named(available, name)
        if column is None:
            raise Bug("a column that the model does not have reached the mapping", column=name)
        found[name] = column
    return found


def value_maker(
    rule: r.TemplateRule,
    cells: Sequence[Cell],
    variables: Mapping[str, Any],
    wanted: FieldType,
) -> Callable[[Sequence[Any]], Any]:
    """The function from a row to what the rule makes of it; None where it makes nothing.

    A template makes text. `as`, else the type of the field, says what the text stands for. Where that is not text,
    blank output is null. Where it is text, it is sent as it is, and `empty_string: null` makes blank output null.
    """
    template = template_of(rule)
    known = nested(variables)
    render = template.render
    convert = _converter(rule, wanted)
    blank_is_null = convert is not None or rule.empty_string == "null"

    def make(row: Sequence[Any]) -> Any:
        values = {name: None if (value := row[place]) is None else read(value) for name, place, read in cells}
        text = render(values, known)
        if blank_is_null and not text.strip():
            return None
        return text if convert is None else convert(text)

    return make


def reader(column: Column, timezone: str | None) -> Callable[[Any], Any]:
    """How a column's value is read into a template: as a mapping would send it, but numbers to count with."""
    match column.type:
        case ColumnType.TEXT | ColumnType.BOOLEAN:
            return lambda value: value
        case ColumnType.INTEGER:
            return lambda value: value if type(value) is int else int(value)
        case ColumnType.DECIMAL:
            return _decimal
        case ColumnType.JSON:
            return read_document
        case _:
            return natural(column.type, ZoneInfo(timezone) if timezone else None)


def _decimal(value: Any) -> Decimal:
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise Mismatch(value, "a finite number")
    return number


def _converter(rule: r.TemplateRule, wanted: FieldType) -> Callable[[str], Any] | None:
    """What reads the output; None where text is what is wanted."""
    to = rule.as_ or offer(ColumnType.TEXT, wanted)
    match to:
        case None | "string":
            return None
        case "object":
            return lambda text: _json_output(text, dict, "a JSON object")
        case "array":
            return lambda text: _json_output(text, list, "a JSON array")
        case _:
            return conversion(to, None, ZoneInfo(rule.timezone) if rule.timezone else None)


def _json_output(text: str, kind: type, said: str) -> Any:
    try:
        made = read_sendable(text)
    except TooDeep as fault:
        raise Mismatch(text, said, str(fault)) from None
    except ValueError:
        made = None
    if not isinstance(made, kind):
        raise Mismatch(text, said, _MAP_AN_OBJECT if kind is dict else "")
    return made

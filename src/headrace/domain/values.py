"""The value part of a mapping: each rule becomes a function from a row to what is sent, compiled once, run per row.

In: rules, and the columns the model has. Out: functions, and the list of columns they read. A value that does not fit
is a `Mismatch`; inside an object or a list every one of them is found, not only the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from headrace.domain import rules as r
from headrace.domain.coerce import Mismatch, conversion, is_sent_as_it_is, jsonable, natural, read_document
from headrace.domain.columns import Column, Columns, ColumnType, column_named
from headrace.domain.errors import Bug
from headrace.domain.spec import Field, FieldType

Row = Sequence[Any]
Compute = Callable[[Row], Any]
INHERITED = ("null", "empty_string", "timezone")
"""Options of an object or a list that hold for every rule inside that says nothing itself."""


class _Skip:
    """The value of a rule that is to be left out."""

    def __repr__(self) -> str:
        return "SKIP"


SKIP = _Skip()


class Mismatches(Exception):
    """Values inside one object or list that do not fit, each with its path.

    `rest` is the object or list all the same, with null where a value did not fit.
    """

    def __init__(self, found: Sequence[Mismatch], rest: Any) -> None:
        self.found = tuple(found)
        self.rest = rest
        super().__init__("; ".join(map(str, found)))


def each_mismatch(refused: Mismatch | Mismatches) -> Iterator[Mismatch]:
    """The single faults in what a function of a rule raised."""
    yield from refused.found if isinstance(refused, Mismatches) else (refused,)


@dataclass(slots=True)
class RuleCompiler:
    """Turns rules into functions and keeps the list of columns they read."""

    available: Columns
    variables: Dict[str, Any]
    read: list[Column] = field(default_factory=list)

    def column(self, name: str) -> Column:
        found = column_named(self.available, name)
        if found is None:
            raise Bug("a column that the model does not have reached the mapping", column=name)
        if found not in self.read:
            self.read.append(found)
        return found

    def reads(self, rule: r.Rule) -> list[str]:
        """The columns a rule reads, in the order it reads them, repeats included."""
        match rule:
            case r.ColumnRule():
                return [rule.column]
            case r.ColumnsRule():
                return list(rule.columns)
            case r.ObjectRule():
                return [name for inner in rule.object.values() for name in self.reads(inner)]
            case r.ArrayRule():
                return [name for inner in rule.array for name in self.reads(inner)]
            case r.TemplateRule():
                from headrace.domain.templates import reading

                return [one.name for one in reading.columns_of(reading.template_of(rule), self.available).values()]
            case r.StaticRule() | r.VariableRule():
                return []

    def top(self, rule: r.Rule, spec: Field) -> Compute:
        """A rule that is a field of the object: nulls are left out unless it, or else the field, says otherwise."""
        compute = self._value(rule, spec.type)
        if (rule.null or ("send" if spec.sends_null else "skip")) == "skip":
            return lambda row: SKIP if (value := compute(row)) is None else value
        return compute

    def _value(self, rule: r.Rule, wanted: FieldType = FieldType.ANY) -> Compute:
        """`wanted` is the type of the field that the rule is for; inside an object every type is its own."""
        match rule:
            case r.ColumnRule():
                return self._column_value(rule)
            case r.StaticRule():
                constant = self._constant(rule.static, rule)
                return lambda _row: constant
            case r.VariableRule():
                variable = self._constant(self.variables[rule.variable], rule)
                return lambda _row: variable
            case r.ObjectRule():
                inside = {key: _inherited(rule, inner) for key, inner in rule.object.items()}
                build = self._object({key: (self._value(inner), inner.null) for key, inner in inside.items()})
                plain = {key: one for key, one in inside.items() if isinstance(one, r.ColumnRule)}
                return self._quickly(plain, build) if len(plain) == len(inside) else build
            case r.ColumnsRule():
                options = rule.model_dump(by_alias=True, include={"as_", "empty_string", "timezone"})
                each = {name: r.ColumnRule(column=name, **options) for name in rule.columns}
                build = self._object({name: (self._column_value(one), rule.null) for name, one in each.items()})
                return self._quickly({name: one for name, one in each.items() if rule.null != "skip"}, build)
            case r.ArrayRule():
                members = [_inherited(rule, inner) for inner in rule.array]
                return self._array([(self._value(inner), inner.null) for inner in members])
            case r.TemplateRule():
                return self._template(rule, wanted)
            case _:
                assert_never(rule)

    def _template(self, rule: r.TemplateRule, wanted: FieldType) -> Compute:
        from headrace.domain.templates import reading  # slow to import, and most syncs have no template

        found = reading.columns_of(reading.template_of(rule), self.available)
        cells = [
            reading.Cell(name, self.read.index(self.column(column.name)), reading.reader(column, rule.timezone))
            for name, column in found.items()
        ]
        return reading.value_maker(rule, cells, self.variables, wanted)

    def _column_value(self, rule: r.ColumnRule) -> Compute:
        column = self.column(rule.column)
        index = self.read.index(column)
        convert = self._convert(rule)
        if rule.empty_string != "null":
            if is_sent_as_it_is(convert):
                return itemgetter(index)
            return lambda row: None if (value := row[index]) is None else convert(value)

        def convert_unless_empty(row: Row) -> Any:
            value = row[index]
            if value is None or value == "":
                return None
            # What was not text may be empty text as JSON: "" in a JSON column, bytes of length 0.
            return None if (converted := convert(value)) == "" else converted

        return convert_unless_empty

    def _constant(self, value: Any, rule: r.Rule) -> Any:
        if value is None or (value == "" and rule.empty_string == "null"):
            return None
        return jsonable(value) if rule.as_ is None else conversion(rule.as_, None, _zone(rule))(value)

    def _quickly(self, rules: Dict[str, r.ColumnRule], build: Compute) -> Compute:
        """`build` for an object of plain columns, in half the time: taken at once, and converted where that is needed.

        Whatever does not fit is left to `build`, which finds every fault.
        """
        simple = all(one.null != "skip" and one.empty_string != "null" for one in rules.values())
        if len(rules) < 2 or not simple:
            return build
        take = itemgetter(*(self.read.index(self.column(one.column)) for one in rules.values()))
        keys = tuple(rules)
        converts = {key: self._convert(one) for key, one in rules.items()}
        needed = [(key, convert) for key, convert in converts.items() if not is_sent_as_it_is(convert)]

        def build_quickly(row: Row) -> Any:
            built = dict(zip(keys, take(row), strict=True))
            try:
                for key, convert in needed:
                    if (value := built[key]) is not None:
                        built[key] = convert(value)
            except (Mismatch, Mismatches):
                return build(row)
            return built

        return build_quickly

    def _convert(self, rule: r.ColumnRule) -> Callable[[Any], Any]:
        column, zone = self.column(rule.column), _zone(rule)
        return natural(column.type, zone) if rule.as_ is None else _converter(rule.as_, column, zone)

    @staticmethod
    def _object(parts: Dict[str, tuple[Compute, str | None]]) -> Compute:
        items = [(key, compute, null == "skip") for key, (compute, null) in parts.items()]

        def build(row: Row) -> dict[str, Any]:
            built: dict[str, Any] = {}
            refused: list[Mismatch] = []
            for key, compute, skips in items:
                try:
                    value = compute(row)
                except (Mismatch, Mismatches) as fault:
                    refused += _below(key, fault)
                    built[key] = _rest_of(fault)
                    continue
                if value is None and skips:
                    continue
                built[key] = value
            if refused:
                raise Mismatches(refused, built)
            return built

        return build

    @staticmethod
    def _array(parts: Sequence[tuple[Compute, str | None]]) -> Compute:
        items = [(str(place), compute, null == "skip") for place, (compute, null) in enumerate(parts)]

        def build(row: Row) -> list[Any]:
            built: list[Any] = []
            refused: list[Mismatch] = []
            for place, compute, skips in items:
                try:
                    value = compute(row)
                except (Mismatch, Mismatches) as fault:
                    refused += _below(place, fault)
                    built.append(_rest_of(fault))
                    continue
                if value is None and skips:
                    continue
                built.append(value)
            if refused:
                raise Mismatches(refused, built)
            return built

        return build


def _rest_of(refused: Mismatch | Mismatches) -> Any:
    return refused.rest if isinstance(refused, Mismatches) else None


def _below(key: str, refused: Mismatch | Mismatches) -> Iterator[Mismatch]:
    for mismatch in each_mismatch(refused):
        mismatch.path = (key, *mismatch.path)
        yield mismatch


def _inherited(outer: r.Rule, inner: r.Rule) -> r.Rule:
    """The rule inside with the options that it leaves to the one around it."""
    unsaid = {name: getattr(outer, name) for name in INHERITED if getattr(inner, name) is None}
    return inner.model_copy(update={name: value for name, value in unsaid.items() if value is not None})


def _zone(rule: r.Rule) -> ZoneInfo | None:
    return ZoneInfo(rule.timezone) if rule.timezone else None


def _converter(to: r.AsType, column: Column, zone: ZoneInfo | None) -> Callable[[Any], Any]:
    """The function behind `as` for a column: what needs reading is read first, so that `as` sees the value."""
    wanted = conversion(to, column.type, zone)
    if column.type is ColumnType.JSON:
        return lambda value: None if (document := read_document(value)) is None else wanted(document)
    if column.type is ColumnType.DATETIME and to == "string":
        local = natural(ColumnType.DATETIME, zone)
        return lambda value: wanted(local(value))
    return wanted

"""Mappings that a person would probably write: columns against the fields of an object, by name and by type.

In: a sync as far as it is written, what its object declares, the model's columns. Out: suggestions with a reason and a
confidence, what is still missing, and the columns that are left out. A suggestion is never worse than lint allows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from headrace.domain import rules as r
from headrace.domain.columns import Column, Columns, ColumnType, column_named
from headrace.domain.config import MatchConfig, SyncConfig
from headrace.domain.fitting import fits, offer
from headrace.domain.spec import Field, FieldType, Mode, ObjectSpec

NEAR = 0.8
"""How alike two names must be to be told of each other: `emial` and `email` are, `plan_name` and `name` are not."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_TIME_WORDS = frozenset({"at", "on", "date", "time", "day", "datetime", "timestamp"})
_ID_TYPES = (ColumnType.TEXT, ColumnType.INTEGER, ColumnType.DECIMAL)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One line of a mapping. `place` is the field, or the field that holds keys of one's own and the key inside it."""

    place: tuple[str, ...]
    column: str
    as_: r.AsType | None
    confidence: float
    why: str
    required: bool = False
    section: bool = False
    """Whether the field is a section of the sync and stands beside `fields`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that no line is suggested for, and why."""

    column: str
    why: str


@dataclass(frozen=True, slots=True)
class Suggestions:
    """All that can be said of a mapping. `missing` names what the object requires and no column gives."""

    lines: tuple[Suggestion, ...]
    missing: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    field: Field
    column: Column
    as_: r.AsType | None
    likeness: float
    why: str


def suggest(sync: SyncConfig, target: ObjectSpec, columns: Columns, known_keys: Collection[str] = ()) -> Suggestions:
    """Lines for what the sync does not map yet: required fields first, then fields, then keys of one's own.

    `known_keys` are keys that other syncs give records of this kind; a column is spelled as they are.
    """
    taken = {column.name for name in _columns_read(sync) if (column := column_named(columns, name)) is not None}
    free = [column for column in columns if column.name not in taken]
    matched = sync.match.field if sync.match else None
    open_fields = [
        one
        for one in target.fields
        if one.name not in (*sync.rules, matched) and one.name not in _keys_of(sync, one.inside)
    ]
    required = _required(sync, target)
    chosen, unfit = _choose(target, [one for one in open_fields if one.type is not FieldType.OBJECT], free, required)
    lines = [
        Suggestion(
            (one.field.name,),
            one.column.name,
            one.as_,
            one.likeness,
            one.why,
            one.field.name in required,
            one.field.section,
        )
        for one in chosen
    ]
    used = {one.column for one in lines} | set(unfit)
    rest = [column for column in free if column.name not in used]
    keys, left_out = _own_keys(sync, target, rest, known_keys)
    given = {*sync.rules, *(one.place[0] for one in lines)}
    return Suggestions(
        lines=(*lines, *keys),
        missing=tuple(_missing(sync, target, given)),
        left_out=(*(LeftOut(name, why) for name, why in unfit.items()), *left_out),
    )


def suggest_match(target: ObjectSpec, columns: Columns, primary_key: Iterable[str], mode: Mode) -> MatchConfig | None:
    """By what a new sync's rows could find their records: the model's key, else the column whose name says so."""
    possible = [one for one in target.matchings if mode in one.modes]
    if not possible:
        return None
    matching = next((one for one in possible if one.is_field), possible[0])
    key = [column for name in primary_key if (column := column_named(columns, name)) is not None]
    if len(key) == 1 and key[0].type in _ID_TYPES:
        return MatchConfig(column=key[0].name, field=matching.field)
    names = [_words(matching.field), (target.name, "id"), ("id",)]
    for column in columns:
        if column.type in _ID_TYPES and _plain(_words(column.name)) in map(_plain, names):
            return MatchConfig(column=column.name, field=matching.field)
    return None


# What is mapped, and what must be ---------------------------------------------------------------------------------


def _columns_read(sync: SyncConfig) -> Iterator[str]:
    if sync.match is not None:
        yield sync.match.column
    for rule in sync.rules.values():
        yield from _read_by(rule)


def _read_by(rule: r.Rule) -> Iterator[str]:
    match rule:
        case r.ColumnRule():
            yield rule.column
        case r.ColumnsRule():
            yield from rule.columns
        case r.ObjectRule():
            for inner in rule.object.values():
                yield from _read_by(inner)
        case r.ArrayRule():
            for inner in rule.array:
                yield from _read_by(inner)
        case r.TemplateRule():
            from headrace.domain.templates.template import Template, read_template  # slow to import

            if isinstance(found := read_template(rule.template), Template):
                yield from found.names


def _keys_of(sync: SyncConfig, field: str | None) -> set[str]:
    """The keys that the sync gives a field that it maps as an object."""
    rule = sync.rules.get(field or "")
    return set(rule.object) if isinstance(rule, r.ObjectRule) else set()


def _required(sync: SyncConfig, target: ObjectSpec) -> set[str]:
    """The fields that the sync's mode and match need; of several of which one is enough, all while none is mapped."""
    mode = _mode_of(sync, target)
    names = {one.name for one in target.fields if mode in one.required_for}
    matched = sync.match.field if sync.match else None
    for rule in target.requirements:
        if rule.holds_for(matched, mode) and not set(rule.any_of) & sync.rules.keys():
            names.update(rule.any_of)
    return names


def _mode_of(sync: SyncConfig, target: ObjectSpec) -> Mode | None:
    if sync.mode is None and len(target.modes) > 1:
        return None
    return target.mode(sync.mode) if sync.mode is None or sync.mode in target.modes else None


def _missing(sync: SyncConfig, target: ObjectSpec, given: set[str]) -> Iterator[str]:
    matched = sync.match.field if sync.match else None
    mode = _mode_of(sync, target)
    for one in target.fields:
        if mode in one.required_for and one.name not in given and one.name != matched:
            yield f'No column fits the required field "{one.name}" ({one.type}): {one.help}'
    for rule in target.requirements:
        if rule.holds_for(matched, mode) and not given & set(rule.any_of):
            named = " or ".join(f'"{name}"' for name in rule.any_of)
            yield f"No column fits {named}. {rule.message.rstrip('.')}."


# Fields -----------------------------------------------------------------------------------------------------------


def _choose(
    target: ObjectSpec, fields: list[Field], columns: list[Column], required: set[str]
) -> tuple[list[_Candidate], dict[str, str]]:
    """Each field with its best column, each column once; and the columns whose name fits a field that they can't."""
    candidates: list[_Candidate] = []
    unfit: dict[str, str] = {}
    for field in fields:
        for column in columns:
            likeness, why = _likeness(target, field, column)
            if not likeness:
                continue
            as_ = None if column.is_empty or fits(column.type, field.type) else offer(column.type, field.type)
            if as_ is not None:
                why += f"; {column.type} becomes {field.type} by `as: {as_}`"
                likeness -= 0.2
            elif not column.is_empty and not fits(column.type, field.type):
                why = f'it has the name of the field "{field.name}", which takes {field.type}, and is {column.type}: '
                unfit.setdefault(column.name, why + "cast it in the model's SQL")
                continue
            candidates.append(_Candidate(field, column, as_, round(likeness, 2), why))
    order = {field.name: place for place, field in enumerate(fields)}
    candidates.sort(key=lambda one: (-one.likeness, one.field.name not in required, order[one.field.name]))
    chosen: dict[str, _Candidate] = {}
    used: set[str] = set()
    for one in candidates:
        if one.field.name not in chosen and one.column.name not in used:
            chosen[one.field.name] = one
            used.add(one.column.name)
    found = sorted(chosen.values(), key=lambda one: (one.field.name not in required, order[one.field.name]))
    return found, {name: why for name, why in unfit.items() if name not in used}


def _likeness(target: ObjectSpec, field: Field, column: Column) -> tuple[float, str]:
    """How much a column's name is a field's, 0 for not at all, and in which way."""
    if column.name == field.name:
        return 1.0, "the same name"
    own, said = _words(field.name), _words(column.name)
    if "".join(own) == "".join(said):
        return 0.95, "the same name, spelled another way"
    is_time = field.type in (FieldType.DATETIME, FieldType.DATE)
    plain = _plain(said, is_time=is_time)
    if plain and plain == _plain(own, is_time=is_time):
        return 0.9, "nearly the same name"
    if plain and plain in {_plain(name, is_time=is_time) for name in _other_names(target, field)}:
        return 0.85, "another name of it"
    alike = max(_overlap(plain, _plain(own, is_time=is_time)), _spelling("".join(own), "".join(said)))
    return (round(0.7 * alike, 2), "a near name") if alike >= NEAR else (0.0, "")


def _other_names(target: ObjectSpec, field: Field) -> Iterator[tuple[str, ...]]:
    """What else a column for the field may be called: `account_name` for the name of an account."""
    yield (*_words(target.name), *_words(field.name))
    if field.refers_to is not None:
        yield from (_words(field.refers_to), (*_words(field.refers_to), "id"))
    if field.type is FieldType.ID and target.matching(field.name) is not None:
        yield from ((*_words(target.name), "id"), ("id",))
    yield from map(_words, field.aliases)


def _words(name: str) -> tuple[str, ...]:
    """The words of a name in small letters, however it is put together: nextRenewalDate, next_renewal_date."""
    return tuple(word.lower() for word in _WORD.findall(name))


def _plain(words: Iterable[str], *, is_time: bool = False) -> tuple[str, ...]:
    """Words without what makes no difference: the plural, and for a moment the words that only say that it is one."""
    kept = [word for word in words if not (is_time and word in _TIME_WORDS)]
    return tuple(
        word[:-1] if len(word) > 2 and word.endswith("s") and not word.endswith("ss") else word for word in kept
    )


def _overlap(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    both = len(set(left) & set(right))
    return 2 * both / (len(set(left)) + len(set(right))) if both else 0.0


def _spelling(left: str, right: str) -> float:
    # Of short names every other one is alike: arr and mrr.
    return difflib.SequenceMatcher(None, left, right).ratio() if min(len(left), len(right)) > 4 else 0.0


# Keys of one's own ------------------------------------------------------------------------------------------------


_BYTES = "bytes; map it yourself if somebody is to read Base64"


def _own_keys(
    sync: SyncConfig, target: ObjectSpec, columns: list[Column], known_keys: Collection[str]
) -> tuple[list[Suggestion], list[LeftOut]]:
    """The columns that no field takes, as keys of the field that holds such."""
    if target.others is not None:
        why = "sent under its own name"
        named = [one for one in columns if one.type is not ColumnType.BINARY]
        return [Suggestion((one.name,), one.name, None, 0.5, why) for one in named], [
            LeftOut(one.name, _BYTES) for one in columns if one.type is ColumnType.BINARY
        ]
    home = next((one for one in target.fields if one.type is FieldType.OBJECT), None)
    if home is None:
        return [], [LeftOut(column.name, "no field has its name") for column in columns]
    rule = sync.rules.get(home.name)
    if rule is not None and not isinstance(rule, r.ObjectRule):
        why = f'"{home.name}" is mapped as a whole; write it as an object to add keys'
        return [], [LeftOut(column.name, why) for column in columns]
    there = _keys_of(sync, home.name)
    spellings = {"".join(_words(key)): key for key in sorted(known_keys)}
    lines: list[Suggestion] = []
    left_out: list[LeftOut] = []
    for column in columns:
        key = spellings.get("".join(_words(column.name)), column.name)
        if column.type is ColumnType.BINARY:
            left_out.append(LeftOut(column.name, _BYTES))
        elif key in there:
            left_out.append(LeftOut(column.name, f'"{home.name}" has a key "{key}" already'))
        else:
            known = key in known_keys
            why = "a key that other syncs send" if known else f"no field has its name: a key of {home.name}"
            likeness = 0.6 if known else 0.5
            lines.append(Suggestion((home.name, key), column.name, None, likeness, why, section=home.section))
            there.add(key)
    return lines, left_out

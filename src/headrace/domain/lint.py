"""Everything wrong with a sync, at once: its declaration against the destination's, its mapping against the columns.

In: configuration and, where the source could be asked, the model's columns. Out: findings, in the order a person reads
the sync. It asks nobody and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from headrace.domain import rules as r
from headrace.domain.coerce import Mismatch, check_field, conversion, jsonable, read_datetime
from headrace.domain.columns import Columns, ColumnType, column_named
from headrace.domain.config import SECTIONS, ModelConfig, SyncConfig
from headrace.domain.errors import Finding
from headrace.domain.fitting import converts, fits, may_be, offer
from headrace.domain.schedule import lint_schedule
from headrace.domain.shapes import near, shape_findings
from headrace.domain.spec import DestinationSpec, Field, FieldType, Mode, ObjectSpec, SyncTypeSpec


def lint_model(name: str, model: ModelConfig, columns: Columns) -> Iterator[Finding]:
    """The model's primary key against the columns that its source says it has."""
    for key in model.primary_key:
        if column_named(columns, key) is None:
            message = f'The primary key of model "{name}" is "{key}", but the model has no such column.'
            message += near(key, [column.name for column in columns])
            yield Finding("column_missing", message, f"models.{name}.primary_key")


def lint_sync(name: str, sync: SyncConfig, spec: DestinationSpec, columns: Columns | None) -> Iterator[Finding]:
    """All faults of a sync. `columns` None: the source was not asked, and what needs columns is left to the run."""
    path = f"syncs.{name}"
    sync_type = spec.sync_type(sync.type)
    if sync_type is None:
        known = [one.name for one in spec.sync_types]
        message = f'{spec.title} has no sync type "{sync.type}".{near(sync.type, known)}'
        yield Finding("unknown_value", message, f"{path}.type")
        return
    target = sync_type.object(sync.object)
    if target is None:
        known = [one.name for one in sync_type.objects]
        said = f'has no object "{sync.object}"' if sync.object else "needs an object"
        message = f"Sync type {sync.type} {said}.{near(sync.object or '', known)}"
        yield Finding("unknown_value" if sync.object else "field_required", message, f"{path}.object")
        if len(sync_type.objects) > 1:
            return
        target = sync_type.objects[0]  # what else is wrong can be said: no other can be meant
    yield from _lint_choices(path, sync, target)
    yield from _lint_sections(path, sync, sync_type, target)
    yield from _lint_settings(path, sync, sync_type, target)
    yield from _lint_fields(path, sync, target, columns)
    yield from _lint_required(path, sync, target)


def _lint_choices(path: str, sync: SyncConfig, target: ObjectSpec) -> Iterator[Finding]:
    """Mode, match, removed rule, parents, schedule."""
    modes = sorted(target.modes)
    if sync.mode is None and len(modes) > 1:
        yield Finding("field_required", f"A mode is required: {', '.join(modes)}.", f"{path}.mode")
    elif sync.mode is not None and sync.mode not in target.modes:
        said = f'There is no mode "{sync.mode}"' if sync.mode not in set(Mode) else f'"{sync.mode}" is no mode here'
        only = f" {target.title} have one way only: leave mode out."
        message = f"{said}.{only if len(modes) == 1 else near(sync.mode, modes)}"
        yield Finding("unknown_value", message, f"{path}.mode")
    if not target.matchings:
        if sync.match is not None:
            message = f"{target.title} are told apart by the model's primary key alone. Take match out."
            yield Finding("unknown_key", message, f"{path}.match")
    elif sync.match is None:
        message = "A match is required: {column: ..., field: ...}."
        yield Finding("field_required", message, f"{path}.match")
    elif (matching := target.matching(sync.match.field)) is None:
        known = [one.field for one in target.matchings]
        message = f'{target.title} can\'t be matched on "{sync.match.field}".{near(sync.match.field, known)}'
        yield Finding("unknown_value", message, f"{path}.match.field")
    elif (mode := _mode_of(sync, target)) is not None and mode not in matching.modes:
        message = f'Matching on "{matching.field}" works in mode {" or ".join(sorted(matching.modes))} only.'
        yield Finding("mode_not_allowed", message, f"{path}.match.field")
    if sync.removed not in target.removed_rules:
        message = f"Removed rows of {target.title} can't be answered with {sync.removed}, only with "
        message += f"{' or '.join(sorted(target.removed_rules))}."
        yield Finding("unknown_value", message, f"{path}.removed")
    if sync.schedule is not None:
        yield from lint_schedule(f"{path}.schedule", sync.schedule)


def _lint_sections(path: str, sync: SyncConfig, sync_type: SyncTypeSpec, target: ObjectSpec) -> Iterator[Finding]:
    """Sections that belong to other sync types."""
    for section in SECTIONS:
        spec = target.field(section)
        if getattr(sync, section) is not None and not (spec and spec.section):
            hint = f" Write {section} under fields." if spec else ""
            message = f'The section "{section}" does not belong to sync type {sync_type.name}.{hint}'
            yield Finding("unknown_key", message, f"{path}.{section}")


def _lint_settings(path: str, sync: SyncConfig, sync_type: SyncTypeSpec, target: ObjectSpec) -> Iterator[Finding]:
    """The settings of the object, by their declared shape and then against the rest of the sync."""
    here = f"{path}.settings"
    if target.settings is None:
        if sync.settings:
            yield Finding("unknown_key", f"Sync type {sync_type.name} has no settings. Take them out.", here)
        return
    model = target.settings.model
    try:
        settings = model.model_validate(sync.settings)
    except ValidationError as error:
        yield from shape_findings(error, sync.settings, here, sorted(model.model_fields))
        return
    for found in target.settings.check(settings, sync):
        yield replace(found, path=f"{path}.{found.path}")


def _lint_fields(path: str, sync: SyncConfig, target: ObjectSpec, columns: Columns | None) -> Iterator[Finding]:
    if sync.match and columns is not None:
        yield from _lint_match_column(f"{path}.match.column", sync, columns)
    if not sync.rules:
        yield Finding("field_required", "No field is mapped.", f"{path}.fields")
    for name, rule in sync.rules.items():
        spec = target.field(name)
        here = f"{path}.fields.{name}"
        if spec is not None and spec.section:
            if name in sync.fields:
                message = f'"{name}" is a section of its own. Write it beside fields, not under it.'
                yield Finding("unknown_key", message, here)
                continue
            here = f"{path}.{name}"
        elif name not in sync.fields:
            continue  # a section of another sync type, said already
        if sync.match and name == sync.match.field and name in ("externalId", "id"):
            message = f'"{name}" is what the sync matches on; it is sent by itself. Take it out of fields.'
            yield Finding("field_twice", message, here)
        elif spec is None:
            known = [one.name for one in target.fields]
            message = f'{target.title} has no field "{name}".{near(name, known)}'
            if target.field("traits") is not None:
                message += " A value of your own belongs inside traits."
            yield Finding("unknown_field", message, here)
        elif spec.section and isinstance(rule, r.ObjectRule) and isinstance(getattr(sync, name), dict):
            for key, inner in rule.object.items():
                reserved = target.field(key)
                if reserved is not None and reserved.inside == name and key in sync.fields:
                    message = f'"{key}" is a field too, and the field is what is sent. Take it out of {name}.'
                    yield Finding("field_twice", message, f"{here}.{key}")
                yield from _lint_rule(f"{here}.{key}", inner, FieldType.ANY, columns, None)
        else:
            yield from _lint_rule(here, rule, spec.type, columns, spec)


def _lint_match_column(path: str, sync: SyncConfig, columns: Columns) -> Iterator[Finding]:
    assert sync.match is not None
    column = column_named(columns, sync.match.column)
    if column is None:
        yield _column_missing(path, sync.match.column, columns)
    elif column.type not in (ColumnType.TEXT, ColumnType.INTEGER, ColumnType.DECIMAL):
        message = f'Column "{column.name}" is {column.type} ({column.native}); a record is found by text or by a whole '
        message += "number. Cast it in the model's SQL."
        yield Finding("type_mismatch", message, path)


def _lint_rule(
    path: str, rule: r.Rule, wanted: FieldType, columns: Columns | None, spec: Field | None
) -> Iterator[Finding]:
    """One rule, and the rules inside it. `spec` is None inside an object, where every type is its own."""
    if rule.by is not None and (spec is None or spec.refers_to is None):
        yield Finding("unknown_key", '"by" belongs to references to other records only.', f"{path}.by")
    elif rule.by is not None and spec is not None and rule.by not in spec.by:
        message = f'"{spec.name}" takes ids by {" or ".join(sorted(spec.by))} here. Leave "by" out.'
        yield Finding("unknown_value", message, f"{path}.by")
    if rule.as_ is not None and isinstance(rule, r.ObjectRule | r.ArrayRule):
        message = '"as" converts one value; write it on the rules inside.'
        yield Finding("unknown_key", message, f"{path}.as")
    if rule.timezone is not None and not _is_zone(rule.timezone):
        message = f'"{rule.timezone}" is no IANA time zone. Write for example Europe/Berlin.'
        yield Finding("unknown_value", message, f"{path}.timezone")
    match rule:
        case r.ColumnRule():
            yield from _lint_column(path, f"{path}.column", rule, wanted, columns)
        case r.StaticRule():
            between = spec.between if spec else None
            yield from _lint_constant(f"{path}.static", "The static value", rule.static, rule, wanted, between)
        case r.VariableRule():
            yield from _lint_variable(path, rule, wanted)
        case r.TemplateRule():
            yield from _lint_template(path, rule, wanted, columns)
        case r.ObjectRule():
            if wanted not in (FieldType.OBJECT, FieldType.ANY):
                yield _mismatch(path, "This is an object", wanted)
            for key, inner in rule.object.items():
                yield from _lint_rule(f"{path}.object.{key}", inner, FieldType.ANY, columns, None)
        case r.ColumnsRule():
            if wanted not in (FieldType.OBJECT, FieldType.ANY):
                yield _mismatch(path, "This is an object of columns", wanted)
            for name in rule.columns:
                each = r.ColumnRule.model_validate({"column": name, "as": rule.as_})
                yield from _lint_column(f"{path}.columns", f"{path}.columns", each, FieldType.ANY, columns)
        case r.ArrayRule():
            if wanted not in (FieldType.REFERENCES, FieldType.TEXTS, FieldType.LIST, FieldType.ANY):
                yield _mismatch(path, "This is a list", wanted)
            one = FieldType.REFERENCE if wanted is FieldType.REFERENCES else FieldType.ANY
            for number, inner in enumerate(rule.array):
                yield from _lint_rule(f"{path}.array.{number}", inner, one, columns, None)


def _lint_column(
    path: str, named_at: str, rule: r.ColumnRule, wanted: FieldType, columns: Columns | None
) -> Iterator[Finding]:
    if rule.as_ is not None:
        yield from _lint_as(path, rule.as_, wanted)
    if columns is None:
        return
    column = column_named(columns, rule.column)
    if column is None:
        yield _column_missing(named_at, rule.column, columns)
    elif column.is_empty:
        return
    elif rule.as_ is not None and not converts(column.type, rule.as_):
        said = f'Column "{column.name}" is {column.type} ({column.native}), and no such value is {_ARTICLES[rule.as_]}'
        mend = " Take `as` away, or cast the column in the model's SQL."
        yield Finding("type_mismatch", f"{said}: `as: {rule.as_}` would refuse every row.{mend}", path)
    elif rule.as_ is None and not fits(column.type, wanted):
        mend = ""
        if (as_ := offer(column.type, wanted)) is not None:
            mend = f" Add `as: {as_}` to convert it."
        if wanted is FieldType.OBJECT:
            mend = f" Map an object of columns instead: {{object: {{{rule.column}: {{column: {rule.column}}}}}}}."
            mend += " If the text holds a JSON object, add `as: object`." if column.type is ColumnType.TEXT else ""
        said = f'Column "{column.name}" is {column.type} ({column.native})'
        yield _mismatch(path, said, wanted, mend or " Cast it in the model's SQL.")


_ARTICLES: dict[r.AsType, str] = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "datetime": "a datetime",
    "date": "a date",
    "object": "an object",
    "array": "a list",
}


def _lint_as(path: str, as_: r.AsType, wanted: FieldType) -> Iterator[Finding]:
    """Whether a value of that type may stand in the field at all."""
    if not may_be(as_, wanted):
        yield _mismatch(path, f"With as: {as_} this", wanted)


_VARIABLE_EXAMPLES: dict[str, Any] = {"run.id": 12, "run.started_at": "2026-01-31T09:30:00.000Z"}
"""What a variable looks like; those that are not here are names."""


def _lint_variable(path: str, rule: r.VariableRule, wanted: FieldType) -> Iterator[Finding]:
    if rule.variable not in r.VARIABLES:
        message = f'There is no variable "{rule.variable}".{near(rule.variable, r.VARIABLES)}'
        yield Finding("unknown_value", message, f"{path}.variable")
        return
    example = _VARIABLE_EXAMPLES.get(rule.variable, "a name")
    yield from _lint_constant(path, f'The variable "{rule.variable}", such as', example, rule, wanted)


def _lint_template(path: str, rule: r.TemplateRule, wanted: FieldType, columns: Columns | None) -> Iterator[Finding]:
    from headrace.domain.templates.template import Complaint, read_template  # slow to import, and seldom needed

    if rule.as_ is not None:
        yield from _lint_as(path, rule.as_, wanted)
    found = read_template(rule.template)
    for code, message, name, known in [found] if isinstance(found, Complaint) else found.complaints(columns):
        yield Finding(code, message + (near(name, known) if name else ""), f"{path}.template")


def _lint_constant(
    path: str, said: str, value: Any, rule: r.Rule, wanted: FieldType, between: tuple[int, int] | None = None
) -> Iterator[Finding]:
    """A value that is the same for every row: what the mapping will make of it is known now."""
    if value is None:
        return
    try:
        zone = ZoneInfo(rule.timezone) if rule.timezone and _is_zone(rule.timezone) else None
        made = jsonable(value) if rule.as_ is None else conversion(rule.as_, None, zone)(value)
        check_field(made, wanted, between)
        if wanted in (FieldType.DATETIME, FieldType.DATE):
            read_datetime(made, zone)
    except Mismatch as mismatch:
        yield Finding("type_mismatch", f"{said} {mismatch}.", path)


def _lint_required(path: str, sync: SyncConfig, target: ObjectSpec) -> Iterator[Finding]:
    """Fields that this mode and match need and nobody mapped: all of them, each with the destination's own words."""
    mapped = {name for name, rule in sync.rules.items() if not _gives_nothing(rule)}
    matched = sync.match.field if sync.match else None
    mode = _mode_of(sync, target)
    for spec in target.fields:
        if mode is not None and mode in spec.required_for and spec.name not in mapped and spec.name != matched:
            here = f"{path}.{spec.name}" if spec.section else f"{path}.fields.{spec.name}"
            yield Finding("field_required", f'Required field: "{spec.name}".', here)
    for rule in target.requirements:
        if rule.holds_for(matched, mode) and not mapped.intersection(rule.any_of):
            yield Finding(rule.code, rule.message, f"{path}.fields.{rule.any_of[0]}")


def _gives_nothing(rule: r.Rule) -> bool:
    """Whether a rule is null or blank for every row."""
    match rule:
        case r.StaticRule(static=value):
            return value is None or (isinstance(value, str) and not value.strip())
        case r.TemplateRule(template=text):
            return not text.strip()
        case _:
            return False


def _mode_of(sync: SyncConfig, target: ObjectSpec) -> Mode | None:
    """The sync's mode; None where it has none that the object knows."""
    try:
        mode = target.mode(sync.mode)
    except ValueError:
        return None
    return mode if mode in target.modes else None


def _column_missing(path: str, name: str, columns: Columns) -> Finding:
    message = f'The model has no column "{name}".{near(name, [column.name for column in columns])}'
    return Finding("column_missing", message, path)


def _mismatch(path: str, said: str, wanted: FieldType, mend: str = "") -> Finding:
    return Finding("type_mismatch", f"{said}, the field takes {wanted}.{mend}", path)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True

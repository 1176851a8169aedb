"""Writes docs/reference from the program itself: commands, configuration, codes, each destination's declaration.

`make docs` runs it; a test says when a page is stale. What the code does not say of a key yet is in `MEANINGS`.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import headrace.service
from headrace.cli.main import build
from headrace.destinations import DESTINATION_KINDS, destination_kind
from headrace.destinations.http.statuses import Statuses
from headrace.destinations.settings import RateLimitSetting
from headrace.domain import channels, config, rules
from headrace.domain.access import Role, Scope
from headrace.domain.codes import ABOUT, CODES
from headrace.domain.columns import ColumnType
from headrace.domain.fitting import AS_TYPES, converts, fits, offer
from headrace.domain.json_values import MOST_DIGITS, MOST_LEVELS
from headrace.domain.outcome import FACES, Face, RowOutcome, RunStatus
from headrace.domain.spec import (
    MODE_HELP,
    REMOVED_HELP,
    DestinationSpec,
    Field,
    FieldType,
    Mode,
    ObjectSpec,
    SyncTypeSpec,
)
from headrace.domain.templates.catalogue import FILTERS, FilterSpec
from headrace.domain.templates.environment import DEEPEST, TAGS
from headrace.domain.templates.template import LONGEST
from headrace.domain.templates.values import MOST_CHARACTERS, MOST_ITERATIONS, MOST_WORK
from headrace.domain.variables import VARIABLES
from headrace.service.documents import SECTION
from headrace.service.verbs import VERBS

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
GOLDEN = Path(__file__).parents[1] / "unit" / "domain" / "liquid_golden.json"
CARRIED = Path(__file__).parents[1] / "contract" / "sources" / "types.json"
MADE = "<!-- Made by `make docs` from the code. Do not edit. -->"

MEANINGS = {
    "FileSource.type": "The kind of file.",
    "PostgresSource.type": "A Postgres database.",
    "PostgresSource.url": "`postgresql://user:password@host/database`, kept as a secret.",
    "PostgresSource.host": "In place of `url`.",
    "PostgresSource.port": "With `host`.",
    "PostgresSource.database": "Required with `host`.",
    "PostgresSource.user": "Required with `host`. A role that may only SELECT is enough.",
    "PostgresSource.password": "With `host`.",
    "PostgresSource.sslmode": "With `host`; as libpq has it.",
    "ModelConfig.source": "Name of a source.",
    "ModelConfig.sql": "One SELECT. One of `sql`, `sql_file`, `table` is required.",
    "ModelConfig.table": "Name of a table or view. For CSV and Parquet it is `rows`.",
    "ModelConfig.description": "For people.",
    "MatchConfig.column": "Column of the model.",
    "MatchConfig.field": "Field of the object.",
    "Guard.max_removed": "Held above so many removals.",
    "Guard.max_removed_percent": "Held above this share of the known records.",
    "Every.every": "How often.",
    "Cron.cron": "Five fields: minute, hour, day, month, weekday.",
    "Cron.timezone": "IANA zone that the fields are read in.",
    "SyncConfig.model": "Name of a model.",
    "SyncConfig.destination": "Name of a destination.",
    "SyncConfig.type": "How rows are delivered: a sync type of the destination.",
    "SyncConfig.object": "The kind of record that rows become. Left out where the sync type has one only (events).",
    "SyncConfig.mode": "What may happen to a record: upsert, update or insert. Left out where there is one way only.",
    "SyncConfig.match": "By what a row finds its record. Left out for events, which the primary key tells apart.",
    "SyncConfig.fields": "Field of the object -> rule.",
    "SyncConfig.traits": "Trait -> rule, for analytics objects. (REST objects have them under `fields`.)",
    "SyncConfig.event": "The name of the event, for events: a column, or the same for all.",
    "SyncConfig.timestamp": "When the event happened, for events.",
    "SyncConfig.properties": "Property -> rule, for events.",
    "SyncConfig.parameters": "Placeholder of a path -> rule, for requests whose address depends on the row.",
    "SyncConfig.settings": "What the object takes beside fields; its destination's page lists it.",
    "SyncConfig.removed": "What happens to the record of a row that left the model.",
    "SyncConfig.guard": "How many removals may be made unasked.",
    "SyncConfig.recheck_skipped_after": "When a skipped row is asked again although it did not change.",
    "SyncConfig.schedule": "When it runs by itself, where a server is up.",
    "WebhookChannel.type": "A webhook.",
    "EmailChannel.type": "Mail.",
    "AppriseChannel.type": "Any place that Apprise knows. Needs `headrace[apprise]`.",
    "WorkspaceConfig.name": "Part of what makes message ids unique. Do not change it once events were sent.",
    "ColumnRule.column": "Name of the column.",
    "StaticRule.static": "The value.",
    "VariableRule.variable": "Name of the variable.",
    "ObjectRule.object": "Key -> rule.",
    "ArrayRule.array": "The rules, in order.",
    "ColumnsRule.columns": "Names of columns.",
}


def pages() -> dict[str, str]:
    """File name in docs/reference -> text."""
    made = {
        "access.md": access_page(),
        "cli.md": cli_page(),
        "configuration.md": configuration_page(),
        "codes.md": codes_page(),
        "environment.md": environment_page(),
        "templates.md": templates_page(),
        "types.md": types_page(),
    }
    for kind in DESTINATION_KINDS:
        made[f"{kind}.md"] = destination_page(destination_kind(kind).SPEC)
    return made


# Markdown ---------------------------------------------------------------------------------------------------------


def page(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"# {title}", "", MADE, "", *lines]).rstrip() + "\n"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    found = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    if found:
        yield f"| {' | '.join(headers)} |"
        yield f"|{'---|' * len(headers)}"
        for row in found:
            yield f"| {' | '.join(row)} |"
        yield ""


def code(text: object) -> str:
    return f"`{text}`"


# Commands ---------------------------------------------------------------------------------------------------------


def cli_page() -> str:
    return page("Commands", _cli_lines())


def _cli_lines() -> Iterator[str]:
    root: Any = typer.main.get_command(build())
    yield from (str(root.help), "")
    yield from _parameters(root)
    yield "Exit codes: 0 all well; 1 rows were rejected or invalid; 2 wrong use or a fault of the configuration;"
    yield "3 the run failed or was cancelled; 4 held by the guard; 130 interrupted."
    yield ""
    for path, command in commands():
        if getattr(command, "commands", None) and not _does_something(command):
            continue
        yield f"## {path}"
        yield ""
        yield str(command.help or "").strip()
        yield ""
        yield "```"
        yield usage(path, command)
        yield "```"
        yield ""
        yield from _parameters(command)


def _does_something(group: Any) -> bool:
    """Whether a group is a command of its own, as `headrace syncs` is."""
    return bool(getattr(group, "invoke_without_command", False))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and group with its whole name, in the order of the help."""

    def below(path: str, group: Any) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if command.hidden:
                continue
            yield f"{path} {name}", command
            if getattr(command, "commands", None):
                yield from below(f"{path} {name}", command)

    yield from below("headrace", typer.main.get_command(build()))


def usage(path: str, command: Any) -> str:
    """`headrace runs show RUN [OPTIONS]`."""
    words = [path]
    options = [one for one in command.params if one.opts[0].startswith("-")]
    for one in command.params:
        if one not in options:
            shown = (one.metavar or one.name.upper()).strip("[]")
            words.append(shown if one.required else f"[{shown}]")
    words += [f"{one.opts[0]} {one.metavar or _kind(one)}" for one in options if one.required]
    return " ".join([*words, "[OPTIONS]"] if options else words)


def _parameters(command: Any) -> Iterator[str]:
    rows = []
    for one in command.params:
        if getattr(one, "hidden", False) or one.name in ("install_completion", "show_completion"):
            continue
        option = one.opts[0].startswith("-")
        if not option and not one.help:
            continue  # its name in the usage says it all
        shown = ", ".join(one.opts) if option else (one.metavar or one.name.upper()).strip("[]")
        if option and not one.is_flag:
            shown += f" {one.metavar or _choices(one) or _kind(one)}"
        default = "" if one.default in (None, False, ()) or one.required or not option else code(one.default)
        rows.append((code(shown), one.help or "", default))
    yield from table(("argument or option", "meaning", "default"), rows)


def _choices(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(str(one.value) for one in annotation)
    return "|".join(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ""


def _kind(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    return {int: "N", float: "X", Path: "PATH"}.get(annotation, "TEXT")


# Configuration ----------------------------------------------------------------------------------------------------


def configuration_page() -> str:
    return page("Configuration", _configuration_lines())


def _configuration_lines() -> Iterator[str]:
    yield f"YAML with the sections {', '.join(code(one) for one in SECTION.values())}, `workspace`,"
    yield "in one file or a folder of files."
    yield "`headrace schema` prints the same as JSON Schema, for an editor's completion."
    yield ""
    chapters: list[tuple[str, str, type[BaseModel]]] = [
        ("Sources: duckdb, sqlite, csv, parquet", "sources", config.FileSource),
        ("Sources: postgres", "sources", config.PostgresSource),
        ("Models", "models", config.ModelConfig),
        ("Syncs", "syncs", config.SyncConfig),
        ("Sequences", "sequences", config.SequenceConfig),
        ("Channels: webhook", "channels", channels.WebhookChannel),
        ("Channels: email", "channels", channels.EmailChannel),
        ("Channels: apprise", "channels", channels.AppriseChannel),
        ("The workspace", "workspace", config.WorkspaceConfig),
    ]
    for title, section, model in chapters:
        yield from (f"## {title}", "", f"{_doc(model)} Section `{section}`.", "")
        yield from keys(model)
    yield from ("## Destinations", "")
    for kind in DESTINATION_KINDS:
        yield f"Section `destinations`. The keys of type `{kind}` stand in [its own page]({kind}.md#settings)."
    yield "Each takes `alerts` beside them: [alerts](#alerts)."
    yield ""
    yield from (
        "## Rules",
        "",
        "A rule says where the value of a field comes from. Its kind is the one key that names it.",
        "",
    )
    for rule in _rule_kinds():
        own = next(name for name in rule.model_fields if name in rules.KINDS)
        yield from (f"### {own}", "", _doc(rule), "")
        yield from keys(rule, only=[own])
    yield from ("### Options of a rule", "", "These stand beside the key that names the kind.", "")
    yield from keys(rules.ColumnRule, leave=["column"])
    yield from ("### Variables", "")
    yield from table(("variable", "value"), ((code(name), said) for name, said in rules.VARIABLES.items()))
    for title, model in (
        ("Secrets", config.SecretRef),
        ("Match", config.MatchConfig),
        ("Guard", config.Guard),
        ("Alerts", config.AlertsConfig),
        ("Schedule: every", config.Every),
        ("Schedule: cron", config.Cron),
    ):
        yield from (f"## {title}", "", _doc(model), "")
        yield from keys(model)
    yield from (
        "## Spans of time",
        "",
        "A whole number and a unit: `90s`, `15m`, `24h`, `7d`. A number alone is seconds.",
    )


def _rule_kinds() -> list[type[BaseModel]]:
    return [
        rules.ColumnRule,
        rules.StaticRule,
        rules.VariableRule,
        rules.ObjectRule,
        rules.ArrayRule,
        rules.ColumnsRule,
        rules.TemplateRule,
    ]


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def keys(model: type[BaseModel], only: Sequence[str] = (), leave: Sequence[str] = ()) -> Iterator[str]:
    """The table of a model's keys."""
    names = [name for name in model.model_fields if (not only or name in only) and name not in leave]
    yield from table(("key", "value", "default", "meaning"), _key_rows(model, names))


def _key_rows(model: type[BaseModel], names: Iterable[str], within: str = "") -> Iterator[tuple[str, ...]]:
    """One row a key; the keys inside a key follow it: `answers`, `answers.delivered`."""
    for name in names:
        field = model.model_fields[name]
        key = within + (field.alias or name)
        inner = inner_model(field.annotation)
        words = "mapping" if inner else value_words(field.annotation, field)
        yield code(key), words, "" if inner and not field.is_required() else _default(field), meaning(model, name)
        if inner:
            yield from _key_rows(inner, inner.model_fields, f"{key}.")


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model that stands inside a key and has no page or heading of its own."""
    if get_origin(annotation) in (typing.Union, types.UnionType):
        found = [inner_model(one) for one in get_args(annotation)]
        return next((one for one in found if one), None)
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model and annotation not in _WORDS and not _is_rule(annotation) else None


def meaning(model: type[BaseModel], name: str) -> str:
    """What the code says of the key, else what stands in `MEANINGS`. Raises KeyError where nobody says anything."""
    return model.model_fields[name].description or MEANINGS[f"{model.__name__}.{name}"]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default in (None, {}, [], ""):
        return ""
    if isinstance(default, timedelta):
        return code(config.write_span(default))
    if isinstance(default, BaseModel):
        return code("{" + ", ".join(f"{key}: {value:g}" for key, value in default.model_dump().items()) + "}")
    if isinstance(default, list):
        return code(f"[{', '.join(default)}]")
    return code(default)


_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    timedelta: "[span](#spans-of-time)",
    config.SecretRef: "[secret](#secrets)",
    config.MatchConfig: "[match](#match)",
    config.Guard: "[guard](#guard)",
    config.AlertsConfig: "[alerts](#alerts)",
    config.Every: "[every](#schedule-every)",
    config.Cron: "[cron](#schedule-cron)",
    RateLimitSetting: "`{requests: N, per_seconds: N}`, or `none`",
    Any: "any value",
}


def value_words(annotation: Any, field: FieldInfo | None = None) -> str:
    """What a key takes, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return value_words(inner[0])
    if origin is Literal:
        return ", ".join(code(one) for one in inner)
    if origin in (typing.Union, types.UnionType):
        kinds = [one for one in inner if one is not type(None)]
        if any(_is_rule(one) for one in kinds):
            return "[rule](#rules)"
        return " or ".join(dict.fromkeys(value_words(one) for one in kinds))
    if origin is list and field is not None and Statuses.__metadata__[0] in field.metadata:
        return "list of statuses"
    if origin is list:
        return (
            "text, or a list of texts"
            if field and field.description
            else f"list of {value_words(inner[0])}"
            if _is_rule(inner[0]) or inner[0] is not str
            else "list of texts"
        )
    if origin is dict:
        return f"mapping of name to {value_words(inner[1])}"
    if _is_rule(annotation) or isinstance(annotation, str | typing.ForwardRef):
        return "[rule](#rules)"
    return _WORDS[annotation]


def _is_rule(annotation: Any) -> bool:
    if get_origin(annotation) is typing.Annotated:
        return _is_rule(get_args(annotation)[0])
    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation.__name__.endswith("Rule")


# Codes ------------------------------------------------------------------------------------------------------------


def environment_page() -> str:
    return page("Environment variables", _environment_lines())


def _environment_lines() -> Iterator[str]:
    yield "What Headrace reads for itself."
    yield "Secrets of a configuration have names of their own (`{env: NAME}`), and may stand in a `.env` file."
    yield ""
    yield from table(
        ("variable", "meaning", "default"), ((code(one.name), one.meaning, one.default) for one in VARIABLES)
    )


def codes_page() -> str:
    return page("Codes and words", _codes_lines())


def _codes_lines() -> Iterator[str]:
    yield "Every fault has a stable code. A code keeps its meaning from release to release."
    yield ""
    for about, said in ABOUT.items():
        yield from (f"## Of {'the ' if about != 'row' else 'a '}{about}", "", said, "")
        for name, one in CODES.items():
            if one.about == about:
                yield from (f"### {name}", "", one.meaning, "")
                yield from (f"- Usual cause: {one.cause}", f"- Mend: {one.mend}", "")
    yield from ("## Outcomes of a row", "", "Every planned row gets exactly one.", "")
    yield from _faces((word.value, FACES[word]) for word in RowOutcome)
    yield from ("## Statuses of a run", "")
    yield from _faces((word.value, FACES[word]) for word in RunStatus)


def _faces(words: Iterable[tuple[str, Face]]) -> Iterator[str]:
    yield from table(("word", "glyph", "next"), ((code(word), face.glyph, face.next_step) for word, face in words))


# Templates --------------------------------------------------------------------------------------------------------

GROUPS: dict[str, str] = {
    "text": "Text",
    "numbers": "Numbers",
    "lists": "Lists",
    "dates": "Dates",
    "data": "JSON, types, digests, patterns",
}


def templates_page() -> str:
    return page("Templates", _templates_lines())


def _templates_lines() -> Iterator[str]:
    yield "The tags, filters, variables and limits of `template` rules. How they are used is in"
    yield "[Build values with templates](../how-to/templates.md)."
    yield ""
    yield from ("## Variables", "", '`row` holds the columns of the row: `row.name`, `row["First name"]`.', "")
    yield from table(("variable", "value"), ((code(name), said) for name, said in rules.VARIABLES.items()))
    yield from ("## Tags", "", f"{_words(TAGS)}.", "")
    yield "## Filters"
    yield ""
    yield "An argument with `=` may be left out. One with `:` is written with its name. `⏎` stands for a line break."
    yield ""
    for group, title in GROUPS.items():
        yield from (f"### {title}", "")
        rows = [_filter_row(one) for one in FILTERS.values() if one.group == group]
        yield from table(("filter", "arguments", "what it makes", "example", "gives"), sorted(rows))
    yield from (
        "## Limits",
        "",
        "Where one is reached, the row is invalid with `template_error`. Nothing is cut off.",
        "",
    )
    yield from table(("limit", "value"), ((said, f"{value:,}") for said, value in LIMITS.items()))
    yield from (
        "## Differences from LiquidJS",
        "",
        "Checked against LiquidJS, case by case. On purpose it is different here:",
        "",
    )
    yield from (f"- {said}" for said in liquid_differences())
    yield from (f"- The filter `{name}` is not there: {why}." for name, why in NOT_THERE.items())


NOT_THERE = {
    "sample": "it would render another value each time",
    "inspect": "json does the same",
    "where_exp": "it reads Liquid out of a text when it runs, and lint could not see what; a loop does the same",
    "reject_exp": "see where_exp",
    "find_exp": "see where_exp",
    "find_index_exp": "see where_exp",
    "has_exp": "see where_exp",
    "group_by_exp": "see where_exp",
}
"""Filters of LiquidJS that are left out, and why."""

LIMITS = {
    "characters of the output, and of any value on the way": MOST_CHARACTERS,
    "turns of all loops of a template together, and numbers in a range": MOST_ITERATIONS,
    "characters that all filters and outputs of a template read and make together": MOST_WORK,
    "digits of a number": MOST_DIGITS,
    "blocks inside blocks": DEEPEST,
    "lists and objects inside each other in JSON that is read": MOST_LEVELS,
    "characters of the template itself": LONGEST,
}


def _filter_row(one: FilterSpec) -> tuple[str, ...]:
    return (
        code(one.name),
        code(one.arguments) if one.arguments else "",
        one.says,
        _inline(one.example),
        _inline(one.result),
    )


def _inline(text: str) -> str:
    """Code inside a table: a line break as it is written in a template's text, backticks kept."""
    shown = text.replace("\n", "⏎")
    return f"`` {shown} ``" if "`" in shown else code(shown)


def liquid_differences() -> list[str]:
    """What the golden set says is different on purpose, each once."""
    cases = json.loads(GOLDEN.read_text(encoding="utf-8"))["differences"]
    return list(cases.values())


# Types ------------------------------------------------------------------------------------------------------------

NULLS = (
    ("a field of the record", "left out", "`null: send` sends null"),
    ("a trait, a key of an object, a member of a list", "sent as null", "`null: skip` leaves it out"),
    ("the match column", "the row is invalid: [match_value_missing](codes.md#match_value_missing)", ""),
    ("a required field", "the row is invalid: [field_required](codes.md#field_required)", ""),
    ("a reference to one record", "left out", "`null: send` sends null"),
    ("a list of references", "left out", "invalid where one is required: [parent_required](codes.md#parent_required)"),
    ("a column that a template reads", "nothing is written for it", "blank output is null where the field is no text"),
)


def types_page() -> str:
    """What becomes of each type: from the tables of the mapping, and from the cases that the contract tests carry."""
    return page("Types", _types_lines())


def _types_lines() -> Iterator[str]:
    yield "What a column holds decides which fields it fits and how it is sent."
    yield from (f"Every source tells its columns in these types: {_words(ColumnType)}.", "")
    yield from ("## What fits which field", "")
    yield "`check` and `apply` compare each mapped column with its field. Where it does not fit and a conversion loses"
    yield "nothing, they offer it. A value that can't be converted is a fault of its row"
    yield from ("([type_mismatch](codes.md#type_mismatch)) that names field, value and expected type.", "")
    fitting = ((code(one), _words(kind for kind in ColumnType if fits(kind, one)), _offers(one)) for one in FieldType)
    yield from table(("field", "fits", "offered"), fitting)
    yield from ("## Conversions", "", "Columns that `as` can convert. Any other is refused when configured.", "")
    converting = ((f"`as: {one}`", _words(kind for kind in ColumnType if converts(kind, one))) for one in AS_TYPES)
    yield from table(("conversion", "columns"), converting)
    yield from ("## Nulls and empty text", "")
    yield from table(("a null in", "is", "otherwise"), NULLS)
    yield "Empty text is sent as it is; `empty_string: null` makes it null first."
    yield "On an object, a list or the list form, `null` and `empty_string` hold for every rule inside that says"
    yield from ("nothing itself.", "")
    yield from ("## How values are sent", "", "Every line is carried by a test through its source, twice.", "")
    for rule in json.loads(CARRIED.read_text(encoding="utf-8"))["rules"]:
        yield from (f"### {rule['name']}", "", rule["says"], "")
        yield from table(("source", "type", "value", "column", "sent"), map(_carried_row, rule["cases"]))


def _offers(field: FieldType) -> str:
    offered: dict[str, list[str]] = {}
    for kind in ColumnType:
        if not fits(kind, field) and (as_ := offer(kind, field)) is not None:
            offered.setdefault(as_, []).append(kind)
    return "; ".join(f"`as: {as_}` for {_words(kinds)}" for as_, kinds in offered.items())


def _carried_row(case: dict[str, Any]) -> tuple[str, ...]:
    values = case["value"] if isinstance(case["value"], list) else [case["value"]]
    sent = case["sent"] if isinstance(case["sent"], list) else [case["sent"]]
    column = code(case["column"]) + (f", `as: {case['as']}`" if "as" in case else "")
    told = ("a fault" if one.startswith("type_mismatch") else code(one) for one in sent)
    return case["source"], case["type"], ", ".join(map(code, values)), column, ", ".join(told)


# Destinations -----------------------------------------------------------------------------------------------------


def destination_page(spec: DestinationSpec) -> str:
    return page(spec.title, _destination_lines(spec))


def _destination_lines(spec: DestinationSpec) -> Iterator[str]:
    yield from (spec.help, "", "## Settings", "", f"Beside `type: {spec.type}`.", "")
    yield from (line.replace("](#s", "](configuration.md#s") for line in keys(spec.settings))
    yield from ("## Tokens", "")
    for secret in spec.secrets:
        yield from (f"### {secret.title}: `{secret.name}`", "")
        yield from (f"{number}. {step}" for number, step in enumerate(secret.steps, 1))
        yield ""
    yield from ("## Modes", "")
    objects = [target for sync_type in spec.sync_types for target in sync_type.objects]
    modes = frozenset[Mode]().union(*(one.modes for one in objects))
    yield from table(
        ("mode", "meaning"), ((code(mode.value), said) for mode, said in MODE_HELP.items() if mode in modes)
    )
    yield from ("## Removed rows", "")
    rules_here = frozenset[str]().union(*(one.removed_rules for one in objects))
    yield from table(
        ("removed", "what happens to the record"),
        ((code(rule), said) for rule, said in REMOVED_HELP.items() if rule in rules_here),
    )
    for sync_type in spec.sync_types:
        yield from _sync_type(sync_type)


def _sync_type(sync_type: SyncTypeSpec) -> Iterator[str]:
    yield from (f"## {sync_type.title}: `type: {sync_type.name}`", "")
    needs = f" It needs `{sync_type.secret}`." if sync_type.secret else ""
    yield from (f"{sync_type.help}{needs}", "")
    for target in sync_type.objects:
        yield from _object(target, alone=len(sync_type.objects) == 1)


def _object(target: ObjectSpec, *, alone: bool) -> Iterator[str]:
    written = "" if alone else f": `object: {target.name}`"
    yield from (f"### {target.title}{written}", "", target.help, "")
    if alone:
        yield "There is one object only: leave `object` out."
    if len(target.modes) == 1:
        yield "There is one way only: leave `mode` out."
    else:
        yield f"Modes: {_words(mode.value for mode in Mode if mode in target.modes)}."
    if not target.matchings:
        yield "The primary key tells them apart: leave `match` out."
    yield f"Removed rows: {_words(rule for rule in REMOVED_HELP if rule in target.removed_rules)}."
    if target.archives:
        yield "Here `delete` archives the record: it is hidden, and not gone."
    yield ""
    matchings = (
        (code(one.field), _words(mode.value for mode in Mode if mode in one.modes), one.help)
        for one in target.matchings
    )
    if target.matchings:
        yield from table(("match on", "modes", "meaning"), matchings)
    yield from table(
        ("field", "type", "meaning", "notes"),
        ((code(one.name), one.type.value, one.help, _notes(one, target)) for one in target.fields + _others(target)),
    )
    if target.settings is not None:
        yield from (f"Under `settings`. {_doc(target.settings.model)}", "")
        yield from keys(target.settings.model)
        if not target.once:
            yield f"Every row is sent again when one of these changes: {_words(sorted(target.settings.shaping))}."
            yield ""
    for rule in target.requirements:
        known = [one.field for one in target.matchings if rule.holds_for(one.field, next(iter(rule.modes)))]
        modes = "" if rule.modes >= target.modes else f" in mode {_words(m for m in Mode if m in rule.modes)}"
        which = f"Matching on {_words(known)}{modes}: at" if known else "At"
        which += f" least one of {_words(rule.any_of)}"
        yield f"- {which} must be mapped and not null ([{rule.code}](codes.md#{rule.code}))."
    yield from (f"- {said}" for said in target.notes)
    if target.requirements or target.notes:
        yield ""


def _others(target: ObjectSpec) -> tuple[Field, ...]:
    return (target.others,) if target.others is not None else ()


def _notes(field: Field, target: ObjectSpec) -> str:
    said = []
    if field.section:
        said.append(f"A section of its own: `{field.name}:` beside `fields:`.")
    if field.required_for == target.modes:
        said.append("Required.")
    elif field.required_for:
        said.append(f"Required for {_words(mode.value for mode in Mode if mode in field.required_for)}.")
    if field.refers_to:
        said.append(f"An id of {field.refers_to}s.")
    if field.sends_null:
        said.append("A null is sent; `null: skip` leaves it out.")
    if field.create_only:
        said.append("Sent when the record is created, never when it is updated.")
    if field.between:
        said.append(f"From {field.between[0]} to {field.between[1]}.")
    if field.inside:
        said.append(f"Travels inside `{field.inside}`.")
    if field.clearable and "clear" in target.removed_rules:
        said.append(f"{'Emptied' if field.type is FieldType.TEXTS else 'Set to null'} by `removed: clear`.")
    return " ".join(said)


def _words(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def access_page() -> str:
    """Every verb of the service with the scope it needs, and which roles hold that."""
    for module in pkgutil.iter_modules(headrace.service.__path__):
        importlib.import_module(f"headrace.service.{module.name}")
    lines = [
        "# Access",
        MADE,
        "What a person can ask for, on the command line, over the API and in the pages: the service checks it, "
        "whichever asks. [Decide who may come in](../how-to/access.md).",
        "## Roles",
        "| role | scopes |\n|---|---|\n"
        + "\n".join(f"| {role} | {', '.join(one for one in Scope if one in role.scopes)} |" for role in Role),
        "An API key has scopes of its own, `read` always among them, and never more than its person has now.",
        "## Verbs",
        "A verb of the column *log* leaves an entry in the audit log for each thing that it changes.",
    ]
    rows = ["| verb | needs | " + " | ".join(Role) + " | log | what it does |", "|---|---|" + "---|" * (len(Role) + 2)]
    for name, one in sorted(VERBS.items()):
        roles = " | ".join("yes" if one.needs in role.scopes else "" for role in Role)
        does = one.says.partition(" Raises ")[0]
        rows.append(f"| `{name}` | {one.needs} | {roles} | {'yes' if one.changes else ''} | {does} |")
    return "\n\n".join([*lines, "\n".join(rows)]) + "\n"


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()

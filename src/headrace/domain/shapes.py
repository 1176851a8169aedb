"""What is wrong with the shape of a document: pydantic's faults in our words, each with its address."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from headrace.domain.channels import CHANNEL_MODELS, CHANNEL_TYPES
from headrace.domain.config import AlertsConfig, ModelConfig, SequenceConfig, SyncConfig
from headrace.domain.errors import Finding
from headrace.domain.rules import KINDS

SOURCE_TYPES = ("duckdb", "sqlite", "csv", "parquet", "postgres")


def near(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the known names nearest to `name`, or lists them all where they are few."""
    choices = list(known)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.6)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return f" There are: {', '.join(sorted(choices))}." if 0 < len(choices) <= 20 else ""


def shape_findings(
    error: ValidationError, document: Mapping[str, Any], path: str, keys: Sequence[str] = ()
) -> Iterator[Finding]:
    """Every fault of a document that a model refused. `keys` are what an unknown key may have meant."""
    for detail in error.errors(include_url=False):
        where = _walk(detail["loc"], document)
        yield Finding(*_words(detail, where, keys, path), ".".join((path, *where)))


def _words(detail: ErrorDetails, where: Sequence[str], keys: Sequence[str], path: str) -> tuple[str, str]:
    """(code, message) of one of pydantic's faults."""
    name = where[-1] if where else "this"
    said = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            return "unknown_key", f'There is no key "{name}" here.{near(name, keys or _KEYS)}'
        case "missing":
            return "key_missing", f'"{name}" is required.'
        case "union_tag_not_found" | "union_tag_invalid":
            kind, types = ("channel", CHANNEL_TYPES) if path.startswith("channels.") else ("source", SOURCE_TYPES)
            return "unknown_value", f"A {kind} needs a type: {', '.join(types)}."
        case "literal_error":
            expected = str(detail.get("ctx", {}).get("expected", "")).replace("'", "")
            return "unknown_value", f'"{detail["input"]}" is no value of "{name}": it is one of {expected}.'
        case "value_error" | "not_a_rule" | "not_a_schedule":
            spoken = said if said[0].isupper() else f'"{name}" {said}'
            return ("wrong_type" if detail["type"] != "value_error" else "unknown_value"), f"{spoken}."
        case _:
            return "wrong_type", f'"{name}": {said[0].lower()}{said[1:]}.'


_MODELS: tuple[type[BaseModel], ...] = (SyncConfig, ModelConfig, SequenceConfig, AlertsConfig, *CHANNEL_MODELS)
_KEYS = sorted(
    {field.alias or name for model in _MODELS for name, field in model.model_fields.items()}
    | {"path", "type", "statement_timeout", "url", "host", "port", "database", "user", "password", "sslmode"}
    | {"as", "null", "empty_string", "by", "timezone", *KINDS}
)


def _walk(loc: Sequence[str | int], document: Any) -> list[str]:
    """Pydantic's location without the tags of its unions, which stand in no file."""
    found: list[str] = []
    node = document
    for number, step in enumerate(loc):
        last = number == len(loc) - 1
        inside = isinstance(node, Mapping) and step in node
        if isinstance(node, list) and isinstance(step, int) and step < len(node):
            inside = True
        follows = loc[number + 1] if not last else None
        if step in _TAGS and not last and (not inside or follows == step):
            continue
        found.append(str(step))
        node = node[step] if inside else None
    return found


_TAGS = frozenset(
    {*KINDS, *SOURCE_TYPES, *CHANNEL_TYPES, "every", "cron", "rule", "rules"}
    | {"alerts", "switch", "written", "reference"}
)

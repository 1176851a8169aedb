"""From a plain document to a checked object: pydantic's faults in our words, paths made whole, SQL files read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from headrace.destinations import DESTINATION_KINDS, destination_kind
from headrace.domain.config import DestinationConfig, ModelConfig, SourceConfig, SyncConfig
from headrace.domain.errors import Finding
from headrace.domain.lint import near
from headrace.domain.rules import KINDS

_SOURCE: TypeAdapter[Any] = TypeAdapter(SourceConfig)
SECTION = {"source": "sources", "model": "models", "destination": "destinations", "sync": "syncs"}
SOURCE_TYPES = ("duckdb", "sqlite", "csv", "parquet", "postgres")


def completed(kind: str, document: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Finding]]:
    """The document with its paths made whole and its SQL file read; findings have paths relative to the object."""
    whole = dict(document)
    findings: list[Finding] = []
    if kind == "source" and isinstance(whole.get("path"), str):
        whole["path"] = _absolute(whole["path"], folder)
    for key, value in list(whole.items()):
        if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
            whole[key] = {"file": _absolute(value["file"], folder)}
    if kind == "model" and "sql" in whole and "sql_file" in whole:
        findings.append(Finding("unknown_value", "A model has sql or sql_file, not both.", "sql_file"))
    elif kind == "model" and isinstance(whole.get("sql_file"), str):
        try:
            whole["sql"] = (folder / whole["sql_file"]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            message = f'The SQL file "{whole["sql_file"]}" can\'t be read: {why}.'
            findings.append(Finding("file_unreadable", message, "sql_file"))
    return whole, findings


def _absolute(path: str, folder: Path) -> str:
    return str(Path(path).expanduser() if Path(path).expanduser().is_absolute() else folder / path)


def parse(kind: str, name: str, document: Mapping[str, Any]) -> tuple[Any, list[Finding]]:
    """The object, or None and every fault of its shape. Paths are `<section>.<name>.<key>...`."""
    path = f"{SECTION[kind]}.{name}"
    try:
        match kind:
            case "source":
                return _SOURCE.validate_python(document), []
            case "model":
                return ModelConfig.model_validate(document), []
            case "sync":
                return SyncConfig.model_validate(document), []
            case _:
                return _destination(document, path)
    except ValidationError as error:
        return None, list(_findings(error, document, path))


def _destination(document: Mapping[str, Any], path: str) -> tuple[DestinationConfig | None, list[Finding]]:
    type_ = document.get("type")
    if type_ not in DESTINATION_KINDS:
        message = "A type is required" if type_ is None else f'There is no type of destination "{type_}"'
        code = "key_missing" if type_ is None else "unknown_value"
        return None, [Finding(code, f"{message}.{near(str(type_ or ''), DESTINATION_KINDS)}", f"{path}.type")]
    settings = {key: value for key, value in document.items() if key != "type"}
    try:
        destination_kind(str(type_)).SPEC.settings.model_validate(settings)
    except ValidationError as error:
        model = destination_kind(str(type_)).SPEC.settings
        return None, list(_findings(error, settings, path, sorted(model.model_fields)))
    return DestinationConfig(type=str(type_), settings=settings), []


def _findings(
    error: ValidationError, document: Mapping[str, Any], path: str, keys: Sequence[str] = ()
) -> Iterator[Finding]:
    for detail in error.errors(include_url=False):
        where = _walk(detail["loc"], document)
        yield Finding(*_words(detail, where, keys), ".".join((path, *where)))


def _words(detail: ErrorDetails, where: Sequence[str], keys: Sequence[str]) -> tuple[str, str]:
    """(code, message) of one of pydantic's faults."""
    name = where[-1] if where else "this"
    said = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            return "unknown_key", f'There is no key "{name}" here.{near(name, keys or _KEYS)}'
        case "missing":
            return "key_missing", f'"{name}" is required.'
        case "union_tag_not_found" | "union_tag_invalid":
            return "unknown_value", f"A source needs a type: {', '.join(SOURCE_TYPES)}."
        case "literal_error":
            expected = str(detail.get("ctx", {}).get("expected", "")).replace("'", "")
            return "unknown_value", f'"{detail["input"]}" is no value of "{name}": it is one of {expected}.'
        case "value_error" | "not_a_rule" | "not_a_schedule":
            spoken = said if said[0].isupper() else f'"{name}" {said}'
            return ("wrong_type" if detail["type"] != "value_error" else "unknown_value"), f"{spoken}."
        case _:
            return "wrong_type", f'"{name}": {said[0].lower()}{said[1:]}.'


_KEYS = sorted(
    {alias for model in (SyncConfig, ModelConfig) for alias in model.model_fields}
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


_TAGS = frozenset({*KINDS, *SOURCE_TYPES, "every", "cron", "rule", "rules"})


def dump(config: BaseModel | DestinationConfig) -> dict[str, Any]:
    """The document that is kept: what was said and no defaults, so that an export gives back what was applied."""
    if isinstance(config, DestinationConfig):
        return {"type": config.type, **config.settings}
    return config.model_dump(mode="json", by_alias=True, exclude_unset=True)

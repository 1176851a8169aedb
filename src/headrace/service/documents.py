"""From a plain document to a checked object: pydantic's faults in our words, paths made whole, SQL files read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from headrace.destinations import DESTINATION_KINDS, destination_kind
from headrace.domain.channels import ChannelConfig
from headrace.domain.config import (
    AlertsConfig,
    DestinationConfig,
    ModelConfig,
    SequenceConfig,
    SourceConfig,
    SyncConfig,
)
from headrace.domain.errors import Finding
from headrace.domain.shapes import near, shape_findings
from headrace.store.catalog import Kind

_SOURCE: TypeAdapter[Any] = TypeAdapter(SourceConfig)
_CHANNEL: TypeAdapter[Any] = TypeAdapter(ChannelConfig)
SECTION: dict[Kind, str] = {
    "source": "sources",
    "model": "models",
    "destination": "destinations",
    "sync": "syncs",
    "sequence": "sequences",
    "channel": "channels",
}


def completed(kind: str, document: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Finding]]:
    """The document with its paths made whole and its SQL file read; findings have paths relative to the object."""
    whole = dict(document)
    findings: list[Finding] = []
    if kind == "source" and isinstance(whole.get("path"), str):
        whole["path"] = _absolute(whole["path"], folder)
    whole = with_secret_files(kind, whole, lambda path: _absolute(path, folder))
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


def with_secret_files(kind: str, document: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The document of a source, destination or channel with the path of each file that holds a secret changed."""
    whole = dict(document)
    if kind not in ("source", "destination", "channel"):
        return whole
    many: set[str] = {"headers"} if kind == "channel" else set()
    if kind == "destination" and whole.get("type") in DESTINATION_KINDS:
        many = {one.name for one in destination_kind(whole["type"]).SPEC.secrets if one.many}

    def changed(reference: Any) -> Any:
        is_file = isinstance(reference, dict) and set(reference) == {"file"} and isinstance(reference["file"], str)
        return {"file": change(reference["file"])} if is_file else reference

    for key, value in document.items():
        inside = key in many and isinstance(value, dict)
        whole[key] = {name: changed(one) for name, one in value.items()} if inside else changed(value)
    return whole


def _absolute(path: str, folder: Path) -> str:
    return str(Path(path).expanduser() if Path(path).expanduser().is_absolute() else folder / path)


def parse(kind: Kind, name: str, document: Mapping[str, Any]) -> tuple[Any, list[Finding]]:
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
            case "sequence":
                return SequenceConfig.model_validate(document), []
            case "channel":
                return _CHANNEL.validate_python(document), []
            case _:
                return _destination(document, path)
    except ValidationError as error:
        return None, list(shape_findings(error, document, path))


def _destination(document: Mapping[str, Any], path: str) -> tuple[DestinationConfig | None, list[Finding]]:
    type_ = document.get("type")
    if type_ not in DESTINATION_KINDS:
        message = "A type is required" if type_ is None else f'There is no type of destination "{type_}"'
        code = "key_missing" if type_ is None else "unknown_value"
        return None, [Finding(code, f"{message}.{near(str(type_ or ''), DESTINATION_KINDS)}", f"{path}.type")]
    model = destination_kind(str(type_)).SPEC.settings
    settings = {key: value for key, value in document.items() if key not in ("type", "alerts")}
    findings: list[Finding] = []
    try:
        model.model_validate(settings)
    except ValidationError as error:
        findings += shape_findings(error, settings, path, [*sorted(model.model_fields), "alerts"])
    alerts = None
    if (written := document.get("alerts")) is not None:
        try:
            alerts = AlertsConfig.model_validate(written)
        except ValidationError as error:
            within = written if isinstance(written, Mapping) else {}
            findings += shape_findings(error, within, f"{path}.alerts", sorted(AlertsConfig.model_fields))
    if findings:
        return None, findings
    return DestinationConfig(type=str(type_), settings=settings, alerts=alerts), []


def dump(config: BaseModel | DestinationConfig) -> dict[str, Any]:
    """The document that is kept: what was said and no defaults, so that an export gives back what was applied."""
    if isinstance(config, DestinationConfig):
        document = {"type": config.type, **config.settings}
        return document | ({"alerts": dump(config.alerts)} if config.alerts is not None else {})
    return config.model_dump(mode="json", by_alias=True, exclude_unset=True)

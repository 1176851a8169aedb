"""Suggested mappings of a sync that is there or is to be: asked of the source and the catalog, told as YAML to paste.

It changes nothing; what a person takes of it goes through `check` and `apply` like any other line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.domain import rules as r
from headrace.domain.access import Scope
from headrace.domain.config import ModelConfig, SyncConfig
from headrace.domain.spec import Mode
from headrace.domain.suggest import Suggestion, Suggestions, suggest, suggest_match
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.verbs import verb
from headrace.sources import Query

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*\Z", re.ASCII)
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Suggested:
    """Suggestions for a sync. `is_new` says that the sync itself is suggested too."""

    name: str
    sync: SyncConfig
    is_new: bool
    needs_match: bool
    suggestions: Suggestions


class SuggestionService:
    """What could be mapped, for the syncs and models of one workspace."""

    def __init__(self, catalog: CatalogService, assembly: Assembly) -> None:
        self._catalog = catalog
        self._assembly = assembly

    @verb(Scope.READ)
    def for_sync(self, name: str) -> Suggested:
        """What the sync does not map yet. Raises NotFound, SourceError."""
        sync: SyncConfig = self._catalog.get("sync", name)
        return self._suggested(name, sync, is_new=False)

    @verb(Scope.READ)
    def for_model(self, model: str, destination: str, sync_type: str, kind: str | None) -> Suggested:
        """A whole new sync of that model. Raises NotFound, ConfigurationError for a type or object that is none."""
        name = f"{model}-to-{destination}"
        sync = SyncConfig(model=model, destination=destination, type=sync_type, object=kind)
        target = self._assembly.target_of(name, sync)
        mode = next(one for one in Mode if one in target.modes)
        config: ModelConfig = self._catalog.get("model", model)
        match = suggest_match(target, self._columns(config), config.primary_key, mode)
        sync = sync.model_copy(update={"mode": mode.value if len(target.modes) > 1 else None, "match": match})
        return self._suggested(name, sync, is_new=True)

    def _suggested(self, name: str, sync: SyncConfig, *, is_new: bool) -> Suggested:
        target = self._assembly.target_of(name, sync)
        columns = self._columns(self._catalog.get("model", sync.model))
        found = suggest(sync, target, columns, self._known_keys(sync))
        return Suggested(name, sync, is_new, bool(target.matchings), found)

    def _columns(self, model: ModelConfig) -> Any:
        return self._assembly.source(model.source).columns(Query(sql=model.sql, table=model.table))

    def _known_keys(self, sync: SyncConfig) -> set[str]:
        """The keys of their own that syncs give records of this kind at this destination."""
        found: set[str] = set()
        for name in self._catalog.names("sync"):
            other: SyncConfig = self._catalog.get("sync", name)
            if (other.destination, other.type, other.object) != (sync.destination, sync.type, sync.object):
                continue
            for rule in other.rules.values():
                found.update(rule.object if isinstance(rule, r.ObjectRule) else ())
        return found


def as_yaml(suggested: Suggested) -> str:
    """The suggestions as YAML: each line with its reason, and what is missing or left out as comments."""
    return "\n".join(_lines(suggested)) + "\n"


def _lines(suggested: Suggested) -> Iterator[str]:
    sync, found = suggested.sync, suggested.suggestions
    inner = ""
    if suggested.is_new:
        yield from ("syncs:", f"  {_scalar(suggested.name)}:")
        inner = "    "
        for key in ("model", "destination", "type", "object", "mode"):
            if (value := getattr(sync, key)) is not None:
                yield f"{inner}{key}: {_scalar(value)}"
        if sync.match is not None:
            yield f"{inner}match: {{column: {_scalar(sync.match.column)}, field: {_scalar(sync.match.field)}}}"
        elif suggested.needs_match:
            yield f"{inner}# match: {{column: ..., field: ...}}  # which column names the record is not plain"
    elif found.lines:
        yield f"# For the sync {json.dumps(suggested.name, ensure_ascii=False)}: add these to its fields."
    else:
        yield f"# Nothing is left to map in the sync {json.dumps(suggested.name, ensure_ascii=False)}."
    if fields := [one for one in found.lines if not one.section]:
        yield f"{inner}fields:"
        yield from _placed(fields, inner + "  ", "object:")
    yield from _placed([one for one in found.lines if one.section], inner, None)
    for missing in found.missing:
        yield f"{inner}# {_comment(missing)}"
    for one in found.left_out:
        yield f"{inner}# Left out: {_scalar(one.column)}: {_comment(one.why)}"


def _placed(lines: Sequence[Suggestion], indent: str, wraps: str | None) -> Iterator[str]:
    """The lines under their field or section; `wraps` is what a field writes around keys, and a section does not."""
    home: str | None = None
    for one in lines:
        if len(one.place) == 1:
            yield f"{indent}{_scalar(one.place[0])}: {_rule(one)}"
            continue
        if one.place[0] != home:
            home = one.place[0]
            yield f"{indent}{_scalar(home)}:"
            if wraps:
                yield f"{indent}  {wraps}"
        yield f"{indent}{'    ' if wraps else '  '}{_scalar(one.place[1])}: {_rule(one)}"


def _rule(one: Suggestion) -> str:
    as_ = f", as: {one.as_}" if one.as_ else ""
    required = "required; " if one.required else ""
    return f"{{column: {_scalar(one.column)}{as_}}} # {required}{_comment(one.why)}"


def _scalar(text: str) -> str:
    """A name as YAML reads it back."""
    if _PLAIN.match(text) and text.lower() not in _NOT_TEXT:
        return text
    return json.dumps(text)


def _comment(text: str) -> str:
    return " ".join(text.split())

"""Small pieces for the tests of the domain: columns, syncs as a person writes them, mappings and lint over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.destinations.vitally import SPEC
from headrace.domain.columns import Column, Columns, ColumnType
from headrace.domain.config import SyncConfig
from headrace.domain.errors import Finding
from headrace.domain.lint import lint_sync
from headrace.domain.mapping import Mapping, Record, RowRefused, compile_mapping
from headrace.domain.outcome import RowFault

VARIABLES = {
    "run.id": 7,
    "run.started_at": "2026-01-31T09:30:00.000Z",
    "sync.name": "accounts-to-vitally",
    "model.name": "accounts",
    "workspace.name": "default",
}

T = ColumnType


def columns_of(**types: ColumnType) -> Columns:
    return tuple(Column(name, kind, kind.value.upper()) for name, kind in types.items())


def sync_of(fields: dict[str, Any] | None = None, **other: Any) -> SyncConfig:
    """A sync of accounts, matched on external id by the column `id`."""
    document: dict[str, Any] = {
        "model": "accounts",
        "destination": "vitally",
        "type": "rest_objects",
        "object": "account",
        "mode": "upsert",
        "match": {"column": "id", "field": "externalId"},
        "fields": {"name": {"static": "Acme"}} if fields is None else fields,
    }
    return SyncConfig.model_validate(document | other)


def mapping_of(sync: SyncConfig, columns: Columns, variables: dict[str, Any] = VARIABLES) -> Mapping:
    target = SPEC.sync_types[0].object(sync.object or "")
    assert target is not None
    return compile_mapping(sync, target, columns, variables)


def record_of(sync: SyncConfig, columns: Columns, **values: Any) -> Record:
    """The record of a row with these values; columns that are not named are null, `id` is `a1`."""
    mapping = mapping_of(sync, columns)
    return mapping.record([({"id": "a1"} | values).get(column.name) for column in mapping.columns])


def faults_of(sync: SyncConfig, columns: Columns, **values: Any) -> list[RowFault]:
    try:
        record_of(sync, columns, **values)
    except RowRefused as refused:
        return list(refused.faults)
    return []


def trait(rule: dict[str, Any], kind: ColumnType, value: Any) -> Any:
    """What one rule makes of the value of its column `v`, inside traits."""
    sync = sync_of({"name": {"static": "Acme"}, "traits": {"object": {"x": rule}}})
    return record_of(sync, columns_of(id=T.TEXT, v=kind), v=value).values["traits"]["x"]


def lint(sync: SyncConfig, columns: Columns | None = None) -> list[Finding]:
    return list(lint_sync("it", sync, SPEC, columns))


def coded(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """(code, path below the sync) of each."""
    return [(finding.code, finding.path.removeprefix("syncs.it.")) for finding in findings]

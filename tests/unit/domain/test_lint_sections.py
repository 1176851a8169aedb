"""Sync types with one way only and with sections of their own: what is asked for, what is refused, and the mend."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.domain.config import SyncConfig

from .world import T, coded, columns_of, lint

COLUMNS = columns_of(id=T.TEXT, name=T.TEXT, at=T.DATETIME, text=T.TEXT, seats=T.INTEGER, account=T.TEXT)

USER: dict[str, Any] = {
    "model": "users",
    "destination": "vitally",
    "type": "analytics_objects",
    "object": "user",
    "match": {"column": "id", "field": "externalId"},
    "fields": {"accountIds": {"column": "account"}, "name": {"column": "name"}},
    "traits": {"seats": {"column": "seats"}},
}
EVENT: dict[str, Any] = {
    "model": "events",
    "destination": "vitally",
    "type": "events",
    "event": {"column": "name"},
    "timestamp": {"column": "at"},
    "fields": {"userId": {"column": "id"}},
    "properties": {"seats": {"column": "seats"}},
}


@pytest.mark.parametrize("document", [USER, EVENT], ids=["user", "event"])
def test_what_has_one_way_only_need_not_be_told(document: dict[str, Any]):
    assert [] == lint(SyncConfig.model_validate(document), COLUMNS)


@pytest.mark.parametrize(
    ("document", "change", "found"),
    [
        (USER, {"mode": "update"}, ("unknown_value", "mode", "leave mode out")),
        (USER, {"removed": "delete"}, ("unknown_value", "removed", "only with ignore")),
        (USER, {"event": {"static": "x"}}, ("unknown_key", "event", "does not belong to sync type analytics_objects")),
        (USER, {"fields": {"name": {"column": "name"}}}, ("parent_required", "fields.accountIds", "Must specify")),
        (
            USER,
            {"fields": USER["fields"] | {"traits": {"object": {}}}},
            ("unknown_key", "fields.traits", "Write it beside fields"),
        ),
        (
            USER,
            {"fields": {"accountIds": {"column": "account", "by": "vitally_id"}}},
            ("unknown_value", "fields.accountIds.by", "takes ids by external_id"),
        ),
        (USER, {"traits": {"seats": {"column": "seat"}}}, ("column_missing", "traits.seats.column", "seats or at?")),
        (
            USER,
            {"match": {"column": "id", "field": "email"}},
            ("unknown_value", "match.field", "There are: externalId"),
        ),
        (EVENT, {"event": None}, ("field_required", "event", "Required field")),
        (EVENT, {"fields": {}}, ("parent_required", "fields.userId", "userId, accountId or organizationId")),
        (EVENT, {"timestamp": {"column": "text"}}, ("type_mismatch", "timestamp", "as: datetime")),
        (EVENT, {"mode": "upsert"}, ("unknown_value", "mode", "leave mode out")),
        (EVENT, {"match": {"column": "id", "field": "externalId"}}, ("unknown_key", "match", "primary key alone")),
        (EVENT, {"object": "user"}, ("unknown_value", "object", "There are: event")),
        (EVENT, {"traits": {"a": {"static": 1}}}, ("unknown_key", "traits", "does not belong to sync type events")),
    ],
)
def test_each_fault_has_its_place_and_its_mend(
    document: dict[str, Any], change: dict[str, Any], found: tuple[str, str, str]
):
    findings = lint(SyncConfig.model_validate(document | change), COLUMNS)

    code, path, words = found
    (finding,) = findings
    assert (code, path) == coded(findings)[0]
    assert words in finding.message


def test_a_section_written_as_a_field_is_one_fault_and_not_missing_as_well():
    fields = {"event": {"static": "x"}, "userId": {"column": "id"}}

    findings = lint(SyncConfig.model_validate(EVENT | {"fields": fields, "event": None}), COLUMNS)

    assert [("unknown_key", "fields.event")] == coded(findings)

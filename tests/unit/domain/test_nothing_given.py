"""Null, empty and blank are not there, where something is required: when configured, and row by row."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.destinations.vitally import SPEC
from headrace.domain.config import SyncConfig
from headrace.domain.mapping import RowRefused, compile_mapping

from .world import T, coded, columns_of, lint

COLUMNS = columns_of(id=T.TEXT, name=T.TEXT, user=T.TEXT)


def events(**change: Any) -> SyncConfig:
    document = {"model": "m", "destination": "d", "type": "events", "event": {"column": "name"}}
    return SyncConfig.model_validate({**document, "fields": {"userId": {"column": "user"}}, **change})


@pytest.mark.parametrize("nothing", [{"static": None}, {"static": ""}, {"static": "  "}, {"template": " "}])
def test_a_rule_that_never_gives_anything_maps_nothing(nothing: dict[str, Any]):
    assert [("field_required", "event")] == coded(lint(events(event=nothing), COLUMNS))
    assert [("parent_required", "fields.userId")] == coded(lint(events(fields={"userId": nothing}), COLUMNS))


@pytest.mark.parametrize("blank", [None, "", " ", "\t\n"])
def test_a_blank_value_is_not_there(blank: str | None):
    target = SPEC.sync_type("events").object(None)
    mapping = compile_mapping(events(), target, COLUMNS, {})

    def faults(**values: Any) -> list[str]:
        row = {"name": "Seen", "user": "u"} | values
        with pytest.raises(RowRefused) as refused:
            mapping.record([row.get(column.name) for column in mapping.columns])
        return [one.code for one in refused.value.faults]

    assert ["field_required"] == faults(name=blank)
    assert ["parent_required"] == faults(user=blank)

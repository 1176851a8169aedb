"""Suggestions over a real source and catalog, and the YAML that a person pastes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ruamel.yaml import YAML

from headrace.app import App, Settings
from headrace.domain.config import MatchConfig
from headrace.domain.errors import ConfigurationError, NotFound
from headrace.domain.suggest import Suggestions
from headrace.service.suggestions import Suggested, as_yaml

PROJECT = """\
sources:
  warehouse: {type: duckdb, path: warehouse.duckdb}
models:
  accounts: {source: warehouse, primary_key: id, table: accounts}
destinations:
  vitally: {type: vitally, region: us, rest_api_token: {env: REST_TOKEN}}
syncs:
  names:
    model: accounts
    destination: vitally
    type: rest_objects
    object: account
    mode: upsert
    match: {column: id, field: externalId}
    fields: {name: {column: name}}
  others:
    model: accounts
    destination: vitally
    type: rest_objects
    object: account
    mode: update
    match: {column: id, field: externalId}
    fields: {traits: {object: {planName: {static: x}}}}
"""
COLUMNS = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "renewal_date": "VARCHAR",
    "plan_name": "VARCHAR",
    "on": "BOOLEAN",
    'a "b": # c': "INTEGER",
    "Größe": "DOUBLE",
    "two\nlines": "DATE",
    "logo": "BLOB",
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        quoted = (f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in COLUMNS.items())
        warehouse.execute(f"CREATE TABLE accounts ({', '.join(quoted)})")
    (tmp_path / "headrace.yaml").write_text(PROJECT)
    settings = Settings(tmp_path / "ws", None, 256, {"REST_TOKEN": "sk_live_1"})
    with App.open(settings, create=True) as opened:
        opened.catalog.apply(opened.catalog.check(tmp_path, offline=True))
        yield opened


TRAITS = {
    "planName": {"column": "plan_name"},
    "on": {"column": "on"},
    'a "b": # c': {"column": 'a "b": # c'},
    "Größe": {"column": "Größe"},
    "two\nlines": {"column": "two\nlines"},
}


def read(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_the_rest_of_a_sync_is_told_as_yaml_that_can_be_pasted(app: App):
    """Column names of a warehouse hold whatever somebody typed into a spreadsheet."""
    text = as_yaml(app.suggestions.for_sync("names"))

    wanted = {"nextRenewalDate": {"column": "renewal_date", "as": "datetime"}, "traits": {"object": TRAITS}}
    assert {"fields": wanted} == read(text)
    assert "# another name of it; text becomes datetime by `as: datetime`" in text
    assert "# Left out: logo: bytes" in text


def test_a_whole_sync_is_suggested_that_can_be_applied(app: App, tmp_path: Path):
    found = app.suggestions.for_model("accounts", "vitally", "rest_objects", "account")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "headrace.yaml").write_text(as_yaml(found), encoding="utf-8")

    checked = app.catalog.check(tmp_path / "more")

    assert [] == checked.findings
    assert [("sync", "accounts-to-vitally", "create")] == [(one.kind, one.name, one.action) for one in checked.edits]
    assert "upsert" == found.sync.mode
    assert MatchConfig(column="id", field="externalId") == found.sync.match


@pytest.mark.parametrize(("sync_type", "kind"), [("analytics_objects", "user"), ("events", None)])
def test_sections_of_their_own_are_written_as_such(app: App, tmp_path: Path, sync_type: str, kind: str | None):
    found = app.suggestions.for_model("accounts", "vitally", sync_type, kind)

    made = read(as_yaml(found))["syncs"]["accounts-to-vitally"]

    section = made["traits" if kind else "properties"]
    assert {"column": "Größe"} == section["Größe"]
    assert "mode" not in made
    assert ("match" in made) == (kind is not None)


def test_a_sync_without_anything_left_says_so(app: App):
    found = app.suggestions.for_sync("names")
    nothing = Suggested(found.name, found.sync, is_new=False, needs_match=True, suggestions=Suggestions((), (), ()))

    assert '# Nothing is left to map in the sync "names".\n' == as_yaml(nothing)


@pytest.mark.parametrize(
    ("sync_type", "kind", "mend"),
    [("rest_objects", "acount", "Did you mean account?"), ("rest_object", "account", "Did you mean rest_objects?")],
)
def test_a_kind_of_record_that_is_not_there_is_refused_with_the_nearest(app: App, sync_type: str, kind: str, mend: str):
    with pytest.raises(ConfigurationError) as caught:
        app.suggestions.for_model("accounts", "vitally", sync_type, kind)

    assert mend in caught.value.findings[0].message


def test_a_model_that_is_not_there_is_refused(app: App):
    with pytest.raises(NotFound):
        app.suggestions.for_model("acounts", "vitally", "rest_objects", "account")

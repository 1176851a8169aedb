"""Bad input gets a clear error and loses nothing. Each command ends with its code and without a traceback."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from headrace.emulator import Emulator

from .project import SYNC, Project, many

Change = dict[str, Any]


def put(document: Change, path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        document = document[part]
    if value is None:
        del document[last]
    else:
        document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("sources.crm.path", "nowhere.sqlite", "source_unreachable"),
        ("syncs.accounts.modus", "upsert", "unknown_key"),
        ("syncs.accounts.mode", 7, "wrong_type"),
        ("destinations.vitally.rest_api_token", {"env": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"),
        ("models.accounts.sql", "select id,\n name,\n pln from accounts", "line 3"),
        ("syncs.accounts.fields.name.column", "nmae", "column_missing"),
        ("destinations.vitally.region", "mars", "region"),
    ],
    ids=["missing file", "unknown key", "wrong type", "missing secret", "SQL error", "missing column", "wrong region"],
)
def test_a_fault_of_the_configuration_is_named_and_nothing_is_saved(path: str, value: Any, said: str, project: Project):
    project.rows(many(3))
    document = project.document()
    put(document, path, value)
    project.write(document)

    done = project.headrace("apply", "headrace.yaml")

    assert 2 == done.code
    assert said in done.both
    assert not (project.folder / ".headrace").exists()
    assert 0 == project.sent()


def test_bad_yaml_names_its_place(project: Project):
    (project.folder / "headrace.yaml").write_text("sources:\n  crm: {type: sqlite\nmodels: [\n")

    done = project.headrace("apply", "headrace.yaml")

    assert 2 == done.code
    assert "headrace.yaml:" in done.both


@pytest.mark.parametrize("statement", ["ALTER TABLE accounts RENAME COLUMN name TO title", "DROP TABLE accounts"])
def test_a_source_that_changed_under_us_fails_the_run_and_keeps_the_memory(statement: str, project: Project):
    project.rows(many(5))
    project.apply()
    project.run()
    before = project.sent()
    with closing(sqlite3.connect(project.folder / "crm.sqlite")) as connection, connection:
        connection.execute(statement)

    failed = project.headrace("run", SYNC, "--json")
    project.rows(many(5))

    assert (3, "failed", before) == (failed.code, failed.json["status"], project.sent())
    assert "name" in failed.json["error"]["message"] or "accounts" in failed.json["error"]["message"]
    assert 0 == project.run()["requests"], "what was delivered is still known"


def test_a_wrong_token_stops_at_once_with_one_error(project: Project, vitally: Emulator):
    project.rows(many(200))
    project.apply()

    done = project.headrace("run", SYNC, "--json", VITALLY_REST_TOKEN="sk_live_other")

    assert (3, "credentials_refused") == (done.code, done.json["error"]["code"])
    assert len(vitally.journal) <= 8, "no more than were under way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_workspace_that_may_not_be_read_is_said_so(project: Project):
    project.rows(many(1))
    project.apply()
    (project.folder / ".headrace").chmod(0)
    try:
        done = project.headrace("runs")
    finally:
        (project.folder / ".headrace").chmod(0o700)

    assert 3 >= done.code > 0
    assert "workspace" in done.both

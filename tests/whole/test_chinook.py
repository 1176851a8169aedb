"""The whole on a real database that nobody shaped for us: `examples/chinook`, as its README tells it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.emulator import Emulator

from .project import Project

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
CHINOOK = SHARED / "data" / "chinook.sqlite"
EXAMPLE = ROOT / "examples" / "chinook"


@pytest.fixture
def chinook(tmp_path: Path, vitally: Emulator) -> Project:
    """The example's folder, pointed at the emulator, beside a copy of the database."""
    if not CHINOOK.exists():
        why = (
            f"Chinook is not at {CHINOOK}: the test on a real database was NOT run. examples/chinook tells where it is."
        )
        if os.environ.get("CI") == "true" and SHARED.exists():
            pytest.fail(why)
        print(why, file=sys.__stderr__)
        pytest.skip(why)
    project = Project(tmp_path / "chinook", vitally)
    shutil.copy(CHINOOK, project.folder / "chinook.sqlite")
    os.chmod(project.folder / "chinook.sqlite", 0o644)
    for name in ("headrace.yaml", "update-only.yaml"):
        text = (EXAMPLE / name).read_text(encoding="utf-8")
        (project.folder / name).write_text(text.replace("http://127.0.0.1:8790", vitally.url), encoding="utf-8")
    project.environment["VITALLY_ANALYTICS_TOKEN"] = "analytics_test"
    return project


def reports(project: Project, *arguments: str) -> dict[str, dict[str, Any]]:
    """Sync -> what `run --json` says of it."""
    done = project.headrace("run", *arguments, "--json")
    assert 0 == done.code, done.both
    return {one["sync"]: one for one in map(json.loads, done.out.splitlines())}


def change(project: Project, sql: str) -> None:
    with closing(sqlite3.connect(project.folder / "chinook.sqlite")) as connection, connection:
        connection.execute(sql)


def ask(project: Project, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(project.folder / "chinook.sqlite")) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.slow
def test_chinook_from_its_warehouse_into_vitally(chinook: Project, vitally: Emulator):
    assert 0 == chinook.headrace("apply", "headrace.yaml").code

    first = reports(chinook, "--all")

    assert ["representatives", "accounts", "customers", "purchases"] == list(first), "parents before children"
    assert {"succeeded"} == {one["status"] for one in first.values()}
    assert [3, 59, 59, 412] == [one["delivered"] for one in first.values()]
    assert 5 == first["purchases"]["requests"], "a hundred events a request"
    made = [one for one in vitally.journal if one.method == "POST" and one.path.startswith("/resources/")]
    assert 121 == len(made), "one creation a record"
    state = vitally.state
    users = state.by_external_id("users")
    assert {f"{first} {last}" for first, last in ask(chinook, "SELECT FirstName, LastName FROM Customer")} == {
        one["name"] for one in users.values()
    }
    luis = users["1"]
    assert ("Luís Gonçalves", "luisg@embraer.com.br") == (luis["name"], luis["email"])
    assert ["Embraer - Empresa Brasileira de Aeronáutica S.A."] == [one["name"] for one in luis["accounts"]]
    traits = luis["traits"]
    assert (True, 7, 39.62) == (traits["has_fax"], traits["invoices"], traits["lifetime_value"])
    assert "São José dos Campos" == traits["address"]["city"]
    assert isinstance(traits["genres"], list)
    assert traits["last_invoice_at"].endswith("Z")
    accounts = state.by_external_id("accounts")
    assert {"Jane Peacock", "Margaret Park", "Steve Johnson"} == {
        one["name"] for one in state.by_external_id("organizations").values()
    }
    assert all(one["organizationId"] for one in accounts.values())
    alone = accounts["customer-2"]
    assert ("Leonie Köhler", False) == (alone["name"], alone["traits"]["is_company"])

    before = chinook.sent()
    second = reports(chinook, "--all")
    assert [0, 0, 0, 0] == [one["requests"] for one in second.values()]
    assert before == chinook.sent()

    change(chinook, "UPDATE Customer SET Phone = '+1 555 0100' WHERE CustomerId IN (2, 4, 5)")
    third = reports(chinook, "--all")
    assert [0, 0, 3, 0] == [one["requests"] for one in third.values()], "parents come from the cache"
    assert 3 == chinook.sent() - before
    assert {"+1 555 0100"} == {vitally.state.by_external_id("users")[one]["traits"]["phone"] for one in ("2", "4", "5")}


@pytest.mark.slow
def test_invoices_are_events_with_properties_and_each_is_sent_once(chinook: Project, vitally: Emulator):
    assert 0 == chinook.headrace("apply", "headrace.yaml").code
    reports(chinook, "--all")

    events = {one["messageId"]: one for one in vitally.state.events}

    assert 412 == len(events) == len(vitally.state.events)
    (total,) = ask(chinook, "SELECT round(sum(Total), 2) FROM Invoice")[0]
    assert total == round(sum(one["properties"]["total"] for one in events.values()), 2)
    (leonie,) = [one for one in events.values() if one["userId"] == "2" and one["timestamp"].startswith("2021-01-01")]
    assert ("Purchase", "customer-2") == (leonie["event"], leonie["accountId"])
    assert {
        "total": 1.98,
        "tracks": 2,
        "artists": ["Accept"],
        "summary": "2 tracks to Stuttgart, GERMANY",
        "delivered_to": {"city": "Stuttgart", "country": "Germany"},
    } == leonie["properties"]

    change(chinook, "UPDATE Invoice SET Total = 99 WHERE InvoiceId = 1")
    change(chinook, "DELETE FROM Invoice WHERE InvoiceId = 2")
    change(
        chinook,
        "INSERT INTO Invoice (InvoiceId, CustomerId, InvoiceDate, Total) VALUES (9001, 2, '2025-12-31 00:00:00', 1.98)",
    )
    again = reports(chinook, "purchases")["purchases"]
    assert (1, 1, 411) == (again["requests"], again["delivered"], again["unchanged"])
    assert 413 == len(vitally.state.events)


@pytest.mark.slow
def test_update_only_enriches_the_users_that_vitally_has_and_makes_none(chinook: Project, vitally: Emulator):
    buyers = ask(chinook, "SELECT CustomerId FROM Customer ORDER BY CustomerId")
    known = [str(key) for (key,) in buyers if key % 3]
    assert 0 == chinook.headrace("apply", "headrace.yaml").code
    reports(chinook, "representatives", "accounts")
    account = vitally.state.records("accounts")[0]["id"]
    vitally.seed("users", [{"externalId": key, "name": f"Known {key}", "accountIds": [account]} for key in known])
    assert 0 == chinook.headrace("apply", "update-only.yaml").code

    report = reports(chinook, "spending-of-known-users")["spending-of-known-users"]

    assert (len(known), 59 - len(known)) == (report["delivered"], report["skipped"])
    users = vitally.state.by_external_id("users")
    assert set(known) == set(users), "none was made"
    assert "Known 1" == users["1"]["name"], "what is not mapped is left alone"
    assert 39.62 == users["1"]["traits"]["lifetime_value"]
    again = chinook.headrace("rows", report["run"], "--outcome", "skipped", "--json").json
    assert {"record_not_found"} == {one["code"] for one in (again["rows"] if isinstance(again, dict) else again)}
    assert 0 == reports(chinook, "spending-of-known-users")["spending-of-known-users"]["requests"]

"""The API: objects with tags, runs, rows, calls, the configuration as a whole; faults as problem documents."""

from __future__ import annotations

import pytest

from headrace.domain.access import Role
from headrace.domain.outcome import Counts, RowOutcome, RunStatus
from headrace.engine.ports import OutcomeRecord
from headrace.store.runs import NewRun

from .conftest import Web


def test_an_object_is_put_only_where_its_tag_still_fits(web: Web) -> None:
    """Two people edit one sync: the second hears of the first instead of undoing their work."""
    client = web.client(Role.EDITOR)
    first = client.get("/api/v1/syncs/accounts")
    document = first.json()["document"] | {"removed": "clear"}
    tag = {"If-Match": first.headers["ETag"]}

    changed = client.put("/api/v1/syncs/accounts?offline=true", json=document, headers=tag)
    late = client.put("/api/v1/syncs/accounts?offline=true", json=document, headers=tag)

    assert (200, 412) == (changed.status_code, late.status_code)
    assert "changed_meanwhile" == late.json()["code"]
    assert changed.json()["etag"] != first.json()["etag"]


def test_every_fault_of_an_object_comes_back_at_once_and_nothing_is_saved(web: Web) -> None:
    client = web.client(Role.EDITOR)
    wrong = {"model": "nowhere", "destination": "crm", "type": "rest_objects", "object": "account", "mode": "delete"}

    answered = client.put("/api/v1/syncs/broken?offline=true", json=wrong)

    assert 422 == answered.status_code
    assert answered.headers["content-type"] == "application/problem+json"
    assert len(answered.json()["findings"]) > 1
    assert 404 == client.get("/api/v1/syncs/broken").status_code


def test_a_rename_takes_what_refers_to_it_along(web: Web) -> None:
    client = web.client(Role.EDITOR)

    answered = client.post("/api/v1/models/accounts/rename", json={"name": "companies"})

    assert 200 == answered.status_code
    assert "companies" == client.get("/api/v1/syncs/accounts").json()["document"]["model"]


def test_what_others_use_is_not_deleted(web: Web) -> None:
    client = web.client(Role.EDITOR)

    refused = client.delete("/api/v1/models/accounts")
    deleted = client.delete("/api/v1/syncs/accounts")

    assert (409, "in_use") == (refused.status_code, refused.json()["code"])
    assert 204 == deleted.status_code


def test_no_path_of_the_server_is_read_that_was_not_allowed(web: Web) -> None:
    """Over HTTP a path is a wish to read the server's disk."""
    client = web.client(Role.EDITOR)
    paths = ["/etc/passwd", "../../../etc/passwd", f"{web.project}/../other.duckdb"]

    answers = [client.put("/api/v1/sources/s", json={"type": "csv", "path": path}) for path in paths]
    secret = {"type": "vitally", "region": "us", "rest_api_token": {"file": "/etc/hostname"}}
    answers.append(client.put("/api/v1/destinations/d", json=secret))
    allowed = client.put("/api/v1/sources/s", json={"type": "duckdb", "path": f"{web.project}/warehouse.duckdb"})

    assert [422] * 4 == [one.status_code for one in answers]
    assert {"path_not_allowed"} == {one.json()["findings"][0]["code"] for one in answers}
    assert 200 == allowed.status_code


def test_a_trigger_is_answered_with_the_queued_run_and_its_key_holds(web: Web) -> None:
    client = web.client(Role.EDITOR)
    key = {"Idempotency-Key": "night-7"}

    first = client.post("/api/v1/syncs/accounts/runs", json={}, headers=key)
    again = client.post("/api/v1/syncs/accounts/runs", json={}, headers=key)
    other = client.post("/api/v1/syncs/accounts/runs", json={"full_resync": True}, headers=key)

    assert (202, 202, 409) == (first.status_code, again.status_code, other.status_code)
    assert first.json()["run"] == again.json()["run"]
    assert first.headers["Location"] == f"/api/v1/runs/{first.json()['run']}"
    assert "queued" == first.json()["status"]


def finished_run(web: Web, *outcomes: OutcomeRecord) -> int:
    run = web.app.workspace.runs.create(NewRun("accounts", "accounts"))
    with web.app.workspace.run_log(run.id, "scope") as log:
        log.append([], outcomes)
    web.app.workspace.runs.finish(run.id, RunStatus.SUCCEEDED_WITH_REJECTIONS, Counts(rows=len(outcomes)))
    return run.id


def rejected(key: str, position: int) -> OutcomeRecord:
    return OutcomeRecord(key, position, None, "upsert", RowOutcome.REJECTED, "destination_rejected", None, "=cmd()")


def test_pages_of_rows_hand_on_a_cursor_until_there_are_no_more(web: Web) -> None:
    run = finished_run(web, *(rejected(str(n), n) for n in range(5)))
    client = web.client(Role.VIEWER)

    first = client.get(f"/api/v1/runs/{run}/rows?limit=3").json()
    rest = client.get(f"/api/v1/runs/{run}/rows?limit=3&cursor={first['cursor']}").json()

    assert ["0", "1", "2", "3", "4"] == [one["key"] for one in (*first["items"], *rest["items"])]
    assert rest["cursor"] is None


def test_a_csv_of_rows_is_no_formula_to_a_spreadsheet(web: Web) -> None:
    run = finished_run(web, rejected("=1+1", 0))

    text = web.client(Role.VIEWER).get(f"/api/v1/runs/{run}/rows.csv").text

    assert "'=1+1" in text
    assert "'=cmd()" in text


def test_events_of_a_run_resume_after_the_last_id_and_end_with_the_run(web: Web) -> None:
    run = finished_run(web)
    for stage in ("fold", "read", "send"):
        web.app.workspace.events.append(run, "stage", {"stage": stage})
    client = web.client(Role.VIEWER)

    whole = client.get(f"/api/v1/runs/{run}/events").text
    rest = client.get(f"/api/v1/runs/{run}/events", headers={"Last-Event-ID": "2"}).text

    assert ["id: 1", "id: 2", "id: 3"] == [line for line in whole.splitlines() if line.startswith("id:")]
    assert ["id: 3"] == [line for line in rest.splitlines() if line.startswith("id:")]
    assert whole.rstrip().splitlines()[-2] == "event: end"


def test_the_configuration_goes_out_and_comes_back_unchanged(web: Web) -> None:
    client = web.client(Role.EDITOR)
    yaml = client.get("/api/v1/configuration").text

    checked = client.post("/api/v1/configuration/check?offline=true", json={"yaml": yaml}).json()
    applied = client.post("/api/v1/configuration/apply?offline=true", json={"yaml": yaml})

    assert [] == checked["changes"]
    assert 200 == applied.status_code, applied.text


def test_a_secret_goes_in_and_its_value_never_comes_back(web: Web) -> None:
    client = web.client(Role.EDITOR)

    put = client.put("/api/v1/secrets/crm.rest_api_token", json={"value": "sk_live_canary"})
    listed = client.get("/api/v1/secrets")

    assert 204 == put.status_code
    assert ["crm.rest_api_token"] == [one["name"] for one in listed.json()["items"]]
    assert "canary" not in listed.text


@pytest.mark.parametrize("path", ["/api/v1/runs?colour=red", "/api/v1/runs?cursor=x", "/api/v1/runs?limit=0"])
def test_a_wrong_parameter_is_told_and_not_passed_over(web: Web, path: str) -> None:
    """A misspelt filter that shows everything is worse than none."""
    answered = web.client(Role.VIEWER).get(path)

    assert 400 == answered.status_code
    assert answered.json()["detail"]


def test_preview_and_dry_run_answer_what_the_command_line_shows(web: Web) -> None:
    client = web.client(Role.VIEWER)

    preview = client.get("/api/v1/models/accounts/preview").json()
    plan = client.get("/api/v1/syncs/accounts/plan?requests=1").json()

    assert (2, True) == (len(preview["rows"]), preview["key"]["holds"])
    assert (2, 2) == (plan["rows"], plan["added"])
    assert 1 == len(plan["requests"])
    assert "sk_live_1" not in str(plan)


def test_a_model_that_is_none_is_refused_with_its_findings(web: Web) -> None:
    """What a person types is half a model most of the time."""
    answered = web.client(Role.EDITOR).post("/api/v1/preview", json={"source": "warehouse"})

    assert 422 == answered.status_code
    assert answered.json()["findings"]

"""Objects over HTTP: read with their tag, checked, replaced, renamed, deleted; every fault at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .world import SYNC, World


def codes(answer: httpx.Response) -> list[str]:
    return [one["code"] for one in answer.json()["findings"]]


def test_what_was_read_can_be_put_back_and_changes_nothing(admin: httpx.Client):
    """A page that loads and saves must not make a commit that nobody wrote."""
    for section, name in (
        ("sources", "warehouse"),
        ("models", "accounts"),
        ("destinations", "vitally"),
        ("syncs", SYNC),
    ):
        read = admin.get(f"/{section}/{name}")
        put = admin.put(f"/{section}/{name}", json=read.json()["document"], headers={"If-Match": read.headers["ETag"]})

        assert (200, "unchanged", read.headers["ETag"]) == (
            put.status_code,
            put.json()["action"],
            put.headers["ETag"],
        ), put.text


def test_of_two_who_loaded_the_same_the_second_to_save_is_told(admin: httpx.Client):
    """Else the slower one undoes what the faster one did, and neither ever knows."""
    read = admin.get(f"/syncs/{SYNC}")
    document, tag = read.json()["document"], read.headers["ETag"]

    first = admin.put(f"/syncs/{SYNC}", json={**document, "removed": "clear"}, headers={"If-Match": tag})
    second = admin.put(f"/syncs/{SYNC}", json={**document, "mode": "update"}, headers={"If-Match": tag})

    assert [200, 412] == [first.status_code, second.status_code]
    assert "changed_meanwhile" == second.json()["code"]
    assert "clear" == admin.get(f"/syncs/{SYNC}").json()["document"]["removed"]


def test_of_ten_who_save_at_once_one_wins(admin: httpx.Client):
    """The tag is compared where the change is written, not a moment before."""
    read = admin.get("/models/accounts")
    document, tag = read.json()["document"], read.headers["ETag"]

    def save(number: int) -> int:
        changed = {**document, "description": f"by {number}"}
        while (answer := admin.put("/models/accounts", json=changed, headers={"If-Match": tag})).status_code == 503:
            continue
        return answer.status_code

    with ThreadPoolExecutor(10) as pool:
        answered = sorted(pool.map(save, range(10)))

    assert [200, *[412] * 9] == answered


def test_a_new_object_does_not_take_the_place_of_one_that_is_there(admin: httpx.Client):
    """Two colleagues may think of the same name."""
    model = {"source": "warehouse", "primary_key": "id", "table": "accounts"}
    there = admin.put("/models/accounts", json=model, headers={"If-None-Match": "*"})
    new = admin.put("/models/others", json=model, headers={"If-None-Match": "*"})

    assert [412, 200] == [there.status_code, new.status_code]
    assert "create" == new.json()["action"]


def test_every_fault_of_a_document_comes_back_at_once_and_nothing_is_saved(admin: httpx.Client):
    """One fault a try is a morning lost."""
    before = admin.get(f"/syncs/{SYNC}").json()
    document = {**before["document"], "mode": "upsrt", "fields": {"name": {"column": "nam"}}, "removed": "clear"}

    answer = admin.put(f"/syncs/{SYNC}", json=document)

    assert 422 == answer.status_code
    assert {"unknown_value", "column_missing"} <= set(codes(answer))
    assert answer.json()["findings"][0]["path"].startswith(f"syncs.{SYNC}")
    assert before == admin.get(f"/syncs/{SYNC}").json()


def test_a_dry_run_tells_the_findings_and_the_difference_and_saves_nothing(admin: httpx.Client):
    before = admin.get(f"/syncs/{SYNC}").json()
    good = admin.put(f"/syncs/{SYNC}?dry_run=true", json={**before["document"], "removed": "clear"}).json()
    bad = admin.put(f"/syncs/{SYNC}?dry_run=true", json={**before["document"], "removed": "burn"}).json()

    assert ("change", ["removed"], False, None) == (good["action"], good["fields"], good["saved"], good["object"])
    assert ["unknown_value"] == [one["code"] for one in bad["findings"]]
    assert before == admin.get(f"/syncs/{SYNC}").json()


def test_a_renamed_model_is_still_what_its_sync_reads(admin: httpx.Client):
    renamed = admin.post("/models/accounts/rename", json={"to": "active-accounts"})

    assert 200 == renamed.status_code
    assert "active-accounts" == admin.get(f"/syncs/{SYNC}").json()["document"]["model"]
    assert 404 == admin.get("/models/accounts").status_code


def test_a_renamed_sync_keeps_its_memory(admin: httpx.Client):
    """Ledger and message ids are kept under its id: a new one would send every row again."""
    renamed = admin.post(f"/syncs/{SYNC}/rename", json={"to": "accounts"}).json()

    assert SYNC == renamed["document"]["id"]


def test_a_renamed_destination_finds_the_secret_that_is_kept_under_its_old_name(admin: httpx.Client):
    admin.put("/secrets/vitally.analytics_api_token", json={"value": "s3cret"})

    renamed = admin.post("/destinations/vitally/rename", json={"to": "crm"}).json()

    assert {"secret": "vitally.analytics_api_token"} == renamed["document"]["analytics_api_token"]


@pytest.mark.parametrize(
    ("new", "status", "code"),
    [("others", 409, "name_taken"), ("a b", 400, "name_invalid"), ("../x", 400, "name_invalid"), ("", 400, None)],
)
def test_a_name_that_is_taken_or_none_is_refused(admin: httpx.Client, new: str, status: int, code: str | None):
    admin.put("/models/others", json={"source": "warehouse", "primary_key": "id", "table": "accounts"})

    answer = admin.post("/models/accounts/rename", json={"to": new})

    assert status == answer.status_code
    assert code in (None, answer.json()["code"])


def test_what_is_in_use_is_not_deleted(admin: httpx.Client):
    """A sync without its model fails at night."""
    refused = [admin.delete(path) for path in ("/sources/warehouse", "/models/accounts", "/destinations/vitally")]

    assert ["in_use"] * 3 == [one.json()["code"] for one in refused]
    assert [409] * 3 == [one.status_code for one in refused]


def test_deleting_asks_for_the_tag_that_was_loaded(admin: httpx.Client):
    stale = admin.delete(f"/syncs/{SYNC}", headers={"If-Match": '"0000"'})
    gone = admin.delete(f"/syncs/{SYNC}", headers={"If-Match": admin.get(f"/syncs/{SYNC}").headers["ETag"]})

    assert [412, 204] == [stale.status_code, gone.status_code]
    assert 404 == admin.get(f"/syncs/{SYNC}").status_code


def test_a_long_list_comes_in_pages_by_name(admin: httpx.Client, world: World):
    for number in range(7):
        admin.put(f"/models/m{number}", json={"source": "warehouse", "primary_key": "id", "table": "accounts"})

    found, cursor = [], ""
    while True:
        page = admin.get("/models", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        found.append([one["name"] for one in page["items"]])
        if not page["more"]:
            break
        cursor = page["cursor"]

    assert [["accounts", "m0", "m1"], ["m2", "m3", "m4"], ["m5", "m6"]] == found


def test_a_change_over_http_stands_in_the_audit_log_once(admin: httpx.Client, world: World):
    document = admin.get(f"/syncs/{SYNC}").json()["document"]
    admin.put(f"/syncs/{SYNC}", json={**document, "removed": "clear"})
    admin.delete(f"/syncs/{SYNC}")

    with world.acting():
        entries = world.app.audit.entries(f"sync {SYNC}").items

    told = [(one.verb, one.actor) for one in entries][:2]
    assert [("catalog.delete", "key:admin"), ("objects.put", "key:admin")] == told


def test_a_parameter_that_is_not_there_is_refused_with_the_nearest(admin: httpx.Client):
    """A filter that is misspelt must not show, or delete, everything."""
    answer = admin.get("/runs", params={"sinc": SYNC})

    assert (400, "request_invalid") == (answer.status_code, answer.json()["code"])
    assert "sync" in answer.json()["detail"]


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "", '{"a": "\\ud800"}', '{"a": ' + "9" * 40 + "}"])
def test_a_body_that_is_no_json_object_is_refused(admin: httpx.Client, body: str):
    answer = admin.put(f"/syncs/{SYNC}", content=body, headers={"Content-Type": "application/json"})

    assert (400, "request_invalid") == (answer.status_code, answer.json()["code"])
    assert "application/problem+json" == answer.headers["Content-Type"]


def test_a_viewer_reads_and_changes_nothing(viewer: httpx.Client, nobody: httpx.Client):
    document: dict[str, Any] = viewer.get(f"/syncs/{SYNC}").json()["document"]

    refused = [
        viewer.put(f"/syncs/{SYNC}", json=document),
        viewer.delete(f"/syncs/{SYNC}"),
        viewer.post(f"/syncs/{SYNC}/runs", json={}),
        viewer.post("/configuration/apply", content="syncs: {}", headers={"Content-Type": "application/yaml"}),
    ]

    assert [403] * 4 == [one.status_code for one in refused]
    assert 401 == nobody.get("/syncs").status_code

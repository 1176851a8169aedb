"""429 storms, failing servers, broken connections: the run converges, and nothing is lost or sent twice for nothing."""

from __future__ import annotations

import base64
import json

import pytest

from headrace.emulator import Emulator

from .project import SYNC, TOKEN, Project, as_delivered, many


def test_failures_of_every_kind_converge(project: Project, vitally: Emulator):
    """Before and after the effect, on reads and on writes. What fell out of a run is planned again by the next one."""
    rows = many(120)
    project.rows(rows)
    project.apply()
    limits = {"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}
    vitally.add_fault(match={"method": "GET"}, status=503, times=1)
    vitally.add_fault(match={"body": "Account 7"}, status=429, headers=limits, times=2)
    vitally.add_fault(match={"body": "Account 1"}, status=500, body="<html>oops</html>", times=2)
    vitally.add_fault(match={"body": "Account 3"}, action="drop_before", times=2)
    vitally.add_fault(match={"body": "Account 5"}, action="drop_after", times=2)
    vitally.add_fault(match={"body": "Account 90"}, status=502, times=3)

    report = project.run()
    while report["owed"]:
        report = project.run()

    assert "succeeded" == report["status"]
    assert as_delivered(rows) == project.delivered()
    assert 0 == project.run()["requests"]


@pytest.mark.parametrize("ceiling", [{"rate_limit": "none"}, {}], ids=["without a ceiling of our own", "with one"])
def test_a_429_is_waited_out_and_costs_no_row(ceiling: dict[str, str], project: Project, vitally: Emulator):
    """Somebody else uses the key up: 429s come whatever our own ceiling says. Nobody hammers, nothing is owed."""
    vitally.configure(rate_limit={"units": 20, "per_seconds": 1, "algorithm": "sliding"})
    rows = many(60)
    project.rows(rows)
    project.apply(destination=ceiling)

    report = project.run()

    assert ("succeeded", 0) == (report["status"], report["owed"])
    assert as_delivered(rows) == project.delivered()
    refused = [one for one in vitally.journal if one.status == 429]
    assert len(refused) <= 60, "a 429 pauses the bucket, not one row after another"


@pytest.mark.slow
def test_two_processes_on_one_credential_share_its_limit(project: Project, vitally: Emulator):
    vitally.configure(rate_limit={"units": 20, "per_seconds": 1, "algorithm": "sliding"})
    project.rows(many(60))
    document = project.document(destination={"rate_limit": {"requests": 20, "per_seconds": 1}})
    document["syncs"]["again"] = {**document["syncs"][SYNC], "match": {"column": "other", "field": "externalId"}}
    document["models"]["accounts"]["sql"] = "select id, id || '-b' as other, name, plan from accounts"
    project.write(document)
    assert 0 == project.headrace("apply", "headrace.yaml").code

    both = [project.start("run", name, "--json") for name in (SYNC, "again")]
    reports = [json.loads(project.end(one).out) for one in both]

    assert [60, 60] == [one["delivered"] for one in reports]
    assert [] == [one for one in vitally.journal if one.status == 429]


def test_a_rejected_row_is_tried_again_with_its_newest_value_and_stops_nobody(project: Project, vitally: Emulator):
    rows = many(10)
    project.rows(rows)
    project.apply()
    vitally.add_fault(match={"body": "Account 4 "}, status=400, body={"error": "name is forbidden"})

    first = project.headrace("run", SYNC, "--json")
    project.rows([*rows[:4], ("a-4", "Mended", "pro"), *rows[5:]])
    second = project.run()

    assert (1, 9, 1) == (first.code, first.json["delivered"], first.json["rejected"])
    assert (1, 9, "succeeded") == (second["delivered"], second["unchanged"], second["status"])
    assert ("Mended", "pro") == project.delivered()["a-4"]


def test_one_good_row_among_ninety_nine_bad_ones_is_recorded_exactly_so(project: Project, vitally: Emulator):
    project.rows([("good", "Good", "pro"), *many(99)])
    project.apply()
    for digit in range(10):
        vitally.add_fault(match={"body": f'"a-{digit}'}, status=400, body={"error": f"refused for reason {digit}"})

    report = project.headrace("run", SYNC, "--json")

    assert (1, 1, 99, "succeeded_with_rejections") == (
        report.code, report.json["delivered"], report.json["rejected"], report.json["status"]
    )  # fmt: skip


def test_the_token_is_nowhere(project: Project, vitally: Emulator):
    """Not in a file of the workspace, on a screen or in the calls; with a key that works and with one that does not."""
    rows = many(30)
    project.rows(rows)
    project.apply()
    vitally.add_fault(match={"body": "Account 3 "}, status=400, body={"error": "no"})
    outputs = [
        project.headrace("run", SYNC).both,
        (calls := project.headrace("calls", "--json").both),
        project.headrace("calls", "--curl").both,
        project.headrace("destinations", "test", "vitally", "--json").both,
        project.headrace("export").both,
        project.headrace("run", SYNC, "--full-resync", "--yes", VITALLY_REST_TOKEN="sk_live_wrong_77aa").both,
    ]

    assert "Authorization" in calls
    secrets = [TOKEN, "sk_live_wrong_77aa"]
    secrets += [base64.b64encode(f"{one}:".encode()).decode().rstrip("=") for one in secrets]
    files = [one for one in project.folder.rglob("*") if one.is_file()]
    assert any(one.name == "store.sqlite" for one in files)
    for secret in secrets:
        assert [] == [one for one in outputs if secret in one]
        assert [] == [one.name for one in files if secret.encode() in one.read_bytes()]

"""The HTTP destination against a real server: what arrives there, and what each answer makes of a row."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.destinations.http.settings import RecordSettings
from headrace.domain.errors import UserError
from headrace.service.history import CurlWriter
from headrace.service.schema import configuration_schema

from .http_world import KEY, SYNC, TOKEN, Answer, Got, HttpWorld

PUT = {"method": "PUT", "path": "/contacts/{id}"}
ID = {"id": {"column": "id"}}
SECRETS = {"bearer_token": {"env": "TOKEN"}, "secret_headers": {"X-Api-Key": {"env": "KEY"}}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HttpWorld]:
    with HttpWorld(tmp_path) as made:
        yield made


def row(number: int, name: str | None = "Ann") -> dict[str, Any]:
    return {"id": number, "name": name}


def answers(*statuses: int) -> Callable[[Got], Answer]:
    """One answer after the other, the last for ever."""
    left = list(statuses)

    def answer(_got: Got) -> Answer:
        status = left.pop(0) if len(left) > 1 else left[0]
        return Answer(status, "" if status == 204 else '{"error": "their words"}')

    return answer


# What is sent -----------------------------------------------------------------------------------------------------


def test_a_webhook_gets_one_post_a_row_with_the_body_as_it_was_mapped(world: HttpWorld):
    world.rows(row(1), row(2, None))
    fields = {"text": {"template": "Hello {{ row.name }}"}, "who": {"object": {"name": {"column": "name"}}}}
    world.sync(fields=fields | {"name": {"column": "name"}}, destination={"headers": {"X-Team": "cs"}})

    ran = world.run()

    assert {"1": ("delivered", None), "2": ("delivered", None)} == ran.outcomes
    assert ["POST /v2", "POST /v2"] == ran.lines
    first, second = sorted((one.json for one in ran.requests), key=str, reverse=True)
    assert {"text": "Hello Ann", "who": {"name": "Ann"}, "name": "Ann"} == first
    assert {"text": "Hello ", "who": {"name": None}, "name": None} == second
    assert {"application/json"} == {one.headers["content-type"] for one in ran.requests}
    assert {"cs"} == {one.headers["x-team"] for one in ran.requests}


def test_only_what_changed_is_sent_again(world: HttpWorld):
    world.rows(row(1), row(2))
    world.sync(settings=PUT, parameters=ID)
    world.run()
    world.rows(row(1), row(2, "Bob"))

    ran = world.run()

    assert [("PUT /v2/contacts/2", {"name": "Bob"})] == [(one.line, one.json) for one in ran.requests]


def test_no_value_of_a_row_reaches_another_path(world: HttpWorld):
    """An id of a customer must never make the address of something else."""
    keys = ["a/b", "../admin", "..", "x?y=1#z", "ä &", ""]
    world.rows(*({"id": number, "slug": key, "name": "n"} for number, key in enumerate(keys)))
    world.sync(settings=PUT, parameters={"id": {"column": "slug"}})

    ran = world.run()

    sent = ["%C3%A4%20%26", "..%2Fadmin", "a%2Fb", "x%3Fy%3D1%23z"]
    assert [f"PUT /v2/contacts/{one}" for one in sent] == ran.lines
    assert {"2": ("invalid", "field_required"), "5": ("invalid", "field_required")} == {
        key: end for key, end in ran.outcomes.items() if end[0] != "delivered"
    }


def test_a_placeholder_may_be_a_field_of_the_body_too(world: HttpWorld):
    world.rows(row(1, "Zoë"))
    world.sync(settings={"path": "/people?name={name}"})

    (request,) = world.run().requests

    assert ("POST /v2/people?name=Zo%C3%AB", {"name": "Zoë"}) == (request.line, request.json)


def test_a_get_carries_no_body(world: HttpWorld):
    world.rows(row(1))
    world.sync(fields={}, settings={"method": "GET", "path": "/track?id={id}"}, parameters=ID)

    (request,) = world.run().requests

    assert ("GET /v2/track?id=1", b"") == (request.line, request.body)
    assert "content-type" not in request.headers


# Records: create, update, delete ----------------------------------------------------------------------------------


def test_upsert_creates_what_the_api_does_not_have(world: HttpWorld):
    world.server.answer = lambda got: Answer(404 if got.method == "PUT" and got.target.endswith("/2") else 200)
    world.rows(row(1), row(2))
    world.sync(settings=PUT | {"create": {"path": "/contacts"}}, parameters=ID)

    ran = world.run()

    assert ["POST /v2/contacts", "PUT /v2/contacts/1", "PUT /v2/contacts/2"] == ran.lines
    assert {"1": ("delivered", None), "2": ("delivered", None)} == ran.outcomes


@pytest.mark.parametrize(
    ("mode", "end"), [("upsert", ("rejected", "destination_rejected")), ("update", ("skipped", "record_not_found"))]
)
def test_without_create_what_is_not_there_is_rejected_or_skipped(mode: str, end: tuple[str, str], world: HttpWorld):
    world.server.answer = answers(404)
    world.rows(row(1))
    world.sync(mode=mode, settings=PUT, parameters=ID)

    assert {"1": end} == world.run().outcomes


@pytest.mark.parametrize("status", [204, 404])
def test_a_removed_row_is_deleted_and_what_is_gone_already_counts(status: int, world: HttpWorld):
    world.rows(row(1), row(2))
    world.sync(settings=PUT | {"delete": {"path": "/contacts/{id}"}}, parameters=ID, removed="delete")
    world.run()
    world.server.answer = answers(status)
    world.rows(row(2))

    ran = world.run()

    assert ["DELETE /v2/contacts/1"] == ran.lines
    assert {"1": ("delivered", None)} == ran.outcomes
    assert [] == world.run().lines


def test_a_removal_that_is_no_delete_carries_the_row_as_it_was(world: HttpWorld):
    world.rows(row(1), row(2))
    world.sync(settings={"delete": {"method": "POST", "path": "/gone/{id}"}}, parameters=ID, removed="delete")
    world.run()
    world.rows(row(2))

    (request,) = world.run().requests

    assert ("POST /v2/gone/1", {"name": "Ann"}) == (request.line, request.json)


def test_an_event_is_sent_once_though_its_row_changes_leaves_and_returns(world: HttpWorld):
    world.rows(row(1), row(2))
    world.sync(object="event")
    assert 2 == len(world.run().requests)

    for rows in ([row(1, "other")], [row(1), row(2)]):
        world.rows(*rows)
        assert [] == world.run().requests


# What answers mean ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said", "end"),
    [
        (200, {}, ("delivered", None)),
        (299, {}, ("delivered", None)),
        (400, {}, ("rejected", "destination_rejected")),
        (409, {}, ("rejected", "destination_rejected")),
        (409, {"delivered": ["2xx", 409]}, ("delivered", None)),
        (404, {"delivered": [404]}, ("delivered", None)),
        (202, {"delivered": [200]}, ("rejected", "destination_rejected")),
        (403, {"rejected": [403]}, ("rejected", "destination_rejected")),
        (503, {"rejected": ["5xx"]}, ("rejected", "destination_rejected")),
    ],
)
def test_a_status_means_what_the_sync_says(
    status: int, said: dict[str, Any], end: tuple[str, str | None], world: HttpWorld
):
    world.server.answer = answers(status)
    world.rows(row(1))
    world.sync(settings={"answers": said})

    ran = world.run()

    assert {"1": end} == ran.outcomes
    assert 1 == len(ran.requests)
    if end[0] == "rejected":
        assert "their words" in str(ran.messages["1"])


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_is_busy_or_broken_is_tried_again(status: int, world: HttpWorld):
    world.server.answer = answers(status, status, 200)
    world.rows(row(1))
    world.sync()

    ran = world.run()

    assert ({"1": ("delivered", None)}, 3) == (ran.outcomes, len(ran.requests))


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "credentials_refused"), (403, "credentials_refused"), (302, "destination_misconfigured")],
)
@pytest.mark.parametrize("kind", ["requests", "batches"])
def test_what_no_row_is_to_blame_for_stops_the_run(kind: str, status: int, code: str, world: HttpWorld):
    """A redirect is not followed: it would carry the secrets along."""
    world.server.answer = lambda got: Answer(status, "", {"Location": f"{world.server.url}/elsewhere"})
    world.rows(row(1))
    world.sync(type=kind, destination=SECRETS)

    ran = world.run()

    assert ran.report.error is not None
    assert code == ran.report.error.code
    assert {"1": ("owed", code)} == ran.outcomes
    assert ["POST /v2"] == ran.lines


# Repeats ----------------------------------------------------------------------------------------------------------


def ids(requests: list[Got]) -> list[str]:
    return [one.headers["idempotency-key"] for one in requests]


def test_a_repeat_has_the_id_of_the_first_try_and_a_new_change_another(world: HttpWorld):
    """The receiver drops what it has seen: a lost acknowledgement followed by A, B, A must make three ids."""
    settings = {"idempotency_header": "Idempotency-Key", "message_id_field": "message_id"}
    world.server.answer = answers(503, 200)
    world.rows(row(1))
    world.sync(settings=settings)
    found = []

    for name in ("Ann", "Bob", "Ann"):
        world.rows(row(1, name))
        requests = world.run().requests
        assert 1 == len(set(ids(requests)))
        assert ids(requests) == [one.json["message_id"] for one in requests]
        found += ids(requests)

    assert [2, 1, 1] == [found.count(one) for one in dict.fromkeys(found)]


def test_what_one_run_could_not_deliver_has_the_same_id_in_the_next(world: HttpWorld):
    """The first run may have reached the receiver, and only its answers were lost."""
    world.server.answer = answers(503)
    world.rows(row(1))
    world.sync(settings={"idempotency_header": "Idempotency-Key"})
    first = world.run()
    world.server.answer = answers(200)

    second = world.run()

    assert {"1": ("owed", "destination_unavailable")} == first.outcomes
    assert {"1": ("delivered", None)} == second.outcomes
    assert 1 == len({*ids(first.requests), *ids(second.requests)})


def test_the_plan_shows_the_requests_that_the_run_sends(world: HttpWorld):
    world.rows(row(1), row(2))
    settings = PUT | {"idempotency_header": "Idempotency-Key", "create": {"path": "/contacts"}}
    world.sync(settings=settings, parameters=ID, destination=SECRETS)

    shown = [one.request for one in world.explain().requests]
    sent = sorted(world.run().requests, key=lambda one: one.target)

    assert [one.body for one in sent] == [one.body for one in shown]
    assert [f"http://{one.headers['host']}{one.target}" for one in sent] == [one.url for one in shown]
    assert ids(sent) == [one.headers["Idempotency-Key"] for one in shown]


@pytest.mark.parametrize("kind", ["requests", "batches"])
def test_an_events_id_is_that_of_its_key(kind: str, world: HttpWorld):
    """The same event sent by another workspace folder of the same name must be dropped by the receiver."""
    world.rows(row(1))
    world.sync(type=kind, object="event", settings={"message_id_field": "message_id"})
    world.run()
    world.rows(row(1, "other"))
    world.run(full_resync=True)

    bodies = [one.json if kind == "requests" else one.json[0] for one in world.server.got]
    assert 2 == len(bodies)
    assert 1 == len({one["message_id"] for one in bodies})


# Batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "type_", "body"),
    [
        ({}, "application/json", b'[{"name":"Ann"},{"name":"Bob"}]'),
        ({"rows_key": "rows"}, "application/json", b'{"rows":[{"name":"Ann"},{"name":"Bob"}]}'),
        (
            {"rows_key": "rows", "beside": {"from": "shop", "v": [1]}},
            "application/json",
            b'{"from":"shop","v":[1],"rows":[{"name":"Ann"},{"name":"Bob"}]}',
        ),
        ({"format": "ndjson"}, "application/x-ndjson", b'{"name":"Ann"}\n{"name":"Bob"}\n'),
    ],
)
def test_rows_stand_in_the_body_where_the_sync_says(
    settings: dict[str, Any], type_: str, body: bytes, world: HttpWorld
):
    world.rows(row(1), row(2, "Bob"))
    world.sync(type="batches", settings={"path": "/bulk", **settings})
    shown = [one.request.body for one in world.explain().requests]

    (request,) = world.run().requests

    assert ("POST /v2/bulk", type_, body) == (request.line, request.headers["content-type"], request.body)
    assert [body] == shown


def test_a_batch_holds_no_more_rows_and_bytes_than_the_sync_says(world: HttpWorld):
    world.rows(*(row(number, "x" * 300) for number in range(10)))
    world.sync(type="batches", settings={"most_rows": 4})
    assert [4, 4, 2] == sorted((len(one.json) for one in world.run().requests), reverse=True)

    world.sync(type="batches", settings={"most_bytes": 1000})
    sizes = [len(one.body) for one in world.run(full_resync=True).requests]
    assert max(sizes) <= 1000
    assert 4 == len(sizes)


def test_a_refused_batch_is_halved_until_the_bad_row_is_named(world: HttpWorld):
    world.server.answer = lambda got: Answer(422, '{"message": "bad name"}') if b"bad" in got.body else Answer()
    world.rows(*(row(number, "bad" if number == 5 else "good") for number in range(12)))
    world.sync(type="batches")

    ran = world.run()

    assert ("rejected", "destination_rejected") == ran.outcomes.pop("5")
    assert {("delivered", None)} == set(ran.outcomes.values())
    assert 11 == len(ran.outcomes)


def test_a_batch_that_is_too_large_is_halved_and_nothing_is_rejected(world: HttpWorld):
    world.server.answer = lambda got: Answer(413 if len(got.body) > 120 else 200)
    world.rows(*(row(number) for number in range(20)))
    world.sync(type="batches")

    assert {("delivered", None)} == set(world.run().outcomes.values())


# Secrets and the connection test ----------------------------------------------------------------------------------


def test_secrets_arrive_and_are_shown_nowhere(world: HttpWorld, tmp_path: Path):
    world.server.answer = lambda got: Answer(400, json.dumps({"error": f"who are you, {TOKEN} {KEY}?"}))
    world.rows(row(1))
    world.sync(destination=SECRETS)

    told = repr(world.explain())
    ran = world.run()

    (request,) = ran.requests
    assert (f"Bearer {TOKEN}", KEY) == (request.headers["authorization"], request.headers["x-api-key"])
    told += repr(world.calls()) + repr(ran.messages) + repr(world.app.catalog.export(None))
    assert TOKEN not in told
    assert KEY not in told
    assert "***" in world.calls()[0].call.request_headers["X-Api-Key"]


@pytest.mark.parametrize("kind", ["requests", "batches"])
def test_a_header_is_sent_once_whoever_says_it(kind: str, world: HttpWorld):
    """The sync goes before the destination, and a secret before both."""
    world.rows(row(1))
    world.sync(
        type=kind,
        destination={"headers": {"X-Team": "cs", "X-A": "1"}, "secret_headers": {"X-Tenant": {"env": "KEY"}}},
        settings={"headers": {"x-team": "sales", "x-tenant": "open", "content-type": "application/vnd.api+json"}},
    )

    (request,) = world.run().requests

    wanted = {"x-team": "sales", "x-a": "1", "x-tenant": KEY, "content-type": "application/vnd.api+json"}
    assert wanted == {name: value for name, value in request.headers.items() if name in wanted}
    assert len(request.names) == len(set(request.names))


@pytest.mark.parametrize(
    ("destination", "wanted"),
    [
        (SECRETS, {"authorization": f"Bearer {TOKEN}", "x-api-key": KEY}),
        (
            {"basic_user": "ann o'hara", "basic_password": {"env": "TOKEN"}},
            {"authorization": "Basic " + b64encode(f"ann o'hara:{TOKEN}".encode()).decode()},
        ),
    ],
)
def test_a_curl_command_repeats_the_call_with_the_secrets_in_variables(
    destination: dict[str, Any], wanted: dict[str, str], world: HttpWorld
):
    world.rows(row(1))
    world.sync(destination=destination)
    world.run()

    command = CurlWriter(world.app.catalog, world.app.assembly, world.app.secrets).command(world.calls()[0])
    ran = subprocess.run(["sh", "-c", command], env={**os.environ, "TOKEN": TOKEN, "KEY": KEY}, capture_output=True)

    assert 0 == ran.returncode, ran.stderr
    assert TOKEN not in command
    first, again = world.server.got
    assert (first.line, first.body) == (again.line, again.body)
    for got in (first, again):
        assert wanted == {name: got.headers[name] for name in wanted}


def test_a_secret_that_is_not_set_stops_everything_before_a_request(world: HttpWorld):
    """A request without its credential could be refused a million times, or be let in as somebody else."""
    world.rows(row(1))
    missing = {"secret_headers": {"X-Api-Key": {"env": "NOT_SET"}}}
    assert [("secret_missing", "destinations.crm.secret_headers.X-Api-Key")] == world.findings(destination=missing)

    file = world.folder / "key.txt"
    file.write_text("value")
    world.sync(destination={"secret_headers": {"X-Api-Key": {"file": "key.txt"}}})
    file.unlink()
    with pytest.raises(UserError) as refused:
        world.run()

    assert "secret_missing" == refused.value.code
    assert [] == world.server.got


def test_the_file_of_a_secret_header_is_found_from_anywhere_and_exported_as_it_was_said(world: HttpWorld):
    (world.folder / "key.txt").write_text("value")
    world.rows(row(1))
    world.sync(destination={"secret_headers": {"X-Api-Key": {"file": "key.txt"}}})

    assert "value" == world.run().requests[0].headers["x-api-key"]
    assert "file: key.txt" in world.app.catalog.export(world.folder)["headrace.yaml"]


@pytest.mark.parametrize(
    ("status", "state"), [(200, "fine"), (401, "refused"), (403, "refused"), (404, "failed"), (302, "failed")]
)
def test_the_connection_test_sends_the_request_that_the_settings_name(status: int, state: str, world: HttpWorld):
    world.server.answer = answers(status)
    world.rows(row(1))
    world.sync(destination=SECRETS | {"probe": {"path": "/me"}})

    (result,) = world.app.trials.test_destination("crm")

    assert (state, "GET /v2/me") == (result.state, world.server.got[0].line)
    assert f"Bearer {TOKEN}" == world.server.got[0].headers["authorization"]


def test_without_a_probe_nothing_is_sent(world: HttpWorld):
    world.rows(row(1))
    world.sync()

    (result,) = world.app.trials.test_destination("crm")

    assert "not_set" == result.state
    assert "probe:" in result.message
    assert [] == world.server.got


# What is refused when it is saved -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "code", "path"),
    [
        ({"settings": {"path": "/c/{id}"}}, "field_required", "settings.path"),
        ({"settings": {"path": "c"}}, "unknown_value", "settings.path"),
        ({"settings": {"path": "/../c"}}, "unknown_value", "settings.path"),
        ({"settings": {"path": "/{a"}}, "unknown_value", "settings.path"),
        ({"settings": {"method": "BREW"}}, "unknown_value", "settings.method"),
        ({"settings": {"nope": 1}}, "unknown_key", "settings.nope"),
        ({"settings": {"method": "GET"}}, "unknown_field", "fields.name"),
        ({"settings": {"answers": {"delivered": [99]}}}, "unknown_value", "settings.answers.delivered"),
        ({"settings": {"answers": {"delivered": [404], "retried": [404]}}}, "unknown_value", "settings.answers"),
        ({"settings": {"headers": {"Authorization": "x"}}}, "unknown_value", "settings.headers"),
        ({"settings": {"message_id_field": "name"}}, "field_twice", "fields.name"),
        ({"removed": "delete"}, "key_missing", "settings.delete"),
        ({"removed": "clear"}, "unknown_value", "removed"),
        ({"mode": "update", "settings": {"create": {}}}, "unknown_key", "settings.create"),
        ({"mode": "insert"}, "unknown_value", "mode"),
        ({"match": {"column": "id", "field": "id"}}, "unknown_key", "match"),
        ({"traits": {"a": {"static": 1}}}, "unknown_key", "traits"),
        ({"type": "batches", "parameters": ID}, "unknown_key", "parameters"),
        ({"type": "batches", "settings": {"path": "/{name}"}}, "unknown_value", "settings.path"),
        ({"type": "batches", "settings": {"format": "ndjson", "rows_key": "r"}}, "unknown_value", "settings"),
        ({"type": "batches", "settings": {"beside": {"a": 1}}}, "unknown_value", "settings"),
        ({"type": "batches", "removed": "delete"}, "unknown_value", "removed"),
    ],
)
def test_what_can_not_be_is_found_when_it_is_saved(chosen: dict[str, Any], code: str, path: str, world: HttpWorld):
    world.rows(row(1))

    found = world.findings(**chosen)

    assert [(code, f"syncs.{SYNC}.{path}")] == found


@pytest.mark.parametrize(
    ("destination", "path"),
    [
        ({"base_url": "ftp://x.test"}, ".base_url"),
        ({"base_url": "https://ann:pw@x.test"}, ".base_url"),
        ({"headers": {"X-Api-Key": "k3y"}}, ".headers"),
        ({"headers": {"A b": "x"}}, ".headers.A b"),
        ({"headers": {"A": "x\ny"}}, ".headers"),
        ({"headers": {"Host": "x"}}, ".headers.Host"),
        ({"headers": {"X-A": "1"}, "secret_headers": {"x-a": {"env": "KEY"}}}, ""),
        ({"bearer_token": {"env": "TOKEN"}, "secret_headers": {"authorization": {"env": "KEY"}}}, ""),
        ({"basic_user": "ann"}, ""),
        ({"secret_headers": {"X-Api-Key": "k3y"}}, ".secret_headers.X-Api-Key"),
        ({"probe": {"path": "/{id}"}}, ".probe.path"),
    ],
)
def test_a_destination_that_can_not_be_is_refused_without_its_secret(
    destination: dict[str, Any], path: str, world: HttpWorld
):
    world.rows(row(1))

    found = world.findings(destination=destination)

    assert [f"destinations.crm{path}"] == [where.rstrip(".").removesuffix(".[key]") for _, where in found]


def test_raising_a_limit_sends_nothing_again_and_another_path_everything(world: HttpWorld):
    world.rows(row(1))
    world.sync(settings={"path": "/a"})
    world.run()

    world.sync(settings={"path": "/a", "answers": {"delivered": [200]}, "headers": {"X-A": "b"}})
    assert [] == world.run().lines
    world.sync(settings={"path": "/b"})
    assert ["POST /v2/b"] == world.run().lines


def test_the_schema_for_editors_knows_the_sync_types_and_their_settings():
    """An editor that underlines what is right teaches people to ignore it."""
    shapes = configuration_schema()["$defs"]

    types = shapes["SyncConfig"]["allOf"][0]["properties"]["type"]["enum"]
    assert {"requests", "batches"} <= set(types)
    assert set(RecordSettings.model_fields) == set(shapes["RecordSettings"]["properties"])

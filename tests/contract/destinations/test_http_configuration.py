"""The HTTP destination as it is configured: secrets, the connection test, what is refused, what sends rows again."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.destinations.http.settings import RecordSettings
from headrace.domain.errors import UserError
from headrace.service.history import CurlWriter
from headrace.service.schema import configuration_schema

from .http_world import ID, KEY, SECRETS, SYNC, TOKEN, Answer, HttpWorld, answers, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HttpWorld]:
    with HttpWorld(tmp_path) as made:
        yield made


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

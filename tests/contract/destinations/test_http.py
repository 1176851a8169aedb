"""The HTTP destination against a real server: what arrives there, and what each answer makes of a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .http_world import ID, PUT, SECRETS, Answer, Got, HttpWorld, answers, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HttpWorld]:
    with HttpWorld(tmp_path) as made:
        yield made


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

"""The dry run shows exactly the requests that the run then sends: the two are readers of one plan."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest

from headrace.domain.spec import Mode, ObjectSpec

from .world import MODES, OBJECTS, REST, World, every_field, seed


def shown(world: World) -> list[tuple[str, str, bytes]]:
    """The explained requests, with the ids that only an answer can tell put in."""
    ids: dict[str, str] = {}
    for kind in ("organizations", "accounts", "users"):
        ids |= {one["externalId"]: one["id"] for one in world.vitally.state.records(kind)}
    ids |= {one["email"]: one["id"] for one in world.vitally.state.records("users") if one["email"]}

    def told(text: str) -> str:
        if quote("<id of ") in text:
            text = unquote(text)
        return re.sub("<id of (.*?)>", lambda found: ids[found[1].split(" ")[-1]], text)

    requests = [one.request for one in world.explain().requests]
    return [
        (one.method, told(one.url.removeprefix(world.vitally.url)), told((one.body or b"").decode()).encode())
        for one in requests
    ]


def sent(world: World) -> list[tuple[str, str, bytes]]:
    ran = world.run()
    found = []
    for one in ran.requests:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in one.query.items())
        found.append((one.method, one.path + (f"?{query}" if query else ""), one.body))
    return found


def deletions(requests: list[tuple[str, str, bytes]]) -> list[tuple[str, str, bytes]]:
    return [one for one in requests if one[0] == "DELETE"]


def prepare(world: World, spec: ObjectSpec, mode: Mode, match: str, *, exists: bool, parents: str = "exact") -> None:
    world.parents()
    email = {"email": "ann@acme.test"} if spec.name == "user" else {}
    own = {"ref": "nobody"}
    if exists:
        (there,) = world.vitally.seed(spec.name + "s", seed(spec, "there", **email))
        own = {"ref": there["id"] if match == "id" else "there"}
    columns, rules = every_field(spec)
    columns |= email
    if match == "email":
        rules = {"externalId": {"column": "ref"}} | {name: rule for name, rule in rules.items() if name != "email"}
    world.rows({"key": "1", **own, **columns})
    column = "email" if match == "email" else "ref"
    world.sync(spec.name, rules, mode=mode, match=(column, match), removed="delete", parents=parents)


@MODES
@OBJECTS
def test_explain_shows_what_the_run_sends_for_added_changed_and_removed(spec: ObjectSpec, mode: Mode, world: World):
    """Upsert and update where the record exists, insert where it does not: the usual case of each."""
    prepare(world, spec, mode, "externalId", exists=mode is not Mode.INSERT)

    first = shown(world)
    assert first == sent(world)
    columns, _ = every_field(spec, 2)
    ref = "nobody" if mode is Mode.INSERT else "there"
    world.rows({"key": "1", "ref": ref, **columns})
    if mode is not Mode.INSERT:
        changed = shown(world)
        assert changed == sent(world)
        assert all(method != "GET" for method, _, _ in changed), "parents are remembered"
    else:
        sent(world)
    world.rows({"key": "2", "ref": "another", **columns})  # an empty result would be held
    removed = deletions(shown(world))
    assert [("DELETE", f"/resources/{spec.name}s/{ref}", b"")] == removed == deletions(sent(world))


@pytest.mark.parametrize("mode", [Mode.UPSERT, Mode.UPDATE, Mode.INSERT], ids=str)
def test_explain_shows_the_search_for_an_email_and_what_follows(mode: Mode, world: World):
    prepare(world, REST["user"], mode, "email", exists=mode is not Mode.INSERT)

    assert shown(world) == sent(world)


@OBJECTS
def test_explain_shows_updates_by_vitallys_id(spec: ObjectSpec, world: World):
    prepare(world, spec, Mode.UPDATE, "id", exists=True)

    assert shown(world) == sent(world)


@OBJECTS
def test_explain_sends_nothing(spec: ObjectSpec, world: World):
    prepare(world, spec, Mode.UPSERT, "externalId", exists=True)

    world.explain()

    assert [] == world.vitally.journal


@OBJECTS
def test_where_the_record_does_not_exist_explain_says_so_and_shows_the_first_request(spec: ObjectSpec, world: World):
    prepare(world, spec, Mode.UPSERT, "externalId", exists=False)

    first = world.explain().requests[-1]

    assert "created instead" in first.note
    assert [("PUT", 404), ("POST", 200)] == [(one.method, one.status) for one in world.run().requests][-2:]

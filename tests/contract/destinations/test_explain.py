"""The dry run shows exactly the requests that the run then sends: the two are readers of one plan."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest

from headrace.domain.spec import Mode, ObjectSpec

from .world import (
    CREATED_OBJECTS,
    CREATION_UPDATES,
    EACH_MODE,
    OBJECTS,
    REST,
    World,
    every_field,
    match_of,
    mode_of,
)


def shown(world: World) -> list[tuple[str, str, bytes]]:
    """The explained requests, with the ids that only an answer can tell put in."""
    ids: dict[str, str] = {}
    for kind in REST:
        ids |= {name: one["id"] for name, one in world.held(kind).items()}
    ids |= {one["email"]: one["id"] for one in world.vitally.state.records("users") if one["email"]}

    def told(text: str) -> str:
        if quote("<id of ") in text:
            text = unquote(text)
        return re.sub("<id of (.*?)>", lambda found: ids.get(found[1].split(" ")[-1], found[0]), text)

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
    world.arrange(spec)
    email = {"email": "ann@acme.test"} if spec.name == "user" else {}
    own = {"ref": "nobody"}
    if exists:
        (there,) = world.there(spec, "there", **email)
        own = {"ref": there["id"] if match == "id" else "there"}
    columns, rules = every_field(spec)
    columns |= email
    if match == "email":
        rules = {"externalId": {"column": "ref"}} | {name: rule for name, rule in rules.items() if name != "email"}
    world.rows({"key": "1", **own, **columns})
    column = "email" if match == "email" else "ref"
    world.sync(spec.name, rules, mode=mode, match=(column, match), removed="delete", parents=parents)


@EACH_MODE
def test_explain_shows_what_the_run_sends_for_added_changed_and_removed(spec: ObjectSpec, mode: Mode, world: World):
    """Upsert and update where the record exists, insert where it does not: the usual case of each."""
    prepare(world, spec, mode, match_of(spec), exists=mode is not Mode.INSERT)

    first = shown(world)
    assert first == sent(world)
    columns, _ = every_field(spec, 2)
    ref = "nobody" if mode is Mode.INSERT else "there"
    world.rows({"key": "1", "ref": ref, **columns})
    if mode is not Mode.INSERT:
        changed = shown(world)
        assert changed == sent(world)
        asked = [path for method, path, _ in changed if method == "GET"]
        assert [] == [path for path in asked if "/search?" not in path], "parents are remembered"
    else:
        sent(world)
    world.rows({"key": "2", "ref": "another", **columns})  # an empty result would be held
    record_id = world.held(spec.name)[ref]["id"]
    removed = deletions(shown(world))
    assert removed == deletions(sent(world))
    assert [("DELETE", b"")] == [(method, body) for method, _, body in removed]
    assert removed[0][1].rpartition("/")[2] in (ref, record_id)


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
    prepare(world, spec, Mode(mode_of(spec)), match_of(spec), exists=True)

    world.explain()

    assert [] == world.vitally.journal


@CREATED_OBJECTS
def test_explain_says_of_the_request_of_an_upsert_what_else_it_may_do(spec: ObjectSpec, world: World):
    """Whether the record exists is not known before: an update may become a creation, a creation an update."""
    prepare(world, spec, Mode.UPSERT, "externalId", exists=False)

    first = world.explain().requests[-1]

    updates = spec.name in CREATION_UPDATES
    assert ("this updates it" if updates else "created instead") in first.note
    assert ("POST" if updates else "PUT") == first.request.method
    assert ("POST", 200) == [(one.method, one.status) for one in world.run().requests][-1]

"""Parents: found by our own ids, asked for once, remembered across runs, and doubted when Vitally blames them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.destinations.vitally.resources import RESOURCES
from headrace.domain.spec import Field, Mode, ObjectSpec

from .world import REST, SHELVES, World, every_field, some_fields, text_of

REFERENCES = [
    pytest.param(spec, field, id=f"{spec.name}.{field.name}")
    for spec in REST.values()
    for field in spec.fields
    if field.refers_to
]
EACH_REFERENCE = pytest.mark.parametrize(("spec", "field"), REFERENCES)
READINGS = pytest.mark.parametrize(
    "reading", [{}, {"error_shape": "message"}, {"user_parents_on_put": "add"}], ids=["as documented", "message", "add"]
)


def only(spec: ObjectSpec, field: Field, **options: Any) -> dict[str, Any]:
    """Rules for what the object needs beside references, a text, and that one reference."""
    _, rules = some_fields(spec, text_of(spec))
    parents = {one.name for one in spec.fields if one.refers_to}
    plain = {name: rule for name, rule in rules.items() if name not in parents}
    return {**plain, field.name: {"column": "parent", **options}}


def row(spec: ObjectSpec, key: str, parent: Any, **more: Any) -> dict[str, Any]:
    columns, _ = some_fields(spec, text_of(spec))
    return {"key": key, "ref": f"r-{key}", **columns, text_of(spec): f"Row {key}", "parent": parent, **more}


def parents_of(world: World, spec: ObjectSpec, field: Field, ref: str) -> list[str]:
    """External ids of the parents a record has now, sorted."""
    ids = world.held(spec.name)[ref][field.name]
    names = {one["id"]: name for name, one in world.held(str(field.refers_to)).items()}
    return sorted(names[one] for one in (ids if isinstance(ids, list) else [ids]))


def asked_for(lines: list[str], kind: str | None) -> list[str]:
    """What was asked of records of the kind, sorted."""
    return sorted(line for line in lines if line.startswith(f"GET {RESOURCES[str(kind)].path}/"))


def remove(world: World, kind: str, external_id: str) -> None:
    """Takes the record out of Vitally and leaves its children."""
    shelf = world.vitally.state.shelves[SHELVES[kind]]
    shelf.remove(shelf.by_external_id(external_id))


@EACH_REFERENCE
def test_a_parent_is_asked_for_once_and_remembered_across_runs(spec: ObjectSpec, field: Field, world: World):
    world.arrange(spec)
    kind = field.refers_to
    world.rows(*(row(spec, str(n), f"{kind}-{1 + n % 2}") for n in range(8)))
    world.sync(spec.name, only(spec, field, by="external_id"))

    first = world.run()
    world.rows(*(row(spec, str(n), f"{kind}-{1 + n % 2}") for n in range(8)), row(spec, "new", f"{kind}-1"))
    second = world.run()

    path = RESOURCES[str(kind)].path
    assert [f"GET {path}/{kind}-1", f"GET {path}/{kind}-2"] == asked_for(first.lines, kind)
    assert [] == asked_for(second.lines, kind)
    assert [f"{kind}-1"] == parents_of(world, spec, field, "r-new")


@EACH_REFERENCE
def test_a_parent_given_by_vitallys_id_is_sent_as_it_is(spec: ObjectSpec, field: Field, world: World):
    world.arrange(spec)
    world.rows(row(spec, "1", world.id_of(f"{field.refers_to}-2")))
    world.sync(spec.name, only(spec, field, by="vitally_id"))

    ran = world.run()

    assert {"1": ("delivered", None)} == ran.outcomes
    assert [] == asked_for(ran.lines, field.refers_to)
    assert [f"{field.refers_to}-2"] == parents_of(world, spec, field, "r-1")


@pytest.mark.parametrize("many", [1, 30], ids=["asked", "listed"])
@EACH_REFERENCE
def test_a_row_whose_parent_is_missing_waits_for_it_and_its_siblings_do_not(
    spec: ObjectSpec, field: Field, many: int, world: World
):
    world.arrange(spec)
    kind = field.refers_to
    world.rows(*(row(spec, str(n), f"{kind}-late{n}") for n in range(many)), row(spec, "fine", f"{kind}-1"))
    world.sync(spec.name, only(spec, field))

    first = world.run()
    world.parents(*(f"late{n}" for n in range(many)), kinds=[str(kind)])
    second = world.run()

    missing = {str(n): ("invalid", "parent_not_found") for n in range(many)}
    assert {**missing, "fine": ("delivered", None)} == first.outcomes
    assert f'"{kind}-late0"' in (first.messages["0"] or "")
    assert {str(n): ("delivered", None) for n in range(many)} == second.outcomes
    assert [f"{kind}-late0"] == parents_of(world, spec, field, "r-0")


@READINGS
@EACH_REFERENCE
def test_a_remembered_id_that_vitally_blames_is_dropped_and_asked_anew(
    spec: ObjectSpec, field: Field, reading: dict[str, Any], tmp_path: Path
):
    """Somebody deleted the parent and its sync made it anew: same external id, another id of Vitally's."""
    with World(tmp_path, **reading) as world:
        world.arrange(spec)
        kind = field.refers_to
        world.rows(row(spec, "1", f"{kind}-1"))
        world.sync(spec.name, only(spec, field))
        world.run()
        remove(world, str(kind), f"{kind}-1")
        world.parents("1", kinds=[str(kind)])
        world.rows(row(spec, "1", f"{kind}-1"), row(spec, "2", f"{kind}-1"))

        ran = world.run()

        assert {"2": ("delivered", None)} == ran.outcomes
        assert [f"{kind}-1"] == parents_of(world, spec, field, "r-2")
        world.rows(row(spec, "1", f"{kind}-1"), row(spec, "2", f"{kind}-1"), row(spec, "3", f"{kind}-1"))
        assert [] == asked_for(world.run().lines, kind), "the new id is remembered"


@EACH_REFERENCE
def test_a_remembered_parent_that_is_gone_for_good_is_named(spec: ObjectSpec, field: Field, world: World):
    world.arrange(spec)
    kind = field.refers_to
    world.rows(row(spec, "1", f"{kind}-1"))
    world.sync(spec.name, only(spec, field))
    world.run()
    remove(world, str(kind), f"{kind}-1")
    world.rows(row(spec, "1", f"{kind}-1"), row(spec, "2", f"{kind}-1"))

    assert {"2": ("invalid", "parent_not_found")} == world.run().outcomes


@EACH_REFERENCE
def test_a_changed_row_sends_its_fields_and_its_parents_only_when_they_changed(
    spec: ObjectSpec, field: Field, world: World
):
    """A person who moved a user to another account by hand keeps that, until the warehouse itself says otherwise.

    Only a parent that Vitally wants with every update goes along.
    """
    world.arrange(spec)
    kind, text = field.refers_to, text_of(spec)
    world.rows(row(spec, "1", f"{kind}-1"))
    world.sync(spec.name, only(spec, field))
    world.run()
    world.rows(row(spec, "1", f"{kind}-1", **{text: "Newer"}))
    only_text = world.run().requests[-1].json
    world.rows(row(spec, "1", f"{kind}-2", **{text: "Newer"}))
    moved = world.run().requests[-1].json

    is_needed = Mode.UPDATE in field.required_for
    assert ("Newer", is_needed) == (only_text[text], field.name in only_text)
    assert ("Newer", True) == (moved[text], field.name in moved)
    assert [f"{kind}-2"] == parents_of(world, spec, field, "r-1")


# Users have several -----------------------------------------------------------------------------------------------

SEVERAL = pytest.mark.parametrize("name", ["accountIds", "organizationIds"])


@SEVERAL
@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ({"column": "parent"}, {"parent": '["{k}-1", "{k}-2"]'}),
        ({"column": "parent", "as": "array"}, {"parent": '["{k}-2","{k}-1"]'}),
        ({"array": [{"column": "first"}, {"column": "second"}]}, {"first": "{k}-1", "second": "{k}-2"}),
        ({"array": [{"column": "first"}, {"static": "{k}-2"}]}, {"first": "{k}-1"}),
    ],
    ids=["JSON text", "as array", "array of columns", "array with a static"],
)
def test_several_parents_come_as_a_list(name: str, rule: Any, columns: dict[str, str], world: World):
    world.parents()
    field = REST["user"].field(name)
    assert field is not None
    rule = json.loads(json.dumps(rule).replace("{k}", str(field.refers_to)))
    values = {column: text.replace("{k}", str(field.refers_to)) for column, text in columns.items()}
    world.rows({"key": "1", "ref": "r-1", **values})
    world.sync("user", {name: rule})

    assert {"1": ("delivered", None)} == world.run().outcomes
    assert [f"{field.refers_to}-1", f"{field.refers_to}-2"] == parents_of(world, REST["user"], field, "r-1")


@pytest.mark.parametrize("on_put", ["replace", "add"])
@pytest.mark.parametrize(
    ("name", "match"),
    [("accountIds", ("ref", "externalId")), ("organizationIds", ("email", "email"))],
    ids=["accounts-externalId", "organizations-email"],
)
@pytest.mark.parametrize("parents", ["exact", "add"])
def test_parents_exact_sends_the_list_and_add_keeps_those_the_user_has(
    parents: str, match: tuple[str, str], on_put: str, name: str, tmp_path: Path
):
    """Whether PUT replaces or adds is unknown: `add` must keep links under both, `exact` is as the API has it."""
    with World(tmp_path, user_parents_on_put=on_put) as world:
        world.parents("1", "2", "3")
        field = REST["user"].field(name)
        assert field is not None
        kind = field.refers_to
        world.vitally.seed("users", [{"externalId": "r-1", "email": "a@acme.test", name: [f"{kind}-1", f"{kind}-2"]}])
        own = {"externalId": {"column": "ref"}} if match[1] == "email" else {}
        world.rows(row(REST["user"], "1", f"{kind}-3", email="A@acme.test"))
        world.sync("user", {**own, **only(REST["user"], field)}, match=match, parents=parents)

        assert {"1": ("delivered", None)} == world.run().outcomes

        all_three = [f"{kind}-1", f"{kind}-2", f"{kind}-3"]
        replaced = parents == "exact" and on_put == "replace"
        assert ([f"{kind}-3"] if replaced else all_three) == parents_of(world, REST["user"], field, "r-1")


def test_add_keeps_the_links_of_listed_users_too(world: World):
    """A first sync of many rows knows from the listing that the users exist, and must still ask for their accounts."""
    world.parents()
    world.vitally.seed("users", [{"externalId": f"r-{n}", "accountIds": ["account-1"]} for n in range(25)])
    world.rows(*(row(REST["user"], str(n), "account-2") for n in range(25)))
    world.sync("user", only(REST["user"], REST["user"].field("accountIds")), parents="add")

    world.run()

    both = {tuple(sorted(one["accountIds"])) for one in world.held("user").values()}
    assert {tuple(sorted([world.id_of("account-1"), world.id_of("account-2")]))} == both


def test_an_account_loses_its_organization_when_null_is_sent(world: World):
    world.parents()
    columns, rules = every_field(REST["account"])
    world.rows({"key": "1", "ref": "r-1", **columns})
    world.sync("account", {**rules, "organizationId": {"column": "organizationId", "null": "send"}})
    world.run()
    assert world.held("account")["r-1"]["organizationId"] is not None

    world.rows({"key": "1", "ref": "r-1", **columns, "organizationId": None})

    assert {"1": ("delivered", None)} == world.run().outcomes
    assert world.held("account")["r-1"]["organizationId"] is None


@pytest.mark.parametrize("rule", [{"as": "integer"}, {"as": "string"}])
def test_a_reference_takes_a_number_as_its_digits(rule: dict[str, str], world: World):
    """SQLite and CSV files give ids as 7.0 where one of them is null or real; the parent is called 7."""
    world.vitally.seed("accounts", [{"externalId": "7", "name": "Seven"}])
    world.rows(row(REST["user"], "1", 7.0), row(REST["user"], "2", 7))
    world.sync("user", {"accountIds": {"column": "parent", **rule}})

    assert {"1": ("delivered", None), "2": ("delivered", None)} == world.run().outcomes

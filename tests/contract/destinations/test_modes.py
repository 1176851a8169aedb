"""Every mode of every object, where the record exists and where it does not, under every reading of what is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.domain.spec import Mode, ObjectSpec

from .world import MODES, OBJECTS, REST, World, every_field, required_fields, sample, seed

KINDS = ("organizations", "accounts", "users")
READINGS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    # reading: (kinds it speaks of, switches)
    "as the documents read": (KINDS, {}),
    "POST of an existing record answers 400, a creation 201": (
        KINDS,
        {"post_on_existing": dict.fromkeys(KINDS, "400"), "create_status": 201},
    ),
    "POST of an existing record answers 409, errors say message": (
        KINDS,
        {"post_on_existing": dict.fromkeys(KINDS, "409"), "error_shape": "message"},
    ),
    "names of accounts are fixed": (("accounts",), {"account_name_editable": False}),
    "PUT adds parents": (("users",), {"user_parents_on_put": "add"}),
    "parents may be external ids": (("users",), {"parents_accept_external_id": {"users": True, "accounts": False}}),
}
EXPECTED = {
    # mode: (record exists, record does not exist)
    Mode.UPSERT: (("delivered", None), ("delivered", None)),
    Mode.UPDATE: (("delivered", None), ("skipped", "record_not_found")),
    Mode.INSERT: (("skipped", "record_exists"), ("delivered", None)),
}
EVERY_READING = pytest.mark.parametrize(
    ("spec", "reading"),
    [
        pytest.param(spec, switches, id=f"{spec.name}-{name}")
        for name, (kinds, switches) in READINGS.items()
        for spec in REST.values()
        if spec.name + "s" in kinds
    ],
)


@EVERY_READING
@MODES
def test_each_mode_does_what_it_says_whatever_vitally_does(
    spec: ObjectSpec, mode: Mode, reading: dict[str, Any], tmp_path: Path
):
    """What Vitally answers to a POST of an existing record is documented nowhere: all readings must end alike."""
    with World(tmp_path, **reading) as world:
        world.parents()
        world.vitally.seed(spec.name + "s", seed(spec, "there"))
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "there", **columns}, {"key": "2", "ref": "new", **columns})
        world.sync(spec.name, rules, mode=mode)

        ran = world.run()

        assert {"1": EXPECTED[mode][0], "2": EXPECTED[mode][1]} == ran.outcomes
        held = world.held(spec.name)
        assert (mode is not Mode.UPDATE) == ("new" in held)
        touched = held["there"]["traits"] != {"kept": "yes"}
        assert (mode is not Mode.INSERT) == touched
        assert held["there"]["traits"]["kept"] == "yes"
        assert ran.report.status == "succeeded", "a skip is no fault"
        if not reading:
            assert [] == world.run().lines, "nothing changed, so nothing is asked"


@pytest.mark.parametrize("refusal", ["upsert", "400", "409"])
@OBJECTS
def test_a_record_that_appears_while_we_create_it_is_updated(spec: ObjectSpec, refusal: str, tmp_path: Path):
    """Somebody else's integration made the record between our look and our creation."""
    with World(tmp_path, post_on_existing={spec.name + "s": refusal}) as world:
        world.parents()
        world.vitally.seed(spec.name + "s", seed(spec, "there"))
        world.vitally.add_fault(match={"method": "PUT"}, status=404, times=1)
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "there", **columns})
        world.sync(spec.name, rules)

        ran = world.run()

        assert {"1": ("delivered", None)} == ran.outcomes
        assert columns["name"] == world.held(spec.name)["there"]["name"]


@pytest.mark.parametrize("refusal", ["400", "409"])
@OBJECTS
def test_a_creation_that_is_really_refused_is_a_rejected_row_with_vitallys_words(
    spec: ObjectSpec, refusal: str, tmp_path: Path
):
    """400 may mean "exists already" or "bad row". The second must not be mistaken for the first, nor go in circles."""
    with World(tmp_path) as world:
        world.parents()
        world.vitally.add_fault(
            match={"method": "POST", "body": "bad"}, status=int(refusal), body={"error": "too long"}
        )
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "bad", **columns}, {"key": "2", "ref": "good", **columns})
        world.sync(spec.name, rules)

        ran = world.run()

        assert {"1": ("rejected", "destination_rejected"), "2": ("delivered", None)} == ran.outcomes
        assert "too long" in (ran.messages["1"] or "")
        assert {"1"} == set(world.run().outcomes), "planned again by itself"


@OBJECTS
def test_the_fewest_fields_suffice(spec: ObjectSpec, world: World):
    """Only what the declaration calls required; everything else of the record stays as it is."""
    world.parents()
    world.vitally.seed(spec.name + "s", seed(spec, "there"))
    rules = {name: sample(spec.field(name)).rule for name in required_fields(spec, "upsert", "externalId")}
    columns = {name: sample(spec.field(name)).stored for name in rules}
    world.rows({"key": "1", "ref": "there", **columns}, {"key": "2", "ref": "new", **columns})
    world.sync(spec.name, rules)

    ran = world.run()

    assert {"1": ("delivered", None), "2": ("delivered", None)} == ran.outcomes
    assert {"kept": "yes"} == world.held(spec.name)["there"]["traits"]


@MODES
@OBJECTS
def test_a_required_field_that_is_not_mapped_is_a_finding_and_one_that_is_null_an_invalid_row(
    spec: ObjectSpec, mode: Mode, world: World
):
    world.parents()
    columns, rules = every_field(spec)
    for name in required_fields(spec, mode, "externalId"):
        code = "parent_required" if name == "accountIds" else "field_required"
        rest = {one: rule for one, rule in rules.items() if one not in (name, "organizationIds")}
        if spec.field(name) is None or name == "traits":
            continue
        world.rows({"key": "1", "ref": "a", **columns})
        assert (code, f"syncs.the-sync.fields.{name}") in world.findings(spec.name, rest, mode=mode)
        world.rows({"key": "1", "ref": "a", **columns, name: None}, {"key": "2", "ref": "b", **columns})
        world.sync(spec.name, {**rest, name: rules[name]}, mode=mode)

        assert ("invalid", code) == world.run().outcomes["1"]


@pytest.mark.parametrize("reading", ["upsert", "400", "409"])
@OBJECTS
def test_a_creation_without_an_answer_is_not_made_twice(spec: ObjectSpec, reading: str, tmp_path: Path):
    """The connection broke after the effect: whether the record is ours is asked, not guessed."""
    for mode in (Mode.UPSERT, Mode.INSERT):
        with World(tmp_path / mode, post_on_existing={spec.name + "s": reading}) as world:
            world.parents()
            world.vitally.add_fault(match={"method": "POST"}, action="drop_after", times=1)
            columns, rules = every_field(spec)
            world.rows({"key": "1", "ref": "new", **columns})
            world.sync(spec.name, rules, mode=mode)

            ran = world.run()

            assert {"1": ("delivered", None)} == ran.outcomes
            assert 1 == len(ran.requests) - len([one for one in ran.requests if one.method != "POST"])
            assert columns["name"] == world.held(spec.name)["new"]["name"]

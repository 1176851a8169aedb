"""Every mode of every object, where the record exists and where it does not, under every reading of what is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from headrace.domain.spec import Mode, ObjectSpec
from headrace.emulator.settings import PostOnExisting

from .world import (
    CREATED,
    CREATED_OBJECTS,
    CREATION_UPDATES,
    EACH_MODE,
    REST,
    World,
    every_field,
    match_of,
    required_fields,
    sample,
    text_of,
)


def on_existing(answer: str) -> dict[str, Any]:
    """The switches under which POST answers so where the record exists."""
    return {"post_on_existing": dict.fromkeys(PostOnExisting.model_fields, answer)}


READINGS: dict[str, tuple[Iterable[str], dict[str, Any]]] = {
    # reading: (objects it speaks of, switches)
    "as the documents read": (REST, {}),
    "POST of an existing record answers 400, a creation 201": (CREATED, {**on_existing("400"), "create_status": 201}),
    "POST of an existing record answers 409, errors say message": (
        CREATED,
        {**on_existing("409"), "error_shape": "message"},
    ),
    "names of accounts are fixed": (("account",), {"account_name_editable": False}),
    "PUT adds parents": (("user",), {"user_parents_on_put": "add"}),
    "parents may be external ids": (("user",), {"parents_accept_external_id": {"users": True, "accounts": False}}),
    "a search of instances answers with a list": (("custom_object_instance",), {"instance_search_shape": "results"}),
    "PUT leaves the parents of instances": (("custom_object_instance",), {"instance_parents_on_put": "ignore"}),
    "what REST makes has no source": (("note", "task"), {"rest_source": None}),
}
EXPECTED = {
    # mode: (record exists, record does not exist)
    Mode.UPSERT: (("delivered", None), ("delivered", None)),
    Mode.UPDATE: (("delivered", None), ("skipped", "record_not_found")),
    Mode.INSERT: (("skipped", "record_exists"), ("delivered", None)),
}
EVERY_READING = pytest.mark.parametrize(
    ("spec", "mode", "reading"),
    [
        pytest.param(REST[kind], mode, switches, id=f"{kind}-{mode}-{name}")
        for name, (kinds, switches) in READINGS.items()
        for kind in kinds
        for mode in Mode
        if mode in REST[kind].modes
    ],
)


@EVERY_READING
def test_each_mode_does_what_it_says_whatever_vitally_does(
    spec: ObjectSpec, mode: Mode, reading: dict[str, Any], tmp_path: Path
):
    """What Vitally answers to a POST of an existing record is documented nowhere: all readings must end alike."""
    with World(tmp_path, **reading) as world:
        world.arrange(spec)
        world.there(spec, "there")
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "there", **columns}, {"key": "2", "ref": "new", **columns})
        world.sync(spec.name, rules, mode=mode)

        ran = world.run()

        assert {"1": EXPECTED[mode][0], "2": EXPECTED[mode][1]} == ran.outcomes
        held = world.held(spec.name)
        assert (mode is not Mode.UPDATE) == ("new" in held)
        if text_of(spec) != "name" or reading.get("account_name_editable", True):
            assert (mode is not Mode.INSERT) == (held["there"][text_of(spec)] == columns[text_of(spec)])
        if spec.field("traits"):
            assert (mode is not Mode.INSERT) == (held["there"]["traits"] != {"kept": "yes"})
            assert held["there"]["traits"]["kept"] == "yes"
        assert ran.report.status == "succeeded", "a skip is no fault"
        if not reading:
            assert [] == world.run().lines, "nothing changed, so nothing is asked"


@pytest.mark.parametrize("refusal", ["upsert", "400", "409"])
@CREATED_OBJECTS
def test_a_record_that_appears_while_we_create_it_is_updated(spec: ObjectSpec, refusal: str, tmp_path: Path):
    """Somebody else's integration made the record between our look and our creation."""
    with World(tmp_path, **on_existing(refusal)) as world:
        world.arrange(spec)
        world.there(spec, "there")
        if spec.name not in CREATION_UPDATES:
            world.vitally.add_fault(match={"method": "PUT"}, status=404, times=1)
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "there", **columns})
        world.sync(spec.name, rules)

        ran = world.run()

        assert {"1": ("delivered", None)} == ran.outcomes
        assert columns[text_of(spec)] == world.held(spec.name)["there"][text_of(spec)]


@pytest.mark.parametrize("refusal", ["400", "409"])
@CREATED_OBJECTS
def test_a_creation_that_is_really_refused_is_a_rejected_row_with_vitallys_words(
    spec: ObjectSpec, refusal: str, tmp_path: Path
):
    """400 may mean "exists already" or "bad row". The second must not be mistaken for the first, nor go in circles."""
    with World(tmp_path) as world:
        world.arrange(spec)
        world.vitally.add_fault(
            match={"method": "POST", "body": "r-bad"}, status=int(refusal), body={"error": "too long"}
        )
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "r-bad", **columns}, {"key": "2", "ref": "good", **columns})
        world.sync(spec.name, rules)

        ran = world.run()

        assert {"1": ("rejected", "destination_rejected"), "2": ("delivered", None)} == ran.outcomes
        assert "too long" in (ran.messages["1"] or "")
        assert {"1"} == set(world.run().outcomes), "planned again by itself"


@EACH_MODE
def test_the_fewest_fields_suffice(spec: ObjectSpec, mode: Mode, world: World):
    """Only what the declaration calls required; everything else of the record stays as it is."""
    world.arrange(spec)
    world.there(spec, "there")
    names = required_fields(spec, mode, match_of(spec))
    columns = {name: sample(spec.field(name)).stored for name in names}
    world.rows({"key": "1", "ref": "there", **columns}, {"key": "2", "ref": "new", **columns})
    world.sync(spec.name, {name: sample(spec.field(name)).rule for name in names}, mode=mode)

    ran = world.run()

    assert {"1": EXPECTED[mode][0], "2": EXPECTED[mode][1]} == ran.outcomes
    if spec.field("traits"):
        assert "yes" == world.held(spec.name)["there"]["traits"]["kept"]


@EACH_MODE
def test_a_required_field_that_is_not_mapped_is_a_finding_and_one_that_is_null_an_invalid_row(
    spec: ObjectSpec, mode: Mode, world: World
):
    world.arrange(spec)
    columns, rules = every_field(spec)
    alternatives = {rule.any_of[0]: rule for rule in spec.requirements if match_of(spec) in rule.matches}
    for name in required_fields(spec, mode, match_of(spec)):
        if spec.field(name) is None or name == "traits":
            continue
        either = alternatives.get(name)
        code = either.code if either else "field_required"
        rest = {one: rule for one, rule in rules.items() if one not in (either.any_of if either else (name,))}
        world.rows({"key": "1", "ref": "a", **columns})
        assert (code, f"syncs.the-sync.fields.{name}") in world.findings(spec.name, rest, mode=mode)
        world.rows({"key": "1", "ref": "a", **columns, name: None}, {"key": "2", "ref": "b", **columns})
        world.sync(spec.name, {**rest, name: rules[name]}, mode=mode)

        assert ("invalid", code) == world.run().outcomes["1"]


CREATING = pytest.mark.parametrize(
    ("spec", "mode"),
    [
        pytest.param(spec, mode, id=f"{spec.name}-{mode}")
        for spec in CREATED.values()
        for mode in (Mode.UPSERT, Mode.INSERT)
        if mode in spec.modes
    ],
)


@pytest.mark.parametrize("reading", ["upsert", "400", "409"])
@CREATING
def test_a_creation_without_an_answer_is_not_made_twice(spec: ObjectSpec, mode: Mode, reading: str, tmp_path: Path):
    """The connection broke after the effect: whether the record is ours is asked, not guessed."""
    with World(tmp_path, **on_existing(reading)) as world:
        world.arrange(spec)
        world.vitally.add_fault(match={"method": "POST"}, action="drop_after", times=1)
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "new", **columns})
        world.sync(spec.name, rules, mode=mode)

        ran = world.run()

        assert {"1": ("delivered", None)} == ran.outcomes
        assert 1 == len([one for one in ran.requests if one.method == "POST"])
        assert columns[text_of(spec)] == world.held(spec.name)["new"][text_of(spec)]

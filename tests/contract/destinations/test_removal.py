"""What becomes of records whose rows are gone, and of those whose match value changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.domain.spec import FieldType, ObjectSpec

from .world import CREATED, CREATED_OBJECTS, OBJECTS, REST, World, every_field, match_of, text_of

RULES = ("ignore", "clear", "delete")
EACH_MATCH_AND_RULE = pytest.mark.parametrize(
    ("spec", "match", "rule"),
    [
        pytest.param(spec, one.field, rule, id=f"{spec.name}-{one.field}-{rule}")
        for spec in REST.values()
        for one in spec.matchings
        for rule in RULES
        if rule in spec.removed_rules
    ],
)
EACH_RULE = pytest.mark.parametrize(
    ("spec", "rule"),
    [
        pytest.param(spec, rule, id=f"{spec.name}-{rule}")
        for spec in CREATED.values()
        for rule in RULES
        if rule in spec.removed_rules
    ],
)


def two_delivered_rows(world: World, spec: ObjectSpec, match: str, rule: str) -> dict[str, dict[str, Any]]:
    """Rows 1 and 2 delivered onto records `one` and `two`, which also have a trait of their own. Their rows."""
    world.arrange(spec)
    extra = {"email": "{}@acme.test"} if spec.name == "user" else {}
    seeded = {}
    for name in ("one", "two"):
        more = {field: text.format(name) for field, text in extra.items()}
        (seeded[name],) = world.there(spec, name, **more)
    columns, rules = every_field(spec)
    rows = {}
    for key, name in (("1", "one"), ("2", "two")):
        columns = {**columns, **({"email": f"{name}@acme.test"} if spec.name == "user" else {})}
        found = {"externalId": name, "id": seeded[name]["id"], "email": f" {name.upper()}@acme.test"}[match]
        rows[key] = {"key": key, "ref": found, "own": name, **columns}
    if match == "email":
        rules = {"externalId": {"column": "own"}, **{one: rule for one, rule in rules.items() if one != "email"}}
    world.rows(*rows.values())
    mode = "update" if match == "id" else "upsert"
    world.sync(spec.name, rules, mode=mode, match=("ref", match), removed=rule)
    assert {"delivered"} == {outcome for outcome, _ in world.run().outcomes.values()}
    return rows


@EACH_MATCH_AND_RULE
def test_a_removed_row_is_answered_by_the_rule(spec: ObjectSpec, match: str, rule: str, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, match, rule)
        world.rows(rows["2"])

        ran = world.run()

        assert 1 == ran.counts.removed
        assert ({} if rule == "ignore" else {"1": ("delivered", None)}) == ran.outcomes
        held, text = world.held(spec.name), text_of(spec)
        assert rows["2"][text] == held["two"][text]
        if rule == "ignore":
            assert rows["1"][text] == held["one"][text]
            assert [] == ran.lines
        elif rule == "clear":
            assert {"kept": "yes"} == held["one"]["traits"], "a trait that is not mapped is not ours to clear"
            clearable = [one for one in spec.fields if one.clearable and one.name not in ("traits", "externalId")]
            mapped = [one for one in clearable if not (match == "email" and one.name == "email")]
            empty = {one.name: [] if one.type is FieldType.TEXTS else None for one in mapped}
            assert empty == {name: held["one"].get(name) for name in empty}
            if match == "email":
                assert "one@acme.test" == held["one"]["email"], "what only finds the user is not cleared"
        else:
            assert world.is_gone(spec.name, "one")
            assert spec.archives == ("one" in held)
        assert [] == world.run().lines, "gone once"


@OBJECTS
def test_a_rule_that_an_object_does_not_have_is_refused(spec: ObjectSpec, world: World):
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    for rule in RULES:
        wrong = [] if rule in spec.removed_rules else [("unknown_value", "syncs.the-sync.removed")]
        assert wrong == world.findings(spec.name, rules, removed=rule)


@pytest.mark.parametrize("status", [200, 202, 204])
@OBJECTS
def test_a_deletion_is_acknowledged_by_any_success(spec: ObjectSpec, status: int, tmp_path: Path):
    """A user that is marked for deletion stays readable; the answer alone says that it was taken."""
    with World(tmp_path, delete_status=status) as world:
        rows = two_delivered_rows(world, spec, match_of(spec), "delete")
        world.rows(rows["2"])

        assert {"1": ("delivered", None)} == world.run().outcomes
        assert spec.name != "user" or len(world.vitally.state.user_deletions) == 1


@EACH_MATCH_AND_RULE
def test_a_record_that_is_gone_already_needs_no_removal(spec: ObjectSpec, match: str, rule: str, tmp_path: Path):
    expected = {"clear": {"1": ("skipped", "record_not_found")}, "delete": {"1": ("delivered", None)}, "ignore": {}}
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, match, rule)
        world.remove(spec.name, "one")
        world.rows(rows["2"])

        ran = world.run()

        assert expected[rule] == ran.outcomes
        assert "succeeded" == ran.report.status
        assert [] == world.run().lines


@EACH_RULE
def test_a_changed_match_value_is_a_removal_by_the_rule_and_an_add(spec: ObjectSpec, rule: str, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", rule)
        world.rows({**rows["1"], "ref": "renamed"}, rows["2"])

        ran = world.run()

        assert {"1": ("delivered", None)} == ran.outcomes
        held, text = world.held(spec.name), text_of(spec)
        assert rows["1"][text] == held["renamed"][text]
        match rule:
            case "ignore":
                assert rows["1"][text] == held["one"][text]
            case "clear":
                assert {"kept": "yes"} == held["one"]["traits"]
            case _:
                assert world.is_gone(spec.name, "one")
        assert [] == world.run().lines


@EACH_RULE
def test_rows_that_swap_their_match_values_lose_no_record(spec: ObjectSpec, rule: str, tmp_path: Path):
    """The old record of each lives on as the other's: removing it would delete what the other row has just written."""
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", rule)
        text = text_of(spec)
        world.rows({**rows["1"], "ref": "two", text: "Now two"}, {**rows["2"], "ref": "one", text: "Now one"})

        ran = world.run()

        held = world.held(spec.name)
        assert ("Now one", "Now two") == (held["one"][text], held["two"][text])
        writes = [one.method for one in ran.requests if one.method != "GET"]
        assert 2 == len(writes), "nothing was cleared or deleted on the way"
        assert "DELETE" not in writes
        assert not spec.field("traits") or "yes" == held["one"]["traits"].get("kept")


@EACH_RULE
def test_a_match_value_that_lives_on_under_another_key_is_not_removed(spec: ObjectSpec, rule: str, tmp_path: Path):
    """The warehouse was rebuilt with new primary keys: the records are the same."""
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", rule)
        world.rows({**rows["1"], "key": "11"}, rows["2"])

        ran = world.run()

        assert {"11": ("delivered", None)} == ran.outcomes
        assert [] == [line for line in ran.lines if line.startswith("DELETE")]
        assert rows["1"][text_of(spec)] == world.held(spec.name)["one"][text_of(spec)]


@CREATED_OBJECTS
def test_a_row_that_comes_back_is_delivered_again(spec: ObjectSpec, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", "delete")
        world.rows(rows["2"])
        world.run()
        world.rows(*rows.values())

        assert {"1": ("delivered", None)} == world.run().outcomes
        assert rows["1"][text_of(spec)] == world.held(spec.name)["one"][text_of(spec)]


@OBJECTS
def test_a_removal_that_fails_is_owed_until_it_passes(spec: ObjectSpec, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, match_of(spec), "delete")
        world.rows(rows["2"])
        world.vitally.add_fault(match={"method": "DELETE"}, status=400, body={"error": "has open tasks"}, times=1)

        assert {"1": ("rejected", "destination_rejected")} == world.run().outcomes
        assert {"1": ("delivered", None)} == world.run().outcomes
        assert world.is_gone(spec.name, "one")

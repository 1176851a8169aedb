"""What becomes of records whose rows are gone, and of those whose match value changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.domain.spec import ObjectSpec

from .world import OBJECTS, REST, World, every_field, seed

RULES = pytest.mark.parametrize("rule", ["ignore", "clear", "delete"])


MATCHES = [
    pytest.param(spec, one.field, id=f"{spec.name}-{one.field}") for spec in REST.values() for one in spec.matchings
]
EACH_MATCH = pytest.mark.parametrize(("spec", "match"), MATCHES)


def two_delivered_rows(world: World, spec: ObjectSpec, match: str, rule: str) -> dict[str, dict[str, Any]]:
    """Rows 1 and 2 delivered onto records `one` and `two`, which also have a trait of their own. Their rows."""
    world.parents()
    extra = {"email": "{}@acme.test"} if spec.name == "user" else {}
    seeded = {}
    for name in ("one", "two"):
        more = {field: text.format(name) for field, text in extra.items()}
        (seeded[name],) = world.vitally.seed(spec.name + "s", seed(spec, name, **more))
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


@RULES
@EACH_MATCH
def test_a_removed_row_is_answered_by_the_rule(spec: ObjectSpec, match: str, rule: str, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, match, rule)
        world.rows(rows["2"])

        ran = world.run()

        assert 1 == ran.counts.removed
        assert ({} if rule == "ignore" else {"1": ("delivered", None)}) == ran.outcomes
        held = world.held(spec.name)
        assert rows["2"]["name"] == held["two"]["name"]
        if rule == "ignore":
            assert rows["1"]["name"] == held["one"]["name"]
            assert [] == ran.lines
        elif rule == "clear":
            assert {"kept": "yes"} == held["one"]["traits"], "a trait that is not mapped is not ours to clear"
            clearable = [one.name for one in spec.fields if one.clearable and one.name not in ("traits", "externalId")]
            mapped = [one for one in clearable if not (match == "email" and one == "email")]
            assert {None} == {held["one"].get(name) for name in mapped}
            if match == "email":
                assert "one@acme.test" == held["one"]["email"], "what only finds the user is not cleared"
        else:
            assert "one" not in held
        assert [] == world.run().lines, "gone once"


@pytest.mark.parametrize("status", [200, 202, 204])
@OBJECTS
def test_a_deletion_is_acknowledged_by_any_success(spec: ObjectSpec, status: int, tmp_path: Path):
    """A user that is marked for deletion stays readable; the answer alone says that it was taken."""
    with World(tmp_path, delete_status=status) as world:
        rows = two_delivered_rows(world, spec, "externalId", "delete")
        world.rows(rows["2"])

        assert {"1": ("delivered", None)} == world.run().outcomes
        assert spec.name != "user" or len(world.vitally.state.user_deletions) == 1


@pytest.mark.parametrize(
    ("rule", "expected"), [("delete", ("delivered", None)), ("clear", ("skipped", "record_not_found"))]
)
@EACH_MATCH
def test_a_record_that_is_gone_already_needs_no_removal(
    spec: ObjectSpec, match: str, rule: str, expected: tuple[str, str | None], tmp_path: Path
):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, match, rule)
        kind = spec.name + "s"
        world.vitally.state.shelves[kind].remove(world.vitally.state.shelves[kind].by_external_id("one"))
        world.rows(rows["2"])

        ran = world.run()

        assert {"1": expected} == ran.outcomes
        assert "succeeded" == ran.report.status
        assert [] == world.run().lines


@RULES
@OBJECTS
def test_a_changed_match_value_is_a_removal_by_the_rule_and_an_add(spec: ObjectSpec, rule: str, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", rule)
        world.rows({**rows["1"], "ref": "renamed"}, rows["2"])

        ran = world.run()

        assert {"1": ("delivered", None)} == ran.outcomes
        held = world.held(spec.name)
        assert rows["1"]["name"] == held["renamed"]["name"]
        match rule:
            case "ignore":
                assert rows["1"]["name"] == held["one"]["name"]
            case "clear":
                assert {"kept": "yes"} == held["one"]["traits"]
            case _:
                assert "one" not in held
        assert [] == world.run().lines


@pytest.mark.parametrize("rule", ["clear", "delete"])
@OBJECTS
def test_rows_that_swap_their_match_values_lose_no_record(spec: ObjectSpec, rule: str, tmp_path: Path):
    """The old record of each lives on as the other's: removing it would delete what the other row has just written."""
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", rule)
        world.rows({**rows["1"], "ref": "two", "name": "Now two"}, {**rows["2"], "ref": "one", "name": "Now one"})

        ran = world.run()

        held = world.held(spec.name)
        assert ("Now one", "Now two") == (held["one"]["name"], held["two"]["name"])
        assert ["PUT", "PUT"] == [one.method for one in ran.requests], "nothing was cleared or deleted on the way"
        assert "yes" == held["one"]["traits"].get("kept")


@pytest.mark.parametrize("rule", ["clear", "delete"])
@OBJECTS
def test_a_match_value_that_lives_on_under_another_key_is_not_removed(spec: ObjectSpec, rule: str, tmp_path: Path):
    """The warehouse was rebuilt with new primary keys: the records are the same."""
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", rule)
        world.rows({**rows["1"], "key": "11"}, rows["2"])

        ran = world.run()

        assert {"11": ("delivered", None)} == ran.outcomes
        assert [] == [line for line in ran.lines if line.startswith("DELETE")]
        assert rows["1"]["name"] == world.held(spec.name)["one"]["name"]


@OBJECTS
def test_a_row_that_comes_back_is_delivered_again(spec: ObjectSpec, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", "delete")
        world.rows(rows["2"])
        world.run()
        world.rows(*rows.values())

        assert {"1": ("delivered", None)} == world.run().outcomes
        assert rows["1"]["name"] == world.held(spec.name)["one"]["name"]


@OBJECTS
def test_a_removal_that_fails_is_owed_until_it_passes(spec: ObjectSpec, tmp_path: Path):
    with World(tmp_path, user_delete="immediate") as world:
        rows = two_delivered_rows(world, spec, "externalId", "delete")
        world.rows(rows["2"])
        world.vitally.add_fault(match={"method": "DELETE"}, status=400, body={"error": "has open tasks"}, times=1)

        assert {"1": ("rejected", "destination_rejected")} == world.run().outcomes
        assert {"1": ("delivered", None)} == world.run().outcomes
        assert "one" not in world.held(spec.name)

"""Every field of every object: delivered with its type, refused with a wrong one, merged where Vitally merges."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.domain.spec import Field, FieldType, ObjectSpec

from .world import OBJECTS, REST, World, every_field, required_fields, sample, seed

FIELDS = [
    pytest.param(spec, field, id=f"{spec.name}.{field.name}")
    for spec in REST.values()
    for field in spec.fields
    if field.name != "externalId"
]
EACH_FIELD = pytest.mark.parametrize(("spec", "field"), FIELDS)
WRONG: dict[FieldType, tuple[dict[str, Any], Any]] = {
    # field type: (how the rule reads the column, a value that is none)
    FieldType.NUMBER: ({"as": "number"}, "twelve"),
    FieldType.BOOLEAN: ({"as": "boolean"}, "perhaps"),
    FieldType.DATETIME: ({"as": "datetime"}, "next week"),
    FieldType.OBJECT: ({"as": "object"}, '["not", "an", "object"]'),
    FieldType.REFERENCE: ({}, '["organization-1", "organization-2"]'),
    FieldType.REFERENCES: ({}, '[{"id": "account-1"}]'),
}


def wanted_in_vitally(world: World, field: Field) -> Any:
    found = sample(field)
    match field.type:
        case FieldType.REFERENCE:
            return world.id_of(found.wanted)
        case FieldType.REFERENCES:
            return [world.id_of(one) for one in found.wanted]
        case FieldType.OBJECT:
            return {key: value for key, value in found.wanted.items() if value is not None}
    return found.wanted


@OBJECTS
def test_every_field_arrives_with_its_type(spec: ObjectSpec, world: World):
    world.parents()
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    world.sync(spec.name, rules)

    assert {"1": ("delivered", None)} == world.run().outcomes

    held = world.held(spec.name)["r-1"]
    for field in spec.fields:
        if field.name == "externalId":
            continue
        wanted = wanted_in_vitally(world, field)
        if field.type is FieldType.OBJECT:
            assert wanted == {key: held["traits"][key] for key in wanted}
        else:
            assert wanted == held[field.name], field.name
        if field.inside:
            assert wanted == held["traits"][field.name], "sent as a trait, from which Vitally fills the field"


@EACH_FIELD
def test_a_value_of_a_wrong_type_makes_its_row_invalid_and_spares_the_others(
    spec: ObjectSpec, field: Field, world: World
):
    world.parents()
    names = dict.fromkeys([*required_fields(spec, "upsert", "externalId"), field.name])
    rules = {name: sample(spec.field(name)).rule for name in names}
    columns = {name: sample(spec.field(name)).stored for name in names}
    good = {"key": "good", "ref": "r-good", **columns}
    if field.type not in WRONG:
        world.rows({**good, field.name: 7})
        findings = world.findings(spec.name, {**rules, field.name: {"column": field.name}})
        assert [("type_mismatch", f"syncs.the-sync.fields.{field.name}")] == findings
        return
    options, value = WRONG[field.type]
    world.rows(good, {**good, "key": "bad", "ref": "r-bad", field.name: value})
    world.sync(spec.name, {**rules, field.name: {"column": field.name, **options}})
    if field.type is FieldType.NUMBER:
        world.rows({**good, field.name: "7.5"}, {**good, "key": "bad", "ref": "r-bad", field.name: value})

    ran = world.run()

    assert {"good": ("delivered", None), "bad": ("invalid", "type_mismatch")} == ran.outcomes
    assert field.name in (ran.messages["bad"] or "")
    assert "r-bad" not in world.held(spec.name)


@OBJECTS
def test_traits_merge_null_clears_and_a_skipped_null_leaves(spec: ObjectSpec, world: World):
    world.parents()
    old = {"plan": "free", "owner": "Bo", "score": 1}
    world.vitally.seed(spec.name + "s", seed(spec, "r-1", traits={**old, "kept": [1, 2]}))
    fields = {name: sample(spec.field(name)).rule for name in required_fields(spec, "upsert", "externalId")}
    columns = {name: sample(spec.field(name)).stored for name in fields}
    traits = {"plan": {"column": "plan"}, "owner": {"column": "owner"}, "score": {"column": "score", "null": "skip"}}
    world.rows({"key": "1", "ref": "r-1", **columns, "plan": "pro", "owner": None, "score": None})
    world.sync(spec.name, {**fields, "traits": {"object": traits}})

    world.run()

    assert {"plan": "pro", "score": 1, "kept": [1, 2]} == world.held(spec.name)["r-1"]["traits"]


@OBJECTS
def test_traits_from_columns_lists_and_nested_objects_keep_their_types(spec: ObjectSpec, world: World):
    world.parents()
    fields = {name: sample(spec.field(name)).rule for name in required_fields(spec, "upsert", "externalId")}
    columns = {name: sample(spec.field(name)).stored for name in fields}
    rule = {
        "seats": {"column": "seats"},
        "big": {"column": "big"},
        "price": {"column": "price", "as": "number"},
        "vitally.custom.segment": {"static": "A"},
        "sync": {"variable": "sync.name"},
        "pair": {"array": [{"column": "seats"}, {"static": None}, {"column": "city"}]},
        "address": {"object": {"city": {"column": "city"}, "geo": {"object": {"lat": {"column": "lat"}}}}},
        "listed": {"columns": ["seats", "city"]},
        "tags": {"column": "tags", "as": "array"},
    }
    row = {"seats": 5, "big": 9007199254740993, "price": "19.90", "city": "Zürich", "lat": 47.37, "tags": '["x", 1]'}
    world.rows({"key": "1", "ref": "r-1", **columns, **row})
    world.sync(spec.name, {**fields, "traits": {"object": rule}})

    world.run()

    assert {
        "seats": 5,
        "big": 9007199254740993,
        "price": 19.9,
        "vitally.custom.segment": "A",
        "sync": "the-sync",
        "pair": [5, None, "Zürich"],
        "address": {"city": "Zürich", "geo": {"lat": 47.37}},
        "listed": {"seats": 5, "city": "Zürich"},
        "tags": ["x", 1],
    } == world.held(spec.name)["r-1"]["traits"]


@OBJECTS
def test_text_for_traits_is_refused_with_the_hint_to_map_an_object(spec: ObjectSpec, world: World):
    """The most frequent mistake (product A20): traits is an object, not a string."""
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})

    assert ("type_mismatch", "syncs.the-sync.fields.traits") in world.findings(
        spec.name, {**rules, "traits": {"column": "traits"}}
    )


@OBJECTS
def test_a_changed_row_sends_all_its_mapped_fields(spec: ObjectSpec, world: World):
    """What somebody overwrote by hand in Vitally is put right with the next change of the row."""
    world.parents()
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    world.sync(spec.name, rules)
    world.run()
    world.rows({"key": "1", "ref": "r-1", **columns, "name": "Newer name"})

    (sent,) = world.run().requests

    own = {one.name for one in spec.fields if not one.inside and not one.refers_to and one.name != "externalId"}
    assert own == set(sent.json)
    assert "mrr" not in rules or sent.json["traits"]["mrr"] == columns["mrr"]


@OBJECTS
def test_a_field_that_vitally_does_not_have_is_named_with_its_neighbours(spec: ObjectSpec, world: World):
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})

    assert ("unknown_field", "syncs.the-sync.fields.nmae") in world.findings(
        spec.name, {**rules, "nmae": {"column": "name"}}
    )


@OBJECTS
def test_a_model_without_rows_is_no_fault(spec: ObjectSpec, world: World):
    """An untyped source can't say what type an empty column has: nothing is known to be wrong with it."""
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    world.rows()
    world.sync(spec.name, {name: {"column": rule["column"]} for name, rule in rules.items()})

    ran = world.run()

    assert ("succeeded", 0, []) == (ran.report.status, ran.counts.rows, ran.lines)

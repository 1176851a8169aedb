"""Every field of every object: delivered with its type, refused with a wrong one, merged where Vitally merges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.domain.spec import Field, FieldType, Mode, ObjectSpec

from .world import (
    OBJECTS,
    OBJECTS_WITH_TRAITS,
    REST,
    World,
    every_field,
    sample,
    some_fields,
    text_of,
)

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
    FieldType.INTEGER: ({"as": "integer"}, "twelve"),
    FieldType.BOOLEAN: ({"as": "boolean"}, "perhaps"),
    FieldType.DATETIME: ({"as": "datetime"}, "next week"),
    FieldType.DATE: ({"as": "date"}, "next week"),
    FieldType.LIST: ({"as": "array"}, '{"not": "a list"}'),
    FieldType.TEXTS: ({}, '["fine", 7]'),
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
    world.arrange(spec)
    world.there_if_never_created(spec, "r-1")
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    world.sync(spec.name, rules)

    assert {"1": ("delivered", None)} == world.run().outcomes

    held = world.held(spec.name)["r-1"]
    for field in spec.fields:
        if field.name == "externalId" or field.type is FieldType.LIST:
            continue  # Vitally's own lists of records do not show what a list holds: see the messages below
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
    world.arrange(spec)
    world.there_if_never_created(spec, "r-good", "r-bad")
    columns, rules = some_fields(spec, field.name)
    good = {"key": "good", "ref": "r-good", **columns}
    if field.type not in WRONG:
        world.rows({**good, field.name: 7.5})
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
    assert world.held(spec.name).get("r-bad", {}).get(text_of(spec)) in (None, "Old name")


BETWEEN = [
    pytest.param(spec, field, id=f"{spec.name}.{field.name}")
    for spec in REST.values()
    for field in spec.fields
    if field.between is not None
]


@pytest.mark.parametrize(("spec", "field"), BETWEEN)
def test_an_integer_outside_its_range_makes_its_row_invalid(spec: ObjectSpec, field: Field, world: World):
    """Vitally would refuse it. Ours says so without a request, and which values there are."""
    assert field.between is not None
    low, high = field.between
    world.arrange(spec)
    columns, rules = some_fields(spec, field.name)
    values = {"low": low, "high": high, "under": low - 1, "over": high + 1}
    world.rows(*({"key": key, "ref": f"r-{key}", **columns, field.name: value} for key, value in values.items()))
    world.sync(spec.name, rules)

    ran = world.run()

    wrong = ("invalid", "type_mismatch")
    assert {"low": ("delivered", None), "high": ("delivered", None), "under": wrong, "over": wrong} == ran.outcomes
    assert f"from {low} to {high}" in (ran.messages["over"] or "")


@OBJECTS_WITH_TRAITS
def test_traits_merge_null_clears_and_a_skipped_null_leaves(spec: ObjectSpec, world: World):
    world.arrange(spec)
    old = {"plan": "free", "owner": "Bo", "score": 1}
    world.there(spec, "r-1", traits={**old, "kept": [1, 2]})
    columns, fields = some_fields(spec)
    traits = {"plan": {"column": "plan"}, "owner": {"column": "owner"}, "score": {"column": "score", "null": "skip"}}
    world.rows({"key": "1", "ref": "r-1", **columns, "plan": "pro", "owner": None, "score": None})
    world.sync(spec.name, {**fields, "traits": {"object": traits}})

    world.run()

    assert {"plan": "pro", "score": 1, "kept": [1, 2]} == world.held(spec.name)["r-1"]["traits"]


@OBJECTS_WITH_TRAITS
def test_traits_from_columns_lists_and_nested_objects_keep_their_types(spec: ObjectSpec, world: World):
    world.arrange(spec)
    world.there_if_never_created(spec, "r-1", traits={})
    columns, fields = some_fields(spec)
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


@OBJECTS_WITH_TRAITS
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
    world.arrange(spec)
    world.there_if_never_created(spec, "r-1")
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    world.sync(spec.name, rules)
    world.run()
    world.rows({"key": "1", "ref": "r-1", **columns, text_of(spec): "Newer name"})

    sent = world.run().requests[-1].json

    own = {one.name for one in spec.fields if not one.inside and not one.refers_to and one.name != "externalId"}
    needed = {one.name for one in spec.fields if one.refers_to and Mode.UPDATE in one.required_for}
    assert own | needed == set(sent) - {"externalId"}
    assert "mrr" not in rules or sent["traits"]["mrr"] == columns["mrr"]


@OBJECTS
def test_a_field_that_vitally_does_not_have_is_named_with_its_neighbours(spec: ObjectSpec, world: World):
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})

    assert ("unknown_field", "syncs.the-sync.fields.nmae") in world.findings(
        spec.name, {**rules, "nmae": {"column": text_of(spec)}}
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


def test_the_messages_of_a_conversation_arrive_as_they_are(world: World):
    """A list of objects is for Vitally to check: what the model gives is what is sent."""
    spec = REST["conversation"]
    world.parents()
    messages = [
        {
            "externalId": f"m-{number}",
            "message": "<p>Hello</p>",
            "from": {"type": "admin", "id": "an-admin"},
            "to": [{"type": "user", "id": "a-user"}],
            "timestamp": "2026-03-01T08:00:00.000Z",
        }
        for number in (1, 2)
    ]
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns, "messages": json.dumps(messages)})
    world.sync(spec.name, rules)

    assert {"1": ("delivered", None)} == world.run().outcomes

    held = world.vitally.state.records("messages")
    assert messages == [{name: one[name] for name in messages[0]} for one in held]


@pytest.mark.parametrize(
    ("stored", "rule", "wanted"),
    [
        ("one", {"column": "tags"}, ["one"]),
        ('["one", "two"]', {"column": "tags"}, ["one", "two"]),
        ('["one", "two"]', {"column": "tags", "as": "array"}, ["one", "two"]),
        ("[draft", {"column": "tags"}, ["[draft"]),
        ("one", {"array": [{"column": "tags"}, {"static": "two"}]}, ["one", "two"]),
        ("one", {"template": '["{{ row.tags }}", "two"]'}, ["one", "two"]),
        ("one", {"static": ["fixed"]}, ["fixed"]),
    ],
    ids=str,
)
def test_a_list_of_texts_takes_one_text_or_many_and_replaces_the_list(
    stored: str, rule: dict[str, Any], wanted: list[str], world: World
):
    """vitally 6.1: tags that are left out are removed."""
    spec = REST["task"]
    world.arrange(spec)
    world.there(spec, "r-1", tags=["old"])
    columns, rules = some_fields(spec)
    world.rows({"key": "1", "ref": "r-1", **columns, "tags": stored})
    world.sync(spec.name, {**rules, "tags": rule})

    assert {"1": ("delivered", None)} == world.run().outcomes
    assert wanted == world.held(spec.name)["r-1"]["tags"]

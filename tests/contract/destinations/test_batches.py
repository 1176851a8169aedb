"""Analytics objects and events against a pretended Vitally: what it holds afterwards, and which messages it got."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from headrace.domain.outcome import Change
from headrace.domain.spec import Field, FieldType, ObjectSpec
from headrace.emulator import Entry

from .world import Ran, World, declared_objects, sample, settings_of

OBJECTS = {one.name: one for kind, one in declared_objects() if kind == "analytics_objects"}
CORE = [one for one in OBJECTS.values() if one.settings is None]
"""Those that take traits of any key. (Those of instances must be custom traits.)"""
EVERY_OBJECT = pytest.mark.parametrize("spec", CORE, ids=[one.name for one in CORE])
BATCHED = {f"{kind}-{one.name}": (kind, one) for kind, one in declared_objects() if kind != "rest_objects"}
EVERY_BATCHED = pytest.mark.parametrize(("kind", "spec"), BATCHED.values(), ids=BATCHED)


def messages(requests: list[Entry] | tuple[Entry, ...] | Ran) -> list[dict[str, Any]]:
    entries = requests.requests if isinstance(requests, Ran) else requests
    return [message for one in entries for message in json.loads(one.body)]


def rules_of(spec: ObjectSpec, names: list[str] | None = None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(columns, rules of fields, sections) with a value in each of these fields, all of them where none is named."""
    columns: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for one in spec.fields:
        if names is not None and one.name not in names:
            continue
        if one.section and one.type is FieldType.OBJECT:
            columns |= {f"{one.name}_plan": "pro", f"{one.name}_seats": 3}
            sections[one.name] = {"plan": {"column": f"{one.name}_plan"}, "seats": {"column": f"{one.name}_seats"}}
            continue
        made = sample(one)
        columns[one.name] = made.stored
        (sections if one.section else fields)[one.name] = made.rule
    return columns, fields, sections


def declare(world: World, kind: str, spec: ObjectSpec, fields: dict[str, Any], **more: Any) -> None:
    match = ("ref", "externalId") if spec.matchings else None
    if spec.settings is not None:
        given = {"id": "custom_object-1", "name": "site", "label": "Site", "writeMode": "writable"}
        if not world.vitally.state.records("customObjects"):
            world.vitally.seed("customObjects", [given])
        more = {"settings": settings_of(spec), **more}
    world.sync(spec.name if kind != "events" else None, fields, type=kind, mode=None, match=match, **more)


def required(spec: ObjectSpec) -> list[str]:
    names = [one.name for one in spec.fields if one.required_for]
    names += [rule.any_of[0] for rule in spec.requirements]
    return names or ["traits"]


# What is sent, and what Vitally then has --------------------------------------------------------------------------


@EVERY_BATCHED
def test_every_declared_field_arrives_where_it_belongs(kind: str, spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.rows({"key": "1", "ref": "one", **columns})
    declare(world, kind, spec, fields, **sections)

    ran = world.run()

    assert {"1": ("delivered", None)} == ran.outcomes
    (message,) = messages(ran)
    expected: dict[str, Any] = {}
    for field in spec.fields:
        expected = _put(expected, field)
    assert expected == {name: value for name, value in message.items() if name in expected}
    own = {"type", "messageId", "userId", "accountId", "organizationId", "externalId", "customObjectId"}
    assert set(message) <= {*expected, *own}


def _put(expected: dict[str, Any], field: Field) -> dict[str, Any]:
    """What a message holds with this field as `rules_of` maps it."""
    if field.section and field.type is FieldType.OBJECT:
        return expected | {field.name: {"plan": "pro", "seats": 3, **expected.get(field.name, {})}}
    wanted = sample(field).wanted
    if field.type is FieldType.REFERENCES:
        return expected | {field.name.removesuffix("s"): wanted[0]}
    if field.inside:
        return expected | {field.inside: {**expected.get(field.inside, {}), field.name: wanted}}
    return expected | {field.name: wanted}


@EVERY_BATCHED
def test_the_required_fields_alone_are_enough(kind: str, spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec, required(spec))
    world.rows({"key": "1", "ref": "one", **columns})
    declare(world, kind, spec, fields, **sections)

    assert {"1": ("delivered", None)} == world.run().outcomes


@EVERY_BATCHED
def test_each_required_field_is_missed_when_saved_and_in_a_row(kind: str, spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.rows({"key": "1", "ref": "one", **columns})
    wanted = [({one.name}, "field_required") for one in spec.fields if one.required_for]
    wanted += [(set(rule.any_of), rule.code) for rule in spec.requirements]
    for names, code in wanted:
        left = {name: rule for name, rule in fields.items() if name not in names}
        left_sections = {name: rule for name, rule in sections.items() if name not in names}

        with_fields = left or ({"name": {"static": "x"}} if spec.field("name") else {})
        found = [one for one, _ in findings(world, kind, spec, with_fields, **left_sections)]
        assert [code] == found, names

        declare(world, kind, spec, fields, **sections)
        world.rows({"key": "1", "ref": "one", **columns, **dict.fromkeys(names)})
        ran = world.run()
        assert {"1": ("invalid", code)} == ran.outcomes, names
        assert [] == ran.lines


def findings(
    world: World, kind: str, spec: ObjectSpec, fields: dict[str, Any], **sections: Any
) -> list[tuple[str, str]]:
    match = ("ref", "externalId") if spec.matchings else None
    name = spec.name if kind != "events" else None
    settings = {"settings": settings_of(spec)} if spec.settings else {}
    return world.findings(name, fields, type=kind, mode=None, match=match, **{**settings, **sections})


@EVERY_BATCHED
def test_a_value_of_a_wrong_type_is_a_fault_of_its_row(kind: str, spec: ObjectSpec, world: World):
    """One wrong field at a time, in a row beside a good one."""
    columns, fields, sections = rules_of(spec)
    for field in spec.fields:
        if field.type not in (FieldType.DATETIME, FieldType.NUMBER, FieldType.BOOLEAN):
            continue
        as_ = {FieldType.DATETIME: "datetime", FieldType.NUMBER: "number", FieldType.BOOLEAN: "boolean"}[field.type]
        rule = {"column": field.name, "as": as_}
        changed = {field.name: rule}
        world.rows(
            {"key": f"{field.name}-bad", "ref": "bad", **columns, field.name: "no such value"},
            {"key": f"{field.name}-good", "ref": "good", **columns, field.name: str(sample(field).stored)},
        )
        if field.section:
            declare(world, kind, spec, fields, **(sections | changed))
        else:
            declare(world, kind, spec, fields | changed, **sections)

        ran = world.run()

        assert ("invalid", "type_mismatch") == ran.outcomes[f"{field.name}-bad"], field.name
        assert ("delivered", None) == ran.outcomes[f"{field.name}-good"], field.name


@EVERY_OBJECT
def test_a_record_is_made_then_changed_and_what_did_not_change_is_not_sent(spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.rows({"key": "1", "ref": "one", **columns}, {"key": "2", "ref": "two", **columns})
    declare(world, "analytics_objects", spec, fields, **sections)
    world.run()

    assert [] == world.run().lines
    world.rows({"key": "1", "ref": "one", **columns, "traits_plan": "basic"}, {"key": "2", "ref": "two", **columns})
    ran = world.run()

    assert ["POST /analytics/v1/batch"] == ran.lines
    assert {"1": ("delivered", None)} == ran.outcomes
    assert "basic" == world.held(spec.name)["one"]["traits"]["plan"]
    assert "pro" == world.held(spec.name)["two"]["traits"]["plan"]


@EVERY_OBJECT
def test_a_null_trait_is_cleared_and_keys_that_are_not_mapped_stay(spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.vitally.seed(
        spec.name + "s", [{"externalId": "one", "name": "Old", "traits": {"kept": "yes", "plan": "old"}}]
    )
    world.rows({"key": "1", "ref": "one", **columns, "traits_plan": None})
    declare(world, "analytics_objects", spec, fields, **sections)

    world.run()

    traits = world.held(spec.name)["one"]["traits"]
    assert ("yes", None, 3) == (traits["kept"], traits.get("plan"), traits["seats"])


def test_a_user_of_several_accounts_is_one_message_for_each_of_them(world: World):
    world.rows({"key": "1", "ref": "ann", "accounts": json.dumps(["a", "b", "c"]), "role": "admin"})
    declare(world, "analytics_objects", OBJECTS["user"], {"accountIds": ACCOUNTS}, traits={"role": {"column": "role"}})

    ran = world.run()

    assert [("ann", "a"), ("ann", "b"), ("ann", "c")] == [(one["userId"], one["accountId"]) for one in messages(ran)]
    assert 3 == len({one["messageId"] for one in messages(ran)})
    assert ["a", "b", "c"] == accounts_of(world, "ann")


def test_an_account_that_a_user_has_left_is_unlinked_unless_parents_are_only_added(world: World):
    """`parents: exact` means that Vitally shows the mapped list."""
    for parents, expected in (("exact", ["b"]), ("add", ["a", "b"])):
        ref = f"user-{parents}"
        world.rows({"key": ref, "ref": ref, "accounts": json.dumps(["a", "b"])})
        declare(world, "analytics_objects", OBJECTS["user"], {"accountIds": ACCOUNTS}, parents=parents)
        world.run()
        world.rows({"key": ref, "ref": ref, "accounts": json.dumps(["b"])})

        world.run()

        assert expected == accounts_of(world, ref)


ACCOUNTS = {"column": "accounts", "as": "array"}


def accounts_of(world: World, user: str) -> list[str]:
    return sorted(one["externalId"] for one in world.held("user")[user]["accounts"])


# Message ids ------------------------------------------------------------------------------------------------------


def test_a_value_that_returns_to_what_it_was_is_a_new_message(world: World):
    """A -> B -> A: had the third message the id of the first, Vitally would drop it and keep B."""
    columns, fields, sections = rules_of(OBJECTS["account"])
    ids = []
    for plan in ("a", "b", "a"):
        world.rows({"key": "1", "ref": "one", **columns, "traits_plan": plan})
        declare(world, "analytics_objects", OBJECTS["account"], fields, **sections)
        ids += [one["messageId"] for one in messages(world.run())]

    assert 3 == len(set(ids)) == len(ids)
    assert "a" == world.held("account")["one"]["traits"]["plan"]


def test_a_lost_answer_is_repeated_with_the_same_ids_and_counts_once(world: World):
    columns, fields, sections = rules_of(EVENT)
    world.rows(*({"key": str(one), "ref": "r", **columns} for one in range(5)))
    declare(world, "events", EVENT, fields, **sections)
    world.vitally.add_fault(action="drop_after", times=1)

    ran = world.run()

    assert 2 == len(ran.requests)
    assert ran.requests[0].body == ran.requests[1].body
    assert 5 == len(world.vitally.state.events)


def test_ids_of_an_interrupted_run_are_those_of_the_next(world: World):
    """The first run's answer never came, at all; the next one must not count twice."""
    columns, fields, sections = rules_of(EVENT)
    world.rows({"key": "1", "ref": "r", **columns})
    declare(world, "events", EVENT, fields, **sections)
    world.vitally.add_fault(action="drop_after", times=1)
    world.vitally.add_fault(status=401, times=1)
    failed = world.run_that_fails()

    ran = world.run()

    assert "credentials_refused" == failed.report.error.code
    assert {one["messageId"] for one in messages(failed)} == {one["messageId"] for one in messages(ran)}
    assert 1 == len(world.vitally.state.events)


# Events -----------------------------------------------------------------------------------------------------------

EVENT = BATCHED["events-event"][1]


def event_rows(*keys: str, **values: Any) -> list[dict[str, Any]]:
    columns, _, _ = rules_of(EVENT)
    return [{"key": one, **columns, **values} for one in keys]


def declare_events(world: World, **more: Any) -> None:
    _, fields, sections = rules_of(EVENT)
    declare(world, "events", EVENT, fields, **(sections | more))


def test_an_event_is_sent_once_though_its_row_changes_leaves_and_returns(world: World):
    """Promise 4. A model is often the last 30 days: rows leave it and nothing happened."""
    world.rows(*event_rows("1", "2"))
    declare_events(world)
    first = world.run()
    story = [
        event_rows("1", "2", properties_plan="other"),
        event_rows("2", "3"),
        event_rows("1", "2", "3"),
        event_rows("3", properties_plan="other"),
        event_rows("1", "3"),
    ]

    sent = []
    for rows in story:
        world.rows(*rows)
        ran = world.run()
        sent.append(sorted(ran.outcomes))
        assert ran.counts.rows == ran.counts.unchanged + ran.counts.added
        assert 0 == ran.counts.removed + ran.counts.changed

    assert ["1", "2"] == sorted(first.outcomes)
    assert [[], ["3"], [], [], []] == sent
    assert Counter({"1": 1, "2": 1, "3": 1}).total() == len(world.vitally.state.events)


def test_a_changed_mapping_sends_no_event_again(world: World):
    world.rows(*event_rows("1", "2"))
    declare_events(world)
    world.run()
    declare_events(world, properties={"another": {"static": 1}})

    assert [] == world.run().lines


def test_a_full_resync_repeats_events_with_the_same_ids_and_they_count_once(world: World):
    world.rows(*event_rows("1", "2"))
    declare_events(world)
    first = world.run()

    again = world.run(full_resync=True)

    ids = [sorted(one["messageId"] for one in messages(ran)) for ran in (first, again)]
    assert ids[0] == ids[1]
    assert 2 == len(world.vitally.state.events)


def test_an_event_without_a_time_counts_from_its_arrival(world: World):
    world.rows(*event_rows("1", timestamp=None), *event_rows("2"))
    declare_events(world)

    ran = world.run()

    assert [False, True] == ["timestamp" in one for one in sorted(messages(ran), key=lambda one: "timestamp" in one)]


def test_an_event_may_have_one_name_for_all_rows(world: World):
    world.rows(*event_rows("1", event=None))
    declare_events(world, event={"static": "Report exported"})

    world.run()

    assert ["Report exported"] == [one["event"] for one in world.vitally.state.events]


def test_a_new_workspace_of_the_same_name_makes_the_same_ids(world: World, tmp_path: Any):
    """Whoever lost the workspace's folder must not send every event again as another."""
    world.rows(*event_rows("1"))
    declare_events(world)
    with World(tmp_path / "another") as other:
        other.rows(*event_rows("1"))
        declare_events(other)

        ids = [messages(one.run())[0]["messageId"] for one in (world, other)]

    assert 1 == len(set(ids))


# Refusals ---------------------------------------------------------------------------------------------------------


def test_one_bad_row_in_a_hundred_is_named_by_vitallys_words(world: World):
    """The emulator blocks nothing and knows nothing of our rows: the message itself is what it refuses."""
    world.rows(*event_rows(*(str(one) for one in range(100))))
    world.vitally.add_fault(match={"body": '"key-is":"42"'}, status=400, body={"error": "bad row"})
    declare_events(world, properties={"key-is": {"column": "key"}})

    ran = world.run()

    assert {"42"} == {key for key, (outcome, _) in ran.outcomes.items() if outcome == "rejected"}
    assert 99 == ran.counts.delivered
    assert len(ran.requests) <= 16
    assert "bad row" in (ran.messages["42"] or "")


def test_a_blocked_type_stops_the_run_after_a_few_requests(world: World):
    world.vitally.configure(blocked_types=["track"])
    world.rows(*event_rows(*(str(one) for one in range(500))))
    declare_events(world)

    ran = world.run_that_fails()

    assert "blocked" in ran.report.error.message
    assert len(ran.requests) <= 40
    assert 500 == ran.counts.rejected + ran.counts.owed


@EVERY_BATCHED
def test_removed_rows_can_not_be_cleared_or_deleted_here(kind: str, spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.rows({"key": "1", "ref": "one", **columns})

    for rule in ("clear", "delete"):
        found = findings(world, kind, spec, fields, **sections, removed=rule)
        assert [("unknown_value", "syncs.the-sync.removed")] == found


@EVERY_BATCHED
def test_the_dry_run_shows_the_very_requests_that_are_sent(kind: str, spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.rows(*({"key": f"{one:03}", "ref": f"r{one}", **columns} for one in range(250)))
    declare(world, kind, spec, fields, **sections, destination={"analytics_concurrency": 1})

    shown = [one.request.body for one in world.explain().requests]

    assert 3 == len(shown)
    assert shown == [one.body for one in world.run().requests]


@EVERY_BATCHED
def test_one_row_can_be_tried_without_disturbing_what_runs_send(kind: str, spec: ObjectSpec, world: World):
    columns, fields, sections = rules_of(spec)
    world.rows({"key": "1", "ref": "one", **columns})
    declare(world, kind, spec, fields, **sections)

    tried = world.app.trials.test_row("the-sync", "1", Change.CHANGED, {})
    ran = world.run()

    (call,) = tried.calls
    (trial,) = json.loads(call.call.request_body or b"")
    (real,) = messages(ran)
    assert (trial["messageId"] == real["messageId"]) is spec.once
    assert "delivered" == tried.outcome.record.outcome


def test_instances_of_a_custom_object_are_upserted_with_their_parent(world: World):
    spec = OBJECTS["custom_object_instance"]
    fields = {"name": {"column": "name"}, "accountId": {"column": "account"}}
    for name in ("Site one", "Site renamed"):
        world.rows({"key": "1", "ref": "site-1", "name": name, "account": "acme"})
        declare(world, "analytics_objects", spec, fields)
        ran = world.run()

    (message,) = messages(ran)
    assert ("customobjectinstance", "site-1", "custom_object-1", "acme") == tuple(
        message[name] for name in ("type", "externalId", "customObjectId", "accountId")
    )
    assert "Site renamed" == world.vitally.state.by_external_id("instances")["site-1"]["name"]
    assert [("field_required", "syncs.the-sync.settings.custom_object")] == findings(
        world, "analytics_objects", spec, fields, settings={}
    )

"""Suggested mappings: what a person would have written, each line with its reason, and never what lint refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.destinations.vitally import SPEC
from headrace.domain.columns import Column, Columns, ColumnType
from headrace.domain.config import SyncConfig
from headrace.domain.spec import Mode, ObjectSpec
from headrace.domain.suggest import Suggestion, Suggestions, suggest, suggest_match

from .world import T, columns_of, lint, sync_of

PARENTS = "Must specify at least one of: accountIds or organizationIds"


def object_of(name: str) -> ObjectSpec:
    found = SPEC.sync_types[0].object(name)
    assert found is not None
    return found


def suggested(columns: Columns, fields: dict[str, Any] | None = None, known: set[str] | None = None, **other: Any):
    sync = sync_of(fields or {}, **other)
    return suggest(sync, object_of(sync.object or ""), columns, known or ())


def user(match: str = "externalId", **other: Any) -> dict[str, Any]:
    column = "mail" if match == "email" else "id"
    return {"object": "user", "match": {"column": column, "field": match}} | other


def line_of(found: Suggestions, column: str) -> Suggestion:
    (line,) = [one for one in found.lines if one.column == column]
    return line


@pytest.mark.parametrize(
    ("column", "kind", "place", "as_", "why"),
    [
        ("name", T.TEXT, ("name",), None, "the same name"),
        ("NAME", T.TEXT, ("name",), None, "spelled another way"),
        ("account_name", T.TEXT, ("name",), None, "another name of it"),
        ("company_name", T.TEXT, ("name",), None, "another name of it"),
        ("organization_id", T.INTEGER, ("organizationId",), None, "spelled another way"),
        ("organization", T.TEXT, ("organizationId",), None, "another name of it"),
        ("org_id", T.DECIMAL, ("organizationId",), "integer", "by `as: integer`"),
        ("mrr", T.DECIMAL, ("mrr",), None, "the same name"),
        ("mrr", T.TEXT, ("mrr",), "number", "text becomes number by `as: number`"),
        ("next_renewal_at", T.DATE, ("nextRenewalDate",), None, "nearly the same name"),
        ("nextRenewal", T.TEXT, ("nextRenewalDate",), "datetime", "text becomes datetime"),
        ("churned", T.DATETIME_TZ, ("churnedAt",), None, "nearly the same name"),
        ("next_renewel_date", T.DATE, ("nextRenewalDate",), None, "a near name"),
        ("plan_name", T.TEXT, ("traits", "plan_name"), None, "a key of traits"),
        ("arr", T.DECIMAL, ("traits", "arr"), None, "a key of traits"),
        ("Größe (m²)", T.NUMBER, ("traits", "Größe (m²)"), None, "a key of traits"),
    ],
)
def test_a_column_is_offered_to_the_field_that_it_is_named_after(
    column: str, kind: ColumnType, place: tuple[str, ...], as_: str | None, why: str
):
    found = suggested((*columns_of(id=T.TEXT), Column(column, kind, kind.value)))

    line = line_of(found, column)

    assert (place, as_) == (line.place, line.as_)
    assert why in line.why


def test_required_fields_come_first_then_fields_then_keys_of_ones_own():
    """What keeps a sync from being saved must not hide below forty traits."""
    columns = columns_of(id=T.TEXT, plan=T.TEXT, email=T.TEXT, account_id=T.TEXT, name=T.TEXT)

    found = suggested(columns, **user())

    assert ["accountIds", "name", "email", "traits"] == [one.place[0] for one in found.lines]
    assert [True, False, False, False] == [one.required for one in found.lines]


def test_the_better_name_wins_and_each_column_is_used_once():
    found = suggested(columns_of(id=T.TEXT, account_name=T.TEXT, name=T.TEXT))

    assert ("name",) == line_of(found, "name").place
    assert ("traits", "account_name") == line_of(found, "account_name").place


def test_a_fitting_type_weighs_more_than_the_same_name():
    """A number called `name` is rarely the name."""
    found = suggested(columns_of(id=T.TEXT, name=T.INTEGER, full_name=T.TEXT), **user())

    assert ("name",) == line_of(found, "full_name").place


def test_a_column_that_can_not_become_what_its_field_takes_is_left_out_with_the_reason():
    found = suggested(columns_of(id=T.TEXT, mrr=T.DATE))

    (left,) = found.left_out
    assert "mrr" == left.column
    assert 'the field "mrr", which takes number, and is date' in left.why


def test_what_is_mapped_already_is_not_offered_again():
    columns = columns_of(
        id=T.TEXT, name=T.TEXT, title=T.TEXT, a=T.TEXT, b=T.TEXT, c=T.TEXT, d=T.TEXT, plan=T.TEXT, mrr=T.NUMBER
    )
    fields = {
        "name": {"column": "TITLE"},
        "mrr": {"static": 1},
        "traits": {
            "object": {
                "x": {"columns": ["a"]},
                "y": {"array": [{"column": "b"}, {"object": {"z": {"template": "{{ row.c }}"}}}]},
                "plan": {"column": "d"},
            }
        },
    }

    found = suggested(columns, fields)

    assert {"name", "mrr"} == {one.column for one in found.lines}
    assert [("plan", '"traits" has a key "plan" already')] == [(one.column, one.why) for one in found.left_out]


def test_a_field_that_travels_as_a_trait_is_not_offered_beside_that_trait():
    """Written twice, one of the two values would win, and nobody could say which."""
    traits = {"traits": {"object": {"mrr": {"column": "revenue"}}}}

    found = suggested(columns_of(id=T.TEXT, revenue=T.NUMBER, mrr=T.NUMBER), traits)

    assert () == found.lines
    assert [("mrr", '"traits" has a key "mrr" already')] == [(one.column, one.why) for one in found.left_out]


def test_a_key_is_spelled_as_other_syncs_spell_it():
    """`plan_name` beside `planName` splits a trait in two."""
    found = suggested(columns_of(id=T.TEXT, plan_name=T.TEXT), known={"planName"})

    line = line_of(found, "plan_name")

    assert (("traits", "planName"), "a key that other syncs send") == (line.place, line.why)


def test_traits_that_are_mapped_as_a_whole_take_no_further_key():
    found = suggested(columns_of(id=T.TEXT, extra=T.JSON, plan=T.TEXT), {"traits": {"column": "extra"}})

    assert () == found.lines
    assert "write it as an object" in found.left_out[0].why


def test_what_is_required_and_not_there_is_said():
    users = suggested(columns_of(mail=T.TEXT, plan=T.TEXT), **user("email"))
    accounts = suggested(columns_of(id=T.TEXT, plan=T.TEXT))

    assert [
        'No column fits "externalId". Required field.',
        f'No column fits "accountIds" or "organizationIds". {PARENTS}.',
    ] == list(users.missing)
    assert ['No column fits the required field "name" (text): The name people see.'] == list(accounts.missing)


def test_one_kind_of_parent_is_enough():
    found = suggested(columns_of(id=T.TEXT, organization_ids=T.JSON), **user())

    assert () == found.missing


@pytest.mark.parametrize(
    ("columns", "key", "column"),
    [
        (columns_of(a=T.TEXT, external_id=T.TEXT), ["a"], "a"),
        (columns_of(a=T.DATE, external_id=T.TEXT), ["a"], "external_id"),
        (columns_of(a=T.TEXT, b=T.TEXT, account_id=T.INTEGER), ["a", "b"], "account_id"),
        (columns_of(a=T.TEXT, b=T.TEXT, id=T.INTEGER), ["a", "b"], "id"),
        (columns_of(a=T.TEXT, b=T.TEXT), ["a", "b"], None),
    ],
)
def test_records_are_found_by_the_key_of_the_model_or_by_what_is_named_so(
    columns: Columns, key: list[str], column: str | None
):
    found = suggest_match(object_of("account"), columns, key, Mode.UPSERT)

    assert column == (found.column if found else None)
    assert found is None or "externalId" == found.field


def test_sections_stand_beside_the_fields():
    """An event's name written under `fields` would be refused."""
    (events,) = next(one for one in SPEC.sync_types if one.name == "events").objects
    sync = SyncConfig(model="m", destination="d", type="events")

    columns = columns_of(id=T.TEXT, event_name=T.TEXT, occurred_at=T.DATETIME, user_id=T.INTEGER, page=T.TEXT)

    found = suggest(sync, events, columns)

    assert {
        "event_name": (("event",), True),
        "occurred_at": (("timestamp",), True),
        "user_id": (("userId",), False),
        "id": (("properties", "id"), True),
        "page": (("properties", "page"), True),
    } == {one.column: (one.place, one.section) for one in found.lines}
    assert () == found.missing


NAMES = st.sampled_from(
    [one.name for target in SPEC.sync_types[0].objects for one in target.fields]
    + ["account_id", "org_id", "full_name", "renewal_date", "emial", "Plan Name", "name_", "id", "on", "Größe"]
) | st.text(min_size=1, max_size=12)


@given(
    st.dictionaries(NAMES, st.sampled_from(ColumnType), max_size=12),
    st.sampled_from(["organization", "account", "user"]),
    st.sampled_from(Mode),
)
def test_what_is_suggested_passes_lint(kinds: dict[str, ColumnType], kind: str, mode: Mode):
    """A suggestion that is refused as soon as it is pasted is worse than none."""
    columns = (Column("key", T.TEXT, "VARCHAR"), *(Column(name, one, one.value) for name, one in kinds.items()))
    sync = sync_of({}, object=kind, mode=mode, match={"column": "key", "field": "externalId"})

    found = suggest(sync, object_of(kind), columns)

    findings = lint(filled(sync, found), columns)
    expected = {"field_required", "parent_required"} if found.missing or not found.lines else set()
    assert {finding.code for finding in findings} <= expected
    places = [one.place for one in found.lines]
    assert len(set(places)) == len(places)
    told = [one.column for one in (*found.lines, *found.left_out)]
    assert sorted(told) == sorted(column.name for column in columns if column.name != "key")


def filled(sync: SyncConfig, found: Suggestions) -> SyncConfig:
    """The sync with every suggestion taken."""
    fields: dict[str, Any] = {}
    for one in found.lines:
        rule = {"column": one.column} | ({"as": one.as_} if one.as_ else {})
        if len(one.place) == 1:
            fields[one.place[0]] = rule
        else:
            fields.setdefault(one.place[0], {"object": {}})["object"][one.place[1]] = rule
    return SyncConfig.model_validate(sync.model_dump(by_alias=True, exclude_unset=True) | {"fields": fields})

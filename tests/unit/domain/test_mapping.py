"""From a row to a record: every kind of rule, its options, references, and the faults of a row all at once."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from headrace.domain.errors import Bug
from headrace.domain.mapping import Reference

from .world import VARIABLES, T, columns_of, faults_of, mapping_of, record_of, sync_of

COLUMNS = columns_of(
    id=T.TEXT,
    name=T.TEXT,
    plan=T.TEXT,
    seats=T.INTEGER,
    mrr=T.DECIMAL,
    email=T.TEXT,
    account=T.TEXT,
    number=T.INTEGER,
    ratio=T.NUMBER,
    many=T.JSON,
    extra=T.JSON,
)
PARENTS = "Must specify at least one of: accountIds or organizationIds"


def account(**fields: Any):
    return sync_of({"name": {"static": "Acme"}, **fields})


def user(match: str = "externalId", **fields: Any):
    column = "email" if match == "email" else "id"
    return sync_of(fields, object="user", match={"column": column, "field": match})


def traits(rules: dict[str, Any], **values: Any) -> Any:
    return record_of(account(traits={"object": rules}), COLUMNS, **values).values["traits"]


def test_every_kind_of_rule_makes_its_value():
    rules = {
        "column": {"column": "plan"},
        "static": {"static": [1, {"a": None}]},
        "variable": {"variable": "run.started_at"},
        "object": {"object": {"deep": {"object": {"seats": {"column": "seats"}}}}},
        "array": {"array": [{"column": "plan"}, {"static": 2}]},
        "list": {"columns": ["plan", "seats"]},
    }

    made = traits(rules, plan="pro", seats=3)

    assert {
        "column": "pro",
        "static": [1, {"a": None}],
        "variable": "2026-01-31T09:30:00.000Z",
        "object": {"deep": {"seats": 3}},
        "array": ["pro", 2],
        "list": {"plan": "pro", "seats": 3},
    } == made


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_is_what_the_run_knows(variable: str):
    assert VARIABLES[variable] == traits({"x": {"variable": variable}})["x"]


@pytest.mark.parametrize(
    ("rule", "value", "sent"),
    [
        ({}, None, {"x": None}),
        ({"null": "send"}, None, {"x": None}),
        ({"null": "skip"}, None, {}),
        ({}, "", {"x": ""}),
        ({"empty_string": "send"}, "", {"x": ""}),
        ({"empty_string": "null"}, "", {"x": None}),
        ({"empty_string": "null", "null": "skip"}, "", {}),
        ({"empty_string": "null", "as": "integer"}, "", {"x": None}),
    ],
)
def test_inside_traits_a_null_clears_the_trait_unless_it_is_to_be_left_out(
    rule: dict[str, Any], value: Any, sent: dict[str, Any]
):
    """A23: null clears a trait or is left out, by choice."""
    assert sent == traits({"x": {"column": "plan", **rule}}, plan=value)


@pytest.mark.parametrize(
    ("rule", "value", "sent"),
    [
        ({}, None, False),
        ({"null": "send"}, None, True),
        ({"empty_string": "null"}, "", False),
        ({"empty_string": "null", "null": "send"}, "", True),
    ],
)
def test_a_null_field_is_left_out_unless_it_is_to_be_sent(rule: dict[str, Any], value: Any, sent: bool):
    """A null name from an outer join must not wipe a name that somebody typed."""
    sync = user(accountIds={"column": "account"}, name={"column": "name", **rule})

    assert sent == ("name" in record_of(sync, COLUMNS, account="p1", name=value).values)


NOTHING = {"a": {"column": "plan"}, "b": {"column": "name"}, "c": {"column": "seats"}}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"a": None, "b": "", "c": 3}),
        ({"null": "send"}, {"a": None, "b": "", "c": 3}),
        ({"null": "skip"}, {"b": "", "c": 3}),
        ({"empty_string": "null"}, {"a": None, "b": None, "c": 3}),
        ({"empty_string": "null", "null": "skip"}, {"c": 3}),
    ],
)
@pytest.mark.parametrize("form", ["traits", "object", "deep", "columns"])
def test_an_object_s_choice_on_nulls_holds_for_all_inside(form: str, options: dict[str, Any], sent: dict[str, Any]):
    """Fifty traits that are all to be left out when null should not need fifty options."""
    values = {"plan": None, "name": "", "seats": 3}
    match form:
        case "traits":
            rule: dict[str, Any] = {"object": NOTHING, **options}
            made = record_of(account(traits=rule), COLUMNS, **values).values["traits"]
        case "object":
            made = traits({"x": {"object": NOTHING, **options}}, **values)["x"]
        case "deep":
            made = traits({"x": {"object": {"y": {"object": NOTHING}}, **options}}, **values)["x"]["y"]
        case _:
            made = traits({"x": {"columns": ["plan", "name", "seats"], **options}}, **values)["x"]
            made = {key: made[name] for key, name in zip("abc", ("plan", "name", "seats"), strict=True) if name in made}

    assert sent == made


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, [None, "", 3]),
        ({"null": "skip"}, ["", 3]),
        ({"empty_string": "null"}, [None, None, 3]),
        ({"empty_string": "null", "null": "skip"}, [3]),
    ],
)
def test_a_list_s_choice_on_nulls_holds_for_all_inside(options: dict[str, Any], sent: list[Any]):
    rule = {"array": list(NOTHING.values()), **options}

    assert sent == traits({"x": rule}, plan=None, name="", seats=3)["x"]


def test_a_rule_s_own_choice_wins_over_the_one_around_it():
    rules = {"a": {"column": "plan", "null": "send"}, "b": {"column": "name", "empty_string": "send"}}

    made = traits({"x": {"object": rules, "null": "skip", "empty_string": "null"}}, plan=None, name="")

    assert {"x": {"a": None, "b": ""}} == made


def test_a_zone_of_an_object_is_that_of_the_datetimes_inside():
    columns = columns_of(id=T.TEXT, at=T.DATETIME)
    sync = account(traits={"object": {"at": {"column": "at"}}, "timezone": "Europe/Berlin"})

    assert {"at": "2026-01-31T08:30:00.000Z"} == record_of(sync, columns, at=datetime(2026, 1, 31, 9, 30)).values[
        "traits"
    ]


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ({"static": ""}, {}),
        ({"column": "extra"}, {"extra": '""'}),
        ({"column": "name", "as": "integer"}, {"name": ""}),
        ({"template": "{{ row.name }}"}, {"name": ""}),
        ({"template": "{{ row.name }}"}, {"name": None}),
    ],
)
def test_an_empty_text_of_any_rule_can_become_null(rule: dict[str, Any], values: dict[str, Any]):
    assert {"x": None} == traits({"x": {**rule, "empty_string": "null"}}, **values)
    assert {} == traits({"x": {**rule, "empty_string": "null", "null": "skip"}}, **values)


def test_options_of_the_list_form_hold_for_each_column():
    rule = {"columns": ["plan", "seats"], "as": "string", "null": "skip", "empty_string": "null"}

    assert {"x": {"seats": "3"}} == traits({"x": rule}, plan="", seats=3)


def test_a_null_in_an_array_can_be_left_out():
    rules = {"x": {"array": [{"column": "plan", "null": "skip"}, {"column": "seats"}, {"static": 1}]}}

    assert {"x": [None, 1]} == traits(rules)


def test_a_field_that_travels_inside_traits_joins_the_mapped_ones():
    sync = account(mrr={"column": "mrr"}, traits={"object": {"plan": {"column": "plan"}}})

    sent = record_of(sync, COLUMNS, mrr="19.90", plan="pro").values

    assert b'{"name":"Acme","traits":{"plan":"pro","mrr":19.9}}' == orjson.dumps(sent)


def test_a_value_of_one_row_never_shows_up_in_the_next():
    """Static traits are one object for all rows; a row without revenue must not inherit its neighbour's."""
    mapping = mapping_of(account(mrr={"column": "seats"}, traits={"static": {"tier": "gold"}}), COLUMNS)

    first, second = mapping.record(["a1", 5]), mapping.record(["a2", None])

    assert {"tier": "gold", "mrr": 5} == first.values["traits"]
    assert {"tier": "gold"} == second.values["traits"]


def test_null_traits_leave_room_for_the_fields_inside_them():
    sync = account(mrr={"column": "seats"}, traits={"column": "extra", "null": "send"})

    assert {"mrr": 5} == record_of(sync, COLUMNS, seats=5).values["traits"]


@pytest.mark.parametrize(
    ("rule", "value", "ids"),
    [
        ({"column": "account"}, "p1", ("p1",)),
        ({"column": "account"}, ' p"1 ', (' p"1 ',)),  # ids are sent verbatim
        ({"column": "account"}, '["p1", "p2", 3, null, "p1"]', ("p1", "p2", "3")),
        ({"column": "account"}, "[not json", ("[not json",)),
        ({"column": "many"}, '["p1", "p2"]', ("p1", "p2")),
        ({"column": "many"}, '"p1"', ("p1",)),
        ({"column": "number"}, 12, ("12",)),
        ({"column": "number"}, Decimal(2**70), (str(2**70),)),
        ({"column": "many"}, "[1180591620717411303424]", (str(2**70),)),
        ({"column": "account"}, "[1180591620717411303424]", (str(2**70),)),
        ({"column": "account", "as": "integer"}, str(2**70), (str(2**70),)),
        ({"column": "ratio", "as": "string"}, 12.0, ("12",)),
        ({"column": "account", "as": "integer"}, " 12.0", ("12",)),
        ({"array": [{"column": "account"}, {"column": "number"}, {"static": "p9"}]}, "p1", ("p1", "p9")),
        ({"static": ["p1", "p2"]}, None, ("p1", "p2")),
    ],
)
def test_a_list_of_parents_takes_a_scalar_a_list_or_a_json_array(rule: dict[str, Any], value: Any, ids: Any):
    sync = user(accountIds=rule)

    made = record_of(sync, COLUMNS, **{rule.get("column", "account"): value}).references

    assert {"accountIds": Reference("account", ids, "external_id", many=True)} == made


def test_a_reference_by_vitallys_id_says_so():
    sync = account(organizationId={"column": "account", "by": "vitally_id"})

    made = record_of(sync, COLUMNS, account="uuid").references

    assert {"organizationId": Reference("organization", ("uuid",), "vitally_id", many=False)} == made


@pytest.mark.parametrize(
    ("rule", "value", "sent"),
    [
        ({"null": "send"}, None, {"name": "Acme", "organizationId": None}),
        ({"null": "send", "empty_string": "null"}, "", {"name": "Acme", "organizationId": None}),
        ({}, None, {"name": "Acme"}),
        ({}, "", {"name": "Acme"}),
    ],
)
def test_a_null_parent_is_left_out_or_cleared_by_choice(rule: dict[str, Any], value: Any, sent: dict[str, Any]):
    sync = account(organizationId={"column": "account", **rule})

    assert sent == record_of(sync, COLUMNS, account=value).values


@pytest.mark.parametrize("value", ["[1.5]", "[true]", '[{"id": 1}]', "[[1]]"])
def test_a_parent_that_is_no_id_is_a_fault(value: str):
    (fault,) = faults_of(user(accountIds={"column": "many"}), COLUMNS, many=value)

    assert ("type_mismatch", "accountIds") == (fault.code, fault.field)


def test_a_reference_to_one_record_refuses_two():
    (fault,) = faults_of(account(organizationId={"column": "account"}), COLUMNS, account='["o1", "o2"]')

    assert ("type_mismatch", "organizationId") == (fault.code, fault.field)


@pytest.mark.parametrize("value", [None, "", "  \t"])
def test_a_row_without_a_match_value_is_never_sent(value: Any):
    """A14: null or blank, the row has nothing to find its record by."""
    assert ["match_value_missing"] == [fault.code for fault in faults_of(account(), COLUMNS, id=value)]


def test_a_match_value_is_sent_verbatim():
    assert " A-1 " == record_of(account(), COLUMNS, id=" A-1 ").match


def test_every_fault_of_a_row_is_told_at_once():
    """A29: a person who mends one value should not find the next only on the next run."""
    sync = user(
        "email",
        externalId={"column": "id"},
        accountIds={"column": "account"},
        joinDate={"column": "plan", "as": "datetime"},
        traits={
            "object": {
                "seats": {"column": "name", "as": "integer"},
                "deep": {"array": [{"column": "seats"}, {"object": {"on": {"column": "plan", "as": "boolean"}}}]},
            }
        },
    )

    faults = faults_of(sync, COLUMNS, id=None, email="a@example.com", plan="soon", name="many")

    assert [
        ("type_mismatch", "joinDate"),
        ("type_mismatch", "traits.seats"),
        ("type_mismatch", "traits.deep.1.on"),
        ("field_required", "externalId"),
        ("parent_required", "accountIds"),
    ] == [(fault.code, fault.field) for fault in faults]
    assert ["Required field", PARENTS] == [fault.message for fault in faults[3:]]


@pytest.mark.parametrize("account_id", [None, "", "[]", "[null]"])
def test_a_user_without_a_parent_is_invalid_however_the_null_is_spelled(account_id: Any):
    """A18, A19 by row: the destination would refuse it, or worse, keep it where nobody looks."""
    (fault,) = faults_of(user(accountIds={"column": "account"}), COLUMNS, account=account_id)

    assert ("parent_required", PARENTS) == (fault.code, fault.message)


@pytest.mark.parametrize("value", [None, ""])
def test_a_required_field_that_is_null_or_empty_is_a_fault(value: Any):
    (fault,) = faults_of(sync_of({"name": {"column": "name"}}), COLUMNS, name=value)

    assert ("field_required", "name") == (fault.code, fault.field)


def test_an_update_needs_no_name():
    sync = sync_of({"name": {"column": "name"}}, mode="update")

    assert {} == record_of(sync, COLUMNS).values


@pytest.mark.parametrize("value", ["[1]", '"text"', "3"])
def test_traits_that_are_no_object_are_refused_with_a_hint(value: str):
    """A20: traits is an object, not a string."""
    (fault,) = faults_of(account(traits={"column": "extra"}), COLUMNS, extra=value)

    assert ("type_mismatch", "traits") == (fault.code, fault.field)
    assert "map an object of columns" in fault.message


def test_a_json_object_column_becomes_traits_with_its_types_kept():
    sync = account(traits={"column": "extra"})

    assert {"seats": 3, "on": True} == record_of(sync, COLUMNS, extra='{"seats": 3, "on": true}').values["traits"]


def test_a_column_is_found_in_another_case_when_only_one_fits():
    """Warehouses fold case as they please; people write what they see."""
    assert {"x": "pro"} == traits({"x": {"column": "PLAN"}}, plan="pro")


def test_the_mapping_tells_what_it_reads_and_what_names_parents():
    sync = user(accountIds={"column": "account"}, name={"column": "name"}, organizationIds={"column": "many"})

    mapping = mapping_of(sync, COLUMNS)

    assert ["id", "account", "name", "many"] == [column.name for column in mapping.columns]
    assert {"account", "many"} == mapping.parent_columns
    assert {"account": ("account",)} == mapping.parent_kinds


def test_a_row_of_the_ledger_is_read_even_where_it_no_longer_fits():
    """What is to be cleared was sent under an older mapping: a fault of it must not keep the record for ever."""
    rules = {"n": {"column": "plan", "as": "integer"}, "deep": {"object": {"m": {"column": "plan"}}}}
    mapping = mapping_of(account(traits={"object": rules}), COLUMNS)

    sent = mapping.last_record(["a1", "not a number"], "a1").values

    assert {"name": "Acme", "traits": {"n": None, "deep": {"m": "not a number"}}} == sent


def test_a_column_that_lint_should_have_missed_is_a_bug():
    with pytest.raises(Bug):
        mapping_of(account(traits={"object": {"x": {"column": "gone"}}}), COLUMNS)


@pytest.mark.parametrize(
    ("static", "sent"), [(2**70, b"1180591620717411303424"), ({"a": [2**70]}, b'{"a":[1180591620717411303424]}')]
)
def test_a_huge_static_number_keeps_its_digits(static: Any, sent: bytes):
    assert sent == orjson.dumps(traits({"x": {"static": static}})["x"])

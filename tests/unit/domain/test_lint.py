"""Everything wrong with a sync is found at once, before anything is saved, with its place and its mend."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.domain.columns import Column
from headrace.domain.config import ModelConfig
from headrace.domain.lint import lint_model
from headrace.domain.shapes import near

from .world import T, coded, columns_of, lint, sync_of

COLUMNS = columns_of(
    id=T.TEXT, email=T.TEXT, name=T.TEXT, seats=T.INTEGER, born=T.DATE, extra=T.JSON, ratio=T.NUMBER, photo=T.BINARY
)
PARENTS = "Must specify at least one of: accountIds or organizationIds"


def user(match: str, mode: str = "upsert", **fields: Any):
    column = "email" if match == "email" else "id"
    return sync_of(fields, object="user", mode=mode, match={"column": column, "field": match})


def test_a_sync_without_fault_has_no_finding():
    fields = {
        "name": {"column": "name"},
        "organizationId": {"column": "id", "by": "vitally_id"},
        "nextRenewalDate": {"column": "born"},
        "churnedAt": {"column": "name", "as": "datetime", "timezone": "Europe/Berlin"},
        "trialEndDate": {"variable": "run.started_at"},
        "mrr": {"variable": "run.id"},
        "traits": {"object": {"all": {"columns": ["seats", "extra"]}, "list": {"array": [{"column": "photo"}]}}},
    }

    assert [] == lint(sync_of(fields, schedule={"cron": "0 * * * *", "timezone": "Europe/Berlin"}), COLUMNS)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"type": "rest_object"}, ("unknown_value", "type", "Did you mean rest_objects?")),
        ({"object": "acount"}, ("unknown_value", "object", "Did you mean account?")),
        ({"object": None}, ("field_required", "object", "needs an object")),
        ({"mode": None}, ("field_required", "mode", "insert, update, upsert")),
        ({"mode": "upsrt"}, ("unknown_value", "mode", "Did you mean upsert")),
        ({"match": None}, ("field_required", "match", "{column: ..., field: ...}")),
        ({"match": {"column": "id", "field": "email"}}, ("unknown_value", "match.field", "There are: externalId, id.")),
        ({"match": {"column": "id", "field": "id"}}, ("mode_not_allowed", "match.field", "mode update only")),
        ({"match": {"column": "idd", "field": "externalId"}}, ("column_missing", "match.column", "Did you mean id")),
        ({"match": {"column": "born", "field": "externalId"}}, ("type_mismatch", "match.column", "Cast it")),
        (
            {"schedule": {"cron": "0 * * * *", "timezone": "Berlin"}},
            ("schedule_invalid", "schedule.timezone", "Europe/Berlin"),
        ),
        ({"event": {"static": "x"}}, ("unknown_key", "event", "does not belong to sync type rest_objects")),
        ({"timestamp": {"static": "x"}}, ("unknown_key", "timestamp", "does not belong")),
        ({"properties": {}}, ("unknown_key", "properties", "does not belong")),
        ({"traits": {}}, ("unknown_key", "traits", "Write traits under fields.")),
    ],
)
def test_a_choice_that_is_not_there_is_found_with_the_nearest_that_is(change: dict[str, Any], found: Any):
    code, path, words = found

    (finding,) = lint(sync_of(**change), COLUMNS)

    assert [(code, path)] == coded([finding])
    assert words in finding.message


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"nam": {"static": "x"}}, ("unknown_field", "fields.nam", "Did you mean name?")),
        ({"plan": {"static": "x"}}, ("unknown_field", "fields.plan", "belongs inside traits")),
        ({"externalId": {"column": "id"}}, ("field_twice", "fields.externalId", "Take it out of fields")),
        ({"mrr": {"column": "seets"}}, ("column_missing", "fields.mrr.column", "Did you mean seats?")),
        ({"mrr": {"column": "name"}}, ("type_mismatch", "fields.mrr", "Add `as: number`")),
        ({"mrr": {"column": "born"}}, ("type_mismatch", "fields.mrr", "the field takes number")),
        ({"mrr": {"column": "name", "as": "string"}}, ("type_mismatch", "fields.mrr", "the field takes number")),
        ({"churnedAt": {"column": "name"}}, ("type_mismatch", "fields.churnedAt", "Add `as: datetime`")),
        ({"churnedAt": {"column": "seats"}}, ("type_mismatch", "fields.churnedAt", "Cast it in the model's SQL")),
        ({"churnedAt": {"column": "seats", "as": "datetime"}}, ("type_mismatch", "fields.churnedAt", "every row")),
        ({"mrr": {"column": "born", "as": "number"}}, ("type_mismatch", "fields.mrr", "no such value is a number")),
        ({"mrr": {"column": "photo"}}, ("type_mismatch", "fields.mrr", "Cast it in the model's SQL")),
        ({"organizationId": {"column": "ratio"}}, ("type_mismatch", "fields.organizationId", "Add `as: integer`")),
        (
            {"traits": {"object": {"x": {"column": "born", "as": "boolean"}}}},
            ("type_mismatch", "fields.traits.object.x", "no such value is a boolean"),
        ),
        (
            {"traits": {"columns": ["name", "born"], "as": "object"}},
            ("type_mismatch", "fields.traits.columns", 'Column "born" is date'),
        ),
        ({"churnedAt": {"static": "soon"}}, ("type_mismatch", "fields.churnedAt.static", "is not a datetime")),
        ({"churnedAt": {"variable": "sync.name"}}, ("type_mismatch", "fields.churnedAt", "is not a datetime")),
        ({"mrr": {"variable": "sync.name"}}, ("type_mismatch", "fields.mrr", "is not a number")),
        ({"mrr": {"variable": "run.number"}}, ("unknown_value", "fields.mrr.variable", 'no variable "run.number"')),
        ({"mrr": {"static": "12"}}, ("type_mismatch", "fields.mrr.static", "is not a number")),
        ({"mrr": {"static": float("nan")}}, ("type_mismatch", "fields.mrr.static", "a finite number")),
        ({"mrr": {"static": "twelve", "as": "number"}}, ("type_mismatch", "fields.mrr.static", "is not a number")),
        ({"mrr": {"object": {}}}, ("type_mismatch", "fields.mrr", "This is an object")),
        ({"mrr": {"columns": ["seats"]}}, ("type_mismatch", "fields.mrr", "This is an object of columns")),
        ({"mrr": {"array": []}}, ("type_mismatch", "fields.mrr", "This is a list")),
        ({"mrr": {"template": "{{ row.id | nope }}"}}, ("template_error", "fields.mrr.template", "no filter")),
        ({"mrr": {"column": "seats", "by": "vitally_id"}}, ("unknown_key", "fields.mrr.by", "references")),
        ({"mrr": {"column": "seats", "timezone": "CET+1x"}}, ("unknown_value", "fields.mrr.timezone", "IANA")),
        ({"traits": {"column": "name"}}, ("type_mismatch", "fields.traits", "add `as: object`")),
        ({"traits": {"column": "seats"}}, ("type_mismatch", "fields.traits", "{object: {seats: {column: seats}}}")),
        ({"traits": {"static": "gold"}}, ("type_mismatch", "fields.traits.static", "is not an object")),
        ({"traits": {"columns": ["seats", "nope"]}}, ("column_missing", "fields.traits.columns", '"nope"')),
        (
            {"traits": {"object": {"x": {"column": "nope"}}}},
            ("column_missing", "fields.traits.object.x.column", '"nope"'),
        ),
        (
            {"traits": {"object": {"x": {"array": [{"variable": "x"}]}}}},
            ("unknown_value", "fields.traits.object.x.array.0.variable", "There are"),
        ),
        (
            {"traits": {"object": {"x": {"column": "id", "by": "external_id"}}}},
            ("unknown_key", "fields.traits.object.x.by", "references"),
        ),
        ({"traits": {"object": {}, "as": "string"}}, ("unknown_key", "fields.traits.as", "rules inside")),
        (
            {"traits": {"object": {"x": {"static": "twelve", "as": "integer"}}}},
            ("type_mismatch", "fields.traits.object.x.static", "is not an integer"),
        ),
        (
            {"traits": {"object": {"x": {"variable": "run.id", "as": "datetime"}}}},
            ("type_mismatch", "fields.traits.object.x", "is not a datetime"),
        ),
    ],
)
def test_a_rule_that_can_not_work_is_found_with_its_place_and_its_mend(fields: dict[str, Any], found: Any):
    """A17, A20: types are checked when configured, not when a run has already sent half of its rows."""
    code, path, words = found

    (finding,) = lint(sync_of({"name": {"static": "Acme"}} | fields), COLUMNS)

    assert [(code, path)] == coded([finding])
    assert words in finding.message


def test_the_members_of_a_list_of_parents_are_ids_like_a_single_one():
    parents = {"accountIds": {"array": [{"column": "id"}, {"column": "born"}]}}

    assert [("type_mismatch", "fields.accountIds.array.1")] == coded(lint(user("externalId", **parents), COLUMNS))


@pytest.mark.parametrize("native", ["null", '"NULL"'])
def test_a_column_of_nothing_but_nulls_fits_every_field(native: str):
    """A source can't say the type of what it has not got yet; that is no reason to refuse a mapping."""
    columns = (*COLUMNS, Column("empty", T.TEXT, native))

    assert [] == lint(sync_of({"name": {"static": "Acme"}, "churnedAt": {"column": "empty"}}), columns)


def test_all_findings_of_a_sync_come_together():
    """Mending one fault at a time is what people hate about compilers."""
    sync = sync_of(
        {"nam": {"static": "x"}, "mrr": {"column": "seets", "as": "string"}, "traits": {"column": "name"}},
        mode="upsrt",
        match={"column": "idd", "field": "mail"},
        event={"static": "x"},
    )

    assert [
        ("unknown_value", "mode"),
        ("unknown_value", "match.field"),
        ("unknown_key", "event"),
        ("column_missing", "match.column"),
        ("unknown_field", "fields.nam"),
        ("type_mismatch", "fields.mrr"),
        ("column_missing", "fields.mrr.column"),
        ("type_mismatch", "fields.traits"),
    ] == coded(lint(sync, COLUMNS))


@pytest.mark.parametrize("mode", ["upsert", "update"])
def test_a_user_matched_on_email_needs_an_external_id_and_a_parent(mode: str):
    """A18, both findings at once, in the words that people know."""
    findings = lint(user("email", mode, name={"column": "name"}), COLUMNS)

    assert [("field_required", "fields.externalId"), ("parent_required", "fields.accountIds")] == coded(findings)
    assert ["Required field", PARENTS] == [finding.message for finding in findings]


@pytest.mark.parametrize("parent", ["accountIds", "organizationIds"])
def test_one_kind_of_parent_is_enough(parent: str):
    mapped = {"externalId": {"column": "id"}, parent: {"column": "id"}}

    assert [] == lint(user("email", **mapped), COLUMNS)


@pytest.mark.parametrize("mode", ["upsert", "update", "insert"])
def test_a_user_matched_on_external_id_needs_a_parent(mode: str):
    """A19."""
    (finding,) = lint(user("externalId", mode, name={"column": "name"}), COLUMNS)

    assert ("parent_required", PARENTS) == (finding.code, finding.message)


def test_a_user_matched_on_vitallys_id_exists_and_needs_neither():
    assert [] == lint(user("id", "update", name={"column": "name"}), COLUMNS)


@pytest.mark.parametrize(
    ("mode", "codes"), [("upsert", ["field_required"]), ("insert", ["field_required"]), ("update", [])]
)
@pytest.mark.parametrize("kind", ["account", "organization"])
def test_a_name_is_required_where_a_record_may_be_created(kind: str, mode: str, codes: list[str]):
    sync = sync_of({"mrr": {"column": "seats"}}, object=kind, mode=mode)

    assert codes == [finding.code for finding in lint(sync, COLUMNS)]


def test_a_sync_that_maps_nothing_says_so():
    assert ("field_required", "fields") in coded(lint(sync_of({}), COLUMNS))


def test_without_a_source_to_ask_what_needs_columns_is_left_to_the_run():
    """`--offline`: the rest is still checked."""
    sync = sync_of({"name": {"column": "nope"}, "mrr": {"static": "x"}}, match={"column": "?", "field": "externalId"})

    assert [("type_mismatch", "fields.mrr.static")] == coded(lint(sync, None))


def test_a_primary_key_that_the_model_lacks_is_found_for_each_column():
    model = ModelConfig(source="w", table="t", primary_key=["id", "idd", "zone"])

    findings = list(lint_model("accounts", model, COLUMNS))

    assert ["column_missing"] * 2 == [finding.code for finding in findings]
    assert {"models.accounts.primary_key"} == {finding.path for finding in findings}
    assert "Did you mean id?" in findings[0].message


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("mod", ["mode", "model", "zzz"], " Did you mean mode or model?"),
        ("x", ["b", "a"], " There are: a, b."),
        ("x", [], ""),
        ("x", [f"name_{n}" for n in range(21)], ""),
    ],
)
def test_near_names_are_offered_and_long_lists_are_not(name: str, known: list[str], said: str):
    assert said == near(name, known)


def further(object_name: str, fields: dict[str, Any], **other: Any):
    """A sync of one of the objects that have settings, dates, lists and ranges."""
    return sync_of(fields, object=object_name, **other)


CUSTOMER = {"accountId": {"column": "id"}}


@pytest.mark.parametrize(
    ("object_name", "field", "rule", "wrong"),
    [
        ("task", "dueDate", {"column": "born"}, ""),
        ("task", "dueDate", {"column": "name", "as": "date"}, ""),
        ("task", "dueDate", {"static": "2026-01-31"}, ""),
        ("task", "dueDate", {"column": "name"}, "Add `as: date`"),
        ("task", "dueDate", {"column": "name", "as": "datetime"}, "the field takes date"),
        ("task", "dueDate", {"static": "soon"}, "is not a datetime"),
        ("task", "tags", {"column": "name"}, ""),
        ("task", "tags", {"column": "extra"}, ""),
        ("task", "tags", {"column": "name", "as": "array"}, ""),
        ("task", "tags", {"array": [{"column": "name"}, {"static": "b"}]}, ""),
        ("task", "tags", {"static": ["a", "b"]}, ""),
        ("task", "tags", {"static": ["a", 1]}, "1 is not text"),
        ("task", "tags", {"column": "seats"}, "Cast it"),
        ("task", "description", {"column": "seats"}, "Add `as: string`"),
        ("conversation", "messages", {"static": []}, ""),
        ("conversation", "messages", {"array": [{"object": {"message": {"column": "name"}}}]}, ""),
        ("conversation", "messages", {"column": "extra"}, ""),
        ("conversation", "messages", {"column": "name"}, "Add `as: array`"),
        ("conversation", "messages", {"static": {}}, "is not a list"),
        ("nps_response", "score", {"column": "seats"}, ""),
        ("nps_response", "score", {"column": "ratio"}, "Add `as: integer`"),
        ("nps_response", "score", {"static": 7.5}, "is not an integer"),
        ("nps_response", "score", {"static": 11}, "is not an integer from 0 to 10"),
    ],
)
def test_dates_lists_and_ranges_are_checked_when_configured(
    object_name: str, field: str, rule: dict[str, Any], wrong: str
):
    found = [one for one in lint(further(object_name, {field: rule}), COLUMNS) if one.code == "type_mismatch"]

    assert bool(wrong) == bool(found)
    assert wrong in "".join(one.message for one in found)


def test_what_a_creation_needs_an_update_does_not():
    """A note that exists has its account: whoever only changes its text need not name it again."""
    fields = {"note": {"column": "name"}, "noteDate": {"column": "born"}}

    upserts = coded(lint(further("note", fields), COLUMNS))
    updates = coded(lint(further("note", fields, mode="update", settings={"source": "hubspot"}), COLUMNS))

    assert [("parent_required", "fields.accountId")] == upserts
    assert [] == updates


def test_a_setting_that_is_missing_or_unknown_is_a_finding_with_its_meaning():
    fields = {"name": {"column": "name"}, "customerId": {"column": "id"}}

    misspelt = lint(further("custom_object_instance", fields, settings={"custom_objct": "x"}), COLUMNS)
    missing = lint(further("custom_object_instance", fields), COLUMNS)

    assert [("unknown_key", "settings.custom_objct")] == coded(misspelt)
    assert "Did you mean custom_object?" in misspelt[0].message
    assert [("field_required", "settings.custom_object")] == coded(missing)
    assert "Vitally's id of the custom object" in missing[0].message
    assert [("unknown_key", "settings")] == coded(lint(sync_of(settings={"x": "y"}), COLUMNS))

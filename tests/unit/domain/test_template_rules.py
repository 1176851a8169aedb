"""Template rules from configuration to value: what is read, how the output becomes a value, and what is found wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from headrace.domain.mapping import Reference
from headrace.domain.templates.template import Template, read_template

from .world import T, coded, columns_of, faults_of, lint, mapping_of, record_of, sync_of

COLUMNS = columns_of(
    id=T.TEXT,
    name=T.TEXT,
    NAME2=T.TEXT,
    seats=T.INTEGER,
    mrr=T.DECIMAL,
    active=T.BOOLEAN,
    since=T.DATETIME,
    day=T.DATE,
    extra=T.JSON,
    blob=T.BINARY,
    ratio=T.NUMBER,
)


def account(**fields: Any):
    return sync_of({"name": {"static": "Acme"}, **fields})


def rendered(template: str, options: dict[str, Any] | None = None, **values: Any) -> Any:
    """What a template makes inside traits, where every type is its own."""
    sync = account(traits={"object": {"x": {"template": template, **(options or {})}}})
    made = record_of(sync, COLUMNS, **values).values["traits"]
    return orjson.loads(orjson.dumps(made))["x"]


def test_a_template_reads_columns_and_variables():
    """The two things a template is for: columns put together, and what the run knows."""
    made = rendered(
        '{{ row.name }}/{{ row["seats"] }} of {{ sync.name }} in run {{ run.id }} at {{ run.started_at }}',
        name="Acme",
        seats=3,
    )

    assert "Acme/3 of accounts-to-vitally in run 7 at 2026-01-31T09:30:00.000Z" == made


def test_only_the_columns_that_are_named_are_read():
    """The hash of a row covers what is read: a column that no rule reads must not make a row change."""
    sync = account(traits={"object": {"x": {"template": "{% if row.seats > 1 %}{{ row['name'] }}{% endif %}"}}})

    assert ["id", "seats", "name"] == [column.name for column in mapping_of(sync, COLUMNS).columns]


@pytest.mark.parametrize(
    "template",
    [
        "{{ row | json }}",
        "{% for pair in row %}{{ pair[0] }}{% endfor %}",
        "{{ row[row.name] }}",
        "{% assign key = 'seats' %}{{ row[key] }}",
        "{% assign r = row %}{{ r.seats }}",
    ],
)
def test_a_template_that_takes_the_row_as_a_whole_reads_every_column(template: str):
    """A column that is found by computing must count as read, else its change would go unseen."""
    read = {
        column.name for column in mapping_of(account(traits={"object": {"x": {"template": template}}}), COLUMNS).columns
    }

    assert {column.name for column in COLUMNS} == read


def test_a_column_is_found_in_another_case_where_only_one_can_be_meant():
    """Warehouses fold the case of names; a template follows the same rule as `column`."""
    assert "Acme" == rendered("{{ row.name2 }}", NAME2="Acme")


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("name", "Ünïcode 😀", "Ünïcode 😀"),
        ("name", None, ""),
        ("seats", 2**80, str(2**80)),
        ("seats", Decimal(2**70), str(2**70)),
        ("mrr", Decimal("19.90"), "19.90"),
        ("mrr", "12345678901234567890.123", "12345678901234567890.123"),
        ("ratio", 1.0, "1"),
        ("ratio", 0.1, "0.1"),
        ("active", True, "true"),
        ("blob", b"Ann", "QW5u"),
        ("extra", '{"a": [1, 2]}', '{"a":[1,2]}'),
        ("extra", "[1, 2]", "12"),
    ],
)
def test_every_kind_of_column_has_its_text(column: str, value: Any, text: str):
    """No digit is lost on the way into a template."""
    assert text == rendered("{{ row." + column + " }}", **{column: value})


def test_a_naive_datetime_is_in_the_zone_of_the_rule():
    """`timezone` means the same as on a column."""
    from datetime import datetime

    made = rendered("{{ row.since }}", {"timezone": "Europe/Berlin"}, since=datetime(2026, 1, 31, 9, 30))

    assert "2026-01-31T08:30:00.000Z" == made


# What the output becomes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_", "template", "value"),
    [
        ("string", " 5 ", " 5 "),
        ("integer", " 5 ", 5),
        ("number", "{{ row.mrr | times: 2 }}", 39.8),
        ("boolean", "{% if row.seats > 1 %}yes{% else %}no{% endif %}", True),
        ("datetime", "2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("date", "2026-01-31T10:00:00", "2026-01-31"),
        ("object", '{"seats": {{ row.seats }}, "name": {{ row.name | json }}}', {"seats": 3, "name": 'A "B"'}),
        ("array", "[1, {{ row.seats }}]", [1, 3]),
    ],
)
def test_as_says_what_the_output_stands_for(as_: str, template: str, value: Any):
    """A template writes text; a trait that is a number must arrive as one."""
    assert value == rendered(template, {"as": as_}, mrr=Decimal("19.90"), seats=3, name='A "B"')


def test_without_as_the_field_says_what_the_output_stands_for():
    """Nobody should have to tell twice that traits are an object."""
    sync = sync_of({"name": {"template": "{{ row.seats }}"}, "traits": {"template": '{"n": {{ row.seats }}}'}})

    values = record_of(sync, COLUMNS, seats=3).values

    assert ("3", {"n": 3}) == (values["name"], values["traits"])


def test_an_object_keeps_every_digit_of_its_numbers():
    """Ids past 64 bits and exact amounts must not pass through a float."""
    sync = sync_of(
        {"name": {"static": "A"}, "traits": {"template": '{"id": {{ row.seats }}, "amount": {{ row.mrr }}}'}}
    )

    values = record_of(sync, COLUMNS, seats=2**80, mrr=Decimal("12345678901234567.89")).values

    assert b'{"id":1208925819614629174706176,"amount":12345678901234567.89}' == orjson.dumps(values["traits"])


def test_an_object_of_a_hundred_levels_is_sent_and_a_deeper_one_is_a_fault_of_its_row():
    """What can't be written again must not be found out while a request is made."""
    sync = sync_of({"name": {"static": "A"}, "traits": {"template": "{{ row.name }}"}})

    assert orjson.dumps(record_of(sync, COLUMNS, name='{"a":' * 100 + "1" + "}" * 100).values)
    assert "more than 100 levels" in faults_of(sync, COLUMNS, name='{"a":' * 101 + "1" + "}" * 101)[0].message


@pytest.mark.parametrize("output", ["Acme", "[1]", "{broken", '"text"', "{} {}", '{"a": NaN}'])
def test_an_output_that_is_no_object_is_refused_for_an_object_with_the_way_out(output: str):
    """The commonest slip with traits: the message must show the way."""
    faults = faults_of(sync_of({"name": {"static": "A"}, "traits": {"template": output}}), COLUMNS)

    assert ["type_mismatch"] == [fault.code for fault in faults]
    assert "map an object of columns instead" in faults[0].message


def test_a_template_gives_references():
    """Ids built of two columns are a common reason for a template."""
    sync = sync_of(
        {"accountIds": {"template": '["{{ row.name }}-{{ row.seats }}", "b"]'}},
        object="user",
        match={"column": "id", "field": "externalId"},
    )

    record = record_of(sync, COLUMNS, name="a", seats=1)

    assert Reference("account", ("a-1", "b"), "external_id", many=True) == record.references["accountIds"]
    assert {"name", "seats"} == mapping_of(sync, COLUMNS).parent_columns


# Blank output ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_", ["integer", "number", "boolean", "datetime", "date", "object", "array"])
def test_blank_output_is_null_where_it_does_not_stand_for_text(as_: str):
    """A null column renders as nothing; nothing is no number, and no fault either."""
    assert rendered(" {{ row.seats }}\n", {"as": as_}) is None


def test_blank_text_is_sent_unless_the_rule_makes_it_null():
    """The same policies as for a column of text."""
    assert "" == rendered("{{ row.name }}")
    assert rendered("{{ row.name }} ", {"empty_string": "null"}) is None


def test_a_null_of_a_field_is_left_out_unless_it_is_to_be_sent():
    """`null` keeps its meaning behind a template."""
    left_out = sync_of({"name": {"static": "A"}, "mrr": {"template": "{{ row.mrr }}"}})
    sent = sync_of({"name": {"static": "A"}, "mrr": {"template": "{{ row.mrr }}", "null": "send"}})

    assert "traits" not in record_of(left_out, COLUMNS).values
    assert {"mrr": None} == record_of(sent, COLUMNS).values["traits"]


def test_the_newline_that_a_yaml_block_leaves_is_not_sent():
    """`template: |` ends every template with a newline that nobody means."""
    assert "Acme\n!" == rendered("{{ row.name }}\n!\n", name="Acme")


# What fails on a row -----------------------------------------------------------------------------------------------


def test_a_row_that_the_template_fails_on_is_one_fault_with_field_and_place():
    """The other rows go on; the person finds row, field, line and column."""
    sync = account(traits={"object": {"x": {"template": "{{ row.name }}\n{{ 1 | divided_by: row.seats }}"}}})

    faults = faults_of(sync, COLUMNS, seats=0)

    assert [("template_error", "traits.x")] == [(fault.code, fault.field) for fault in faults]
    assert "line 2, column 8: can't divide by 0" in faults[0].message


def test_a_value_that_is_missing_inside_a_document_is_nothing():
    """Documents differ from row to row; Liquid shows nothing for what is not there."""
    assert "[]" == rendered("[{{ row.extra.a.b.c }}{{ row.extra.list[3].x }}]", extra='{"list": []}')


# What lint finds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "code", "said"),
    [
        ("{% if row.name %}", "template_error", "Line 1, column 18: expected tag endif, found the end of the template"),
        (
            "a\n  {{ row.name | upcas }}",
            "template_error",
            'Line 2, column 17: there is no filter "upcas". Did you mean upcase or cast?',
        ),
        ("{{ row.nmae }}", "column_missing", 'Line 1, column 4: the model has no column "nmae". Did you mean name?'),
        ("{{ row['nmae'] }}", "column_missing", 'the model has no column "nmae"'),
        ("{{ name }}", "unknown_value", 'there is no variable "name". The column is row.name.'),
        ("{{ rwo.name }}", "unknown_value", 'there is no variable "rwo". Did you mean row?'),
        ("{% assign x = 'row' %}{{ [x].name }}", "template_error", "the name of a variable can't be computed"),
        ("{% assign row = 'x' %}", "template_error", 'Line 1, column 11: the name "row" is taken'),
        ("{% capture run %}{% endcapture %}", "template_error", 'the name "run" is taken'),
        ("{% increment sync %}", "template_error", 'the name "sync" is taken'),
        ("{{ run.started }}", "unknown_value", "Did you mean run.started_at"),
        ("{{ now }}", "unknown_value", "The time is run.started_at."),
        ("{% include 'a' %}", "template_error", "unexpected tag 'include'"),
        ("{% render 'a' %}", "template_error", "unexpected tag 'render'"),
        ("{{ row.name | replace }}", "template_error", "is written {{ value | replace: old, new"),
        ("{{ row.name | truncate: 1, 2, 3 }}", "template_error", "is written {{ value | truncate: length = 50"),
        ("{{ row.name | default: 1, allow: true }}", "template_error", "allow_false: false"),
        ("{% for x in row.extra %}{{ x.y | nope }}{% endfor %}", "template_error", 'no filter "nope"'),
        ("{% if row.nope == 1 %}{% endif %}", "column_missing", "nope"),
        ("{{ 'a' | append: row.nope }}", "column_missing", "nope"),
        ("{% for i in (1..row.nope) %}{% endfor %}", "column_missing", "nope"),
        ("{% tablerow i in row.extra limit: row.nope %}{% endtablerow %}", "column_missing", "nope"),
        ("{% case row.nope %}{% when 1 %}{% endcase %}", "column_missing", "nope"),
        ("{% cycle row.nope, 'a' %}", "column_missing", "nope"),
    ],
)
def test_lint_finds_what_is_wrong_with_its_place_and_the_nearest_name(template: str, code: str, said: str):
    """A template is code: a slip must show when it is saved and not on row 10,000."""
    findings = lint(account(traits={"object": {"x": {"template": template}}}), COLUMNS)

    assert [(code, "fields.traits.object.x.template")] == coded(findings)
    assert said in findings[0].message


PLACES = [
    "{{ HERE }}",
    "{{ 'a' | append: HERE }}",
    "{{ 'a' | append: 'b' | replace: 'c', HERE }}",
    "{{ false | default: 1, allow_false: HERE }}",
    "{{ row.extra[HERE] }}",
    "{% echo HERE %}",
    "{% assign x = HERE %}",
    "{% assign x = 1 | plus: HERE %}",
    "{% capture x %}{{ HERE }}{% endcapture %}",
    "{% if HERE %}{% endif %}",
    "{% if 1 == 2 or 2 < HERE %}{% endif %}",
    "{% if false %}{% elsif HERE %}{% endif %}",
    "{% if false %}{% else %}{{ HERE }}{% endif %}",
    "{% unless HERE %}{% endunless %}",
    "{% unless true %}{% elsif HERE %}{% endunless %}",
    "{% unless true %}{% else %}{{ HERE }}{% endunless %}",
    "{% case HERE %}{% when 1 %}{% endcase %}",
    "{% case 1 %}{% when 2, HERE %}{% endcase %}",
    "{% case 1 %}{% when 1 %}{{ HERE }}{% endcase %}",
    "{% case 1 %}{% else %}{{ HERE }}{% endcase %}",
    "{% for i in HERE %}{% endfor %}",
    "{% for i in (1..HERE) %}{% endfor %}",
    "{% for i in (HERE..9) %}{% endfor %}",
    "{% for i in (1..2) limit: HERE %}{% endfor %}",
    "{% for i in (1..2) offset: HERE %}{% endfor %}",
    "{% for i in (1..2) %}{{ HERE }}{% endfor %}",
    "{% for i in (2..1) %}{% else %}{{ HERE }}{% endfor %}",
    "{% tablerow i in HERE cols: 2 %}{% endtablerow %}",
    "{% tablerow i in (1..2) cols: HERE %}{% endtablerow %}",
    "{% tablerow i in (1..2) %}{{ HERE }}{% endtablerow %}",
    "{% cycle 'a', HERE %}",
    "{% liquid\n echo HERE\n if HERE\n echo 1\n endif %}",
    "{% for i in (1..2) %}{% if true %}{% capture x %}{{ HERE }}{% endcapture %}{% endif %}{% endfor %}",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["row.nope", "row['nope']", "row.nope.deep[0]", "row.nope['x'].y"])
def test_a_column_is_seen_wherever_a_template_can_read_one(place: str, way: str):
    """A column that is read unseen would be empty in every row, and its changes would never be sent."""
    template = place.replace("HERE", way)

    findings = lint(account(traits={"object": {"x": {"template": template}}}), COLUMNS)

    assert {"column_missing"} == {finding.code for finding in findings}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["row", "row[key]", "row[row.name]"])
def test_a_row_that_is_taken_whole_is_seen_wherever_it_is(place: str, way: str):
    """The same, for a name that is known only when the template runs."""
    template = read_template("{% assign key = 'seats' %}" + place.replace("HERE", way))

    assert isinstance(template, Template)
    assert template.reads_all


def test_lint_finds_every_fault_of_a_template_at_once():
    """One round of mending, and not five."""
    findings = lint(account(traits={"template": "{{ row.a | b }}{{ c }}"}), COLUMNS)

    assert ["column_missing", "template_error", "unknown_value"] == sorted(finding.code for finding in findings)


@pytest.mark.parametrize(
    "template",
    [
        "{% assign x = row.name %}{{ x.y }}",
        "{% capture x %}a{% endcapture %}{{ x }}",
        "{% for x in row.extra %}{{ x }}{{ forloop.index }}{% endfor %}",
        "{% for x in row.extra %}{{ last }}{% assign last = x %}{% endfor %}",
        "{% increment n %}{{ n }}",
        "{% for row in row.extra %}{{ row.nope }}{% endfor %}",
        "{% tablerow x in row.extra %}{{ tablerowloop.col }}{{ x }}{% endtablerow %}",
        "{% comment %}{{ row.nope | nope }}{% endcomment %}",
        "{% raw %}{{ row.nope | nope }}{% endraw %}",
        "{{ row[row.name] }}",
        "",
    ],
)
def test_lint_has_nothing_to_say_about_a_template_that_is_well(template: str):
    """A finding that is none stops a sync for nothing."""
    assert [] == lint(account(traits={"object": {"x": {"template": template}}}), COLUMNS)


def test_without_columns_lint_still_finds_what_needs_none():
    """An offline check reads the template and leaves the columns to the run."""
    findings = lint(account(traits={"object": {"x": {"template": "{{ row.nope | nope }}"}}}), None)

    assert ["template_error"] == [finding.code for finding in findings]


def test_an_as_that_the_field_does_not_take_is_found():
    """The same check as for a column."""
    findings = lint(sync_of({"name": {"template": "1", "as": "integer"}}), COLUMNS)

    assert [("type_mismatch", "fields.name")] == coded(findings)

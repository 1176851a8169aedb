"""The values inside a template: exact numbers, JSON there and back, dates, types, patterns."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.json_values import read_json
from headrace.domain.templates.catalogue import FILTERS
from headrace.domain.templates.template import Template, TemplateFault, nested, read_template
from headrace.domain.templates.values import json_text

VARIABLES = nested({"run.started_at": "2026-01-31T09:30:00.000Z"})
WHOLE = st.integers(min_value=-(10**40), max_value=10**40)
EXACT = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20)


def render(source: str, **row: Any) -> str:
    template = read_template(source)
    assert isinstance(template, Template), template
    return template.render(row, VARIABLES)


# Numbers ---------------------------------------------------------------------------------------------------------


@given(WHOLE | EXACT, WHOLE | EXACT)
def test_whole_numbers_and_decimals_are_counted_exactly(left: int | Decimal, right: int | Decimal):
    """Money is counted in the warehouse to the cent; a template must not lose it."""
    from decimal import Context, localcontext

    with localcontext(Context(prec=200)):
        expected = [Decimal(left) + Decimal(right), Decimal(left) - Decimal(right), Decimal(left) * Decimal(right)]
        made = [
            Decimal(render("{{ row.a | " + name + ": row.b }}", a=left, b=right)) for name in ("plus", "minus", "times")
        ]

    assert expected[:2] == made[:2]
    assert abs(expected[2] - made[2]) <= abs(expected[2]) * Decimal("1e-59")


@given(WHOLE, st.integers(min_value=1, max_value=10**9))
def test_a_rest_and_a_whole_quotient_make_the_number_again(number: int, by: int):
    """Integer division and modulo belong together, below zero too."""
    quotient = int(render("{{ row.a | divided_by: row.b, true }}", a=number, b=by))
    rest = int(render("{{ row.a | modulo: row.b }}", a=number, b=by))

    assert number == quotient * by + rest
    assert 0 <= rest < by


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ row.d }}", "19.90"),
        ("{{ row.d | times: 1 }}", "19.9"),
        ("{{ row.d | plus: 0.1 }}", "20"),
        ("{{ row.d | times: 1.19 | round: 2 }}", "23.68"),
        ("{{ row.d | divided_by: 3 | round: 4 }}", "6.6333"),
        ("{{ row.d | modulo: 3 }}", "1.9"),
        ("{{ row.d | floor }}{{ row.d | ceil }}", "1920"),
        ("{{ row.d | at_most: 5 }}", "5"),
        ("{% if row.d > 19.8 and row.d < '20' and row.d == 19.9 %}in{% endif %}", "in"),
        ("{{ row.half | round }}", "3"),
        ("{{ row.negative | round }} {{ row.negative | modulo: 2 }}", "-3 1.5"),
        ("{{ row.d | json }}", "19.90"),
    ],
)
def test_a_decimal_column_stays_a_decimal(source: str, text: str):
    """What comes from a DECIMAL column is shown with its digits and counted without floats."""
    assert text == render(source, d=Decimal("19.90"), half=Decimal("2.5"), negative=Decimal("-2.5"))


# JSON ------------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | EXACT | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_written_as_json_is_read_back_the_same(value: Any):
    """Objects built of columns must arrive with every digit and every character, whoever reads them."""
    text = json_text(value)

    assert value == exactly(read_json(text))
    assert value == json.loads(text, parse_float=Decimal)


def exactly(value: Any) -> Any:
    """With floats as the decimals that they are written as."""
    match value:
        case list():
            return [exactly(one) for one in value]
        case dict():
            return {key: exactly(one) for key, one in value.items()}
        case float():
            return Decimal(repr(value))
        case _:
            return value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_written_as_json_is_read_back_the_same(number: float):
    """Seventeen digits are enough, and exponents are JSON."""
    assert number == float(json.loads(json_text(number)))


@given(st.text())
def test_text_goes_through_a_template_unchanged(text: str):
    """No escaping, no trimming, no encoding on the way."""
    assert text == render("{{ row.x }}", x=text)


@given(st.text(), st.text())
def test_an_object_built_with_json_holds_the_texts(one: str, other: str):
    """Quotes, backslashes and newlines in a value must not break the object around it."""
    made = render('{"one": {{ row.one | json }}, "other": {{ row.other | json }}}', one=one, other=other)

    assert {"one": one, "other": other} == json.loads(made)


@given(st.text())
def test_what_is_encoded_is_decoded_again(text: str):
    """Base64 both ways, and URLs."""
    for there, back in (
        ("base64_encode", "base64_decode"),
        ("base64_url_safe_encode", "base64_url_safe_decode"),
        ("url_encode", "url_decode"),
    ):
        assert text == render("{{ row.x | " + there + " | " + back + " }}", x=text)


# Types, dates, patterns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ 'x' | cast: 'number' }}", "'x' is no number"),
        ("{{ '1.5' | cast: 'integer' }}", "no whole number"),
        ("{{ 'x' | cast: 'boolean' }}", "not a boolean"),
        ("{{ '[1]' | cast: 'object' }}", "is no object"),
        ("{{ '{}' | cast: 'array' }}", "is no array"),
        ("{{ 'x' | cast: 'date' }}", "not a datetime"),
        ("{{ 1 | cast: 'money' }}", "cast knows the types string, integer"),
        ("{{ 'x' | to_number }}", "'x' is no number"),
        ("{{ '{' | parse_json }}", "is no JSON"),
        ("{{ 'soon' | to_datetime }}", "'soon' is no date"),
        ("{{ '2026-01-31' | date: '%F', 'Europe/Nowhere' }}", "no IANA time zone"),
        ("{{ '2026-01-31 10:00' | to_datetime: 'Nowhere' }}", "no IANA time zone"),
        ("{{ 'x' | regex_test: '(' }}", "the pattern '(' can't be read: missing )"),
        ("{{ 'x' | regex_test: '(?=x)' }}", "can't be read"),
        ("{{ 'x' | regex_replace: 'x', '\\3' }}", "names a group"),
        ("{{ 'x' | regex_extract: 'x', 1 }}", "no group 1"),
        ("{{ '*' | base64_decode }}", "no base64"),
        ("{{ '/w==' | base64_decode }}", "no base64 of a text"),
        ("{{ 'x' | truncate: 'many' }}", "'many' is no whole number"),
        ("{{ 'x' | slugify: 'klingon' }}", "slugify knows the modes"),
        ("{{ 1 | divided_by: 0 }}", "can't divide by 0"),
        ("{{ '0001-01-01T00:00:00+14:00' | to_datetime }}", "outside the years"),
    ],
)
def test_a_filter_that_can_not_do_it_says_why(source: str, said: str):
    """A value that does not fit is a fault of the row, never a guess."""
    with pytest.raises(TemplateFault) as caught:
        render(source)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name", ["to_number", "to_integer", "to_datetime", "parse_json", "cast: 'integer'", "cast: 'object'"]
)
def test_a_null_goes_through_every_conversion_as_null(name: str):
    """A column that is null is no mistake."""
    assert "none" == render("{{ row.x | " + name + " | default: 'none' }}", x=None)


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-01-31T09:30:00Z", "", "2026-01-31T09:30:00.000Z"),
        ("2026-01-31T09:30:00+02:00", ": 'America/New_York'", "2026-01-31T07:30:00.000Z"),
        ("2026-07-01 09:30", ": 'Europe/Berlin'", "2026-07-01T07:30:00.000Z"),
        ("2026-01-31", "", "2026-01-31T00:00:00.000Z"),
        ("20260131", "", "2026-01-31T00:00:00.000Z"),
        ("1769850307", "", "2026-01-31T09:05:07.000Z"),
        (1769850307, "", "2026-01-31T09:05:07.000Z"),
        ("Jan 31, 2026", "", "2026-01-31T00:00:00.000Z"),
        ("31 January 2026 09:30", "", "2026-01-31T09:30:00.000Z"),
        ("Sat, 31 Jan 2026 09:30:00 GMT", "", "2026-01-31T09:30:00.000Z"),
        ("now", "", "2026-01-31T09:30:00.000Z"),
    ],
)
def test_a_date_is_read_as_it_is_written(text: Any, zone: str, instant: str):
    """The zone of a filter is that of a text without one, and moves no other."""
    assert instant == render("{{ row.x | to_datetime" + zone + " }}", x=text)


@pytest.mark.parametrize(
    "text", ["31.01.2026", "01/02/2026", "soon", "Foo 31, 2026", "Jan 32, 2026", "99999999999999999"]
)
def test_what_is_no_date_stays_as_it_is(text: str):
    """A day and a month that could be swapped are not guessed at."""
    assert text == render("{{ row.x | date: '%Y' }}", x=text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"{{ 'Ann Bo' | regex_replace: '(\w+) (\w+)', '\2, \1' }}", "Bo, Ann"),
        ("{{ 'AbAb' | regex_replace: '(?i)b', '' }}", "AA"),
        ("{{ 'x' | regex_extract: 'y' | default: 'none' }}", "none"),
        ("{{ 'a1b22' | regex_extract: '[0-9]{2}' }}", "22"),
        ("{{ 'Ünï' | regex_replace: '\\p{Lu}', '-' }}", "-nï"),
        ("{% if row.x == blank %}blank{% endif %}", "blank"),
        ("{% assign x = row.x | cast: 'array' %}{% for i in x %}{% else %}none{% endfor %}", "none"),
        ("{{ 3 | cast: 'string' | append: 4 }}", "34"),
        ("{{ 'TRUE' | cast: 'boolean' | json }}", "true"),
        ("{{ '2026-01-31T10:00:00' | cast: 'date' }}", "2026-01-31"),
        ('{{ \'{"a":[1,{"b":2}]}\' | parse_json | map: "a.1.b" | join }}', "2"),
        ("{{ 'ann' | hmac_sha256: 'key' }}", "9d77c3180ff81edfbc099a7e91843e415e1f4b0e1aa641c00fba6bd4b0d4dd91"),
    ],
)
def test_filters_of_a_data_person(source: str, text: str):
    """Beside the examples of the reference: groups, flags, nothing found, values inside values."""
    assert text == render(source, x=None)


@pytest.mark.parametrize("name", FILTERS)
def test_a_null_gives_a_value_or_a_fault_with_its_place(name: str):
    """Any column may be null in any row."""
    arguments = ", ".join(["'x'"] * FILTERS[name].least)
    try:
        said = "line 1, column " + render(
            "{{ row.x | " + name + (f": {arguments}" if arguments else "") + " }}", x=None
        )
    except TemplateFault as fault:
        said = str(fault)

    assert "line 1, column" in said

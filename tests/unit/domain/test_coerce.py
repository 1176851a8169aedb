"""From what a column holds to what a field takes: strictly, exactly, and never by a guess."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.coerce import Mismatch, check_field, id_text, show_value
from headrace.domain.columns import ColumnType
from headrace.domain.fitting import converts, fits, may_be, offer
from headrace.domain.rules import AsType
from headrace.domain.spec import FieldType

from .world import T, columns_of, faults_of, sync_of, trait

NOON = datetime(2026, 1, 31, 12, 0)
LATE = datetime(2026, 1, 31, 0, 30)


def told(rule: dict[str, Any], kind: ColumnType, value: Any) -> str:
    """The JSON that is sent for a value."""
    return orjson.dumps(trait({"column": "v", **rule}, kind, value)).decode()


def refusal(rule: dict[str, Any], kind: ColumnType, value: Any) -> str:
    sync = sync_of({"name": {"static": "Acme"}, "traits": {"object": {"x": {"column": "v", **rule}}}})
    (fault,) = faults_of(sync, columns_of(id=T.TEXT, v=kind), v=value)
    assert ("type_mismatch", "traits.x") == (fault.code, fault.field)
    return fault.message


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        (T.TEXT, "Zoë", '"Zoë"'),
        (T.TEXT, "", '""'),
        (T.INTEGER, 12, "12"),
        (T.INTEGER, 2**64, "18446744073709551616"),
        (T.INTEGER, Decimal(-(10**37)), "-10000000000000000000000000000000000000"),
        (T.INTEGER, Decimal(12), "12"),  # the sum of a BIGINT column is a HUGEINT, which arrives as a decimal
        (T.INTEGER, str(2**127), str(2**127)),  # what is past 38 digits arrives as text
        (T.NUMBER, 0.1, "0.1"),
        (T.NUMBER, -0.0, "0.0"),
        (T.DECIMAL, Decimal("19.90"), "19.9"),
        (T.DECIMAL, Decimal("-0.00"), "0"),
        (T.DECIMAL, Decimal("1E+3"), "1000"),
        (T.DECIMAL, Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        (T.DECIMAL, "100.50", "100.5"),
        (T.BOOLEAN, False, "false"),
        (T.DATE, date(2026, 1, 31), '"2026-01-31"'),
        (T.DATETIME, NOON, '"2026-01-31T12:00:00.000Z"'),
        (T.DATETIME_TZ, NOON, '"2026-01-31T12:00:00.000Z"'),
        (T.DATETIME, datetime(1, 1, 1), '"0001-01-01T00:00:00.000Z"'),
        (T.JSON, '{"a": [1, null, 1.5]}', '{"a":[1,null,1.5]}'),
        (T.JSON, "null", "null"),
        (T.JSON, '{"a": 12345678901234567890123}', '{"a":12345678901234567890123}'),
        (T.JSON, "[0.12345678901234567890123, 1e400]", "[0.12345678901234567890123,1" + "0" * 400 + "]"),
        (T.JSON, '["1e400", 1.10]', '["1e400",1.1]'),
        (T.BINARY, b"\x00\xff", '"AP8="'),
        (T.TEXT, None, "null"),
    ],
)
def test_a_value_keeps_its_type_and_every_digit(kind: ColumnType, value: Any, sent: str):
    """Numbers that turn into text, or lose a digit, are found months later by somebody's revenue report."""
    assert sent == told({}, kind, value)


@pytest.mark.parametrize(
    ("to", "kind", "value", "sent"),
    [
        ("string", T.INTEGER, 12, '"12"'),
        ("string", T.INTEGER, Decimal(2**70), f'"{2**70}"'),
        ("string", T.NUMBER, 12.0, '"12"'),
        ("string", T.NUMBER, 0.5, '"0.5"'),
        ("string", T.NUMBER, float("nan"), '"NaN"'),
        ("string", T.NUMBER, float("-inf"), '"-Infinity"'),
        ("string", T.DECIMAL, Decimal("19.90"), '"19.90"'),
        ("string", T.DECIMAL, Decimal("NaN"), '"NaN"'),
        ("string", T.BOOLEAN, True, '"true"'),
        ("string", T.DATE, date(2026, 1, 31), '"2026-01-31"'),
        ("string", T.DATETIME, NOON, '"2026-01-31T12:00:00.000Z"'),
        ("string", T.JSON, '{"a":1}', '"{\\"a\\":1}"'),
        ("string", T.JSON, '"text"', '"text"'),
        ("string", T.BINARY, b"\x00\xff", '"AP8="'),
        ("integer", T.TEXT, " 12 ", "12"),
        ("integer", T.TEXT, "12.0", "12"),
        ("integer", T.NUMBER, 12.0, "12"),
        ("integer", T.BOOLEAN, True, "1"),
        ("integer", T.DECIMAL, Decimal("1E+2"), "100"),
        ("integer", T.TEXT, "9" * 30, "9" * 30),
        ("number", T.TEXT, "19.90", "19.9"),
        ("number", T.TEXT, "1e3", "1000"),
        ("number", T.INTEGER, 2**63 + 2**62, str(2**63 + 2**62)),
        ("number", T.BOOLEAN, False, "0"),
        ("boolean", T.TEXT, "Yes", "true"),
        ("boolean", T.TEXT, "off", "false"),
        ("boolean", T.INTEGER, 0, "false"),
        ("boolean", T.NUMBER, 1.0, "true"),
        ("boolean", T.DECIMAL, Decimal("0.00"), "false"),
        ("datetime", T.DATE, date(2026, 1, 31), '"2026-01-31T00:00:00.000Z"'),
        ("datetime", T.TEXT, "2026-01-31", '"2026-01-31T00:00:00.000Z"'),
        ("datetime", T.TEXT, "2026-01-31T12:00:00+02:00", '"2026-01-31T10:00:00.000Z"'),
        ("datetime", T.TEXT, "20260131", '"2026-01-31T00:00:00.000Z"'),
        ("date", T.DATETIME, LATE, '"2026-01-31"'),
        ("date", T.DATE, date(2026, 1, 31), '"2026-01-31"'),
        ("date", T.TEXT, "2026-01-31T00:30:00", '"2026-01-31"'),
        ("date", T.TEXT, "2026-01-31T00:30:00+02:00", '"2026-01-30"'),
        ("object", T.TEXT, '{"seats": 3}', '{"seats":3}'),
        ("object", T.JSON, '{"seats": 3}', '{"seats":3}'),
        ("array", T.TEXT, "[1, 2]", "[1,2]"),
        ("string", T.JSON, "12345678901234567890123", '"12345678901234567890123"'),
        ("string", T.JSON, '{"a":12345678901234567890123}', '"{\\"a\\":12345678901234567890123}"'),
        ("integer", T.JSON, "12345678901234567890123", "12345678901234567890123"),
        ("number", T.JSON, "0.12345678901234567890123", "0.12345678901234567890123"),
        ("object", T.TEXT, '{"a": 12345678901234567890123}', '{"a":12345678901234567890123}'),
        ("array", T.JSON, "[12345678901234567890123]", "[12345678901234567890123]"),
        ("object", T.BINARY, b'{"a": 1}', '{"a":1}'),
        ("integer", T.JSON, "null", "null"),
        ("string", T.JSON, "null", "null"),
    ],
)
def test_as_converts_without_loss(to: str, kind: ColumnType, value: Any, sent: str):
    assert sent == told({"as": to}, kind, value)


@pytest.mark.parametrize(
    ("to", "kind", "value", "expected"),
    [
        (None, T.NUMBER, float("nan"), "a finite number"),
        (None, T.NUMBER, float("-inf"), "a finite number"),
        (None, T.DECIMAL, Decimal("NaN"), "a finite number"),
        (None, T.JSON, "{oops", "JSON"),
        (None, T.JSON, "[NaN]", "JSON. JSON has no NaN and no infinity"),
        (None, T.JSON, "[-Infinity]", "JSON. JSON has no NaN and no infinity"),
        (None, T.JSON, "[1e9999999999999999999]", "JSON"),
        (None, T.JSON, '["\\ud800", 1e400]', "JSON"),
        (None, T.JSON, "[" * 101 + "]" * 101, "JSON. it has more than 100 levels"),
        (None, T.JSON, "[" * 100_000, "JSON"),
        ("object", T.BINARY, b"\xff", "JSON"),
        ("integer", T.TEXT, "12.5", "an integer"),
        ("integer", T.TEXT, "1_000", "an integer"),
        ("integer", T.TEXT, "twelve", "an integer"),
        ("integer", T.NUMBER, float("inf"), "an integer"),
        ("integer", T.TEXT, "1e999999999", "an integer"),
        ("integer", T.TEXT, "1e9999999999999999999", "an integer"),
        ("integer", T.TEXT, "9" * 5000, "an integer"),
        ("number", T.TEXT, "1e999999999", "a number"),
        ("number", T.TEXT, "1,000", "a number"),
        ("number", T.TEXT, "NaN", "a number"),
        ("number", T.TEXT, "", "a number"),
        ("number", T.DATE, date(2026, 1, 31), "a number"),
        ("number", T.NUMBER, float("nan"), "a finite number"),
        ("boolean", T.TEXT, "maybe", "a boolean"),
        ("boolean", T.INTEGER, 2, "a boolean"),
        ("datetime", T.TEXT, "31.01.2026", "a datetime"),
        ("datetime", T.TEXT, "", "a datetime"),
        ("datetime", T.TEXT, "0001-01-01T00:00:00+05:00", "a datetime"),
        ("datetime", T.TEXT, "9999-12-31T23:59:59-05:00", "a datetime"),
        ("datetime", T.INTEGER, 1912101112345, "a datetime"),
        ("datetime", T.TEXT, "1912101112345", "a datetime"),
        ("datetime", T.BOOLEAN, True, "a datetime"),
        ("object", T.TEXT, "plain", "JSON"),
        ("object", T.TEXT, "[1]", "a JSON object"),
        ("array", T.JSON, '{"a":1}', "a JSON array"),
    ],
)
def test_what_does_not_fit_is_a_fault_with_the_value_and_the_expected_type(
    to: str | None, kind: ColumnType, value: Any, expected: str
):
    """A guess would be sent a thousand times; a value that crashes would take its siblings along."""
    assert f" is not {expected}" in refusal({"as": to} if to else {}, kind, value)


@pytest.mark.parametrize(
    ("rule", "kind", "value", "sent"),
    [
        ({}, T.DATETIME, LATE, '"2026-01-30T23:30:00.000Z"'),
        ({"as": "datetime"}, T.DATETIME, LATE, '"2026-01-30T23:30:00.000Z"'),
        ({"as": "datetime"}, T.TEXT, "2026-07-01 12:00", '"2026-07-01T10:00:00.000Z"'),
        ({"as": "string"}, T.DATETIME, LATE, '"2026-01-30T23:30:00.000Z"'),
        ({"as": "date"}, T.DATETIME, LATE, '"2026-01-31"'),  # the day as it is written, not the day in UTC
        ({}, T.DATETIME_TZ, LATE, '"2026-01-31T00:30:00.000Z"'),  # it has a zone, so it does not move
        ({"as": "datetime"}, T.DATETIME_TZ, LATE, '"2026-01-31T00:30:00.000Z"'),
        ({"as": "datetime"}, T.TEXT, "2026-01-31T00:30:00Z", '"2026-01-31T00:30:00.000Z"'),
    ],
)
def test_a_zone_moves_only_what_has_none(rule: dict[str, Any], kind: ColumnType, value: Any, sent: str):
    """Berlin is one hour ahead in January, two in July; an hour shifted twice is a renewal on the wrong day."""
    assert sent == told({**rule, "timezone": "Europe/Berlin"}, kind, value)


def test_the_first_day_of_all_does_not_stop_a_run_whose_zone_is_east_of_utc():
    """0001-01-01 is how some databases write "never"; in UTC it would be before the first year."""
    said = refusal({"timezone": "Europe/Berlin"}, T.DATETIME, datetime(1, 1, 1))

    assert "outside the years 1 to 9999" in said


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20))
def test_a_decimal_arrives_exactly_as_it_was(value: Decimal):
    assert value == Decimal(told({}, T.DECIMAL, value))


@given(st.integers(-(10**38) + 1, 10**38 - 1))
def test_a_whole_number_arrives_exactly_as_it_was(value: int):
    assert value == int(told({}, T.INTEGER, Decimal(value))) == int(told({"as": "integer"}, T.TEXT, str(value)))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.decimals(-(10**30), 10**30, places=25),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=8,
    )
)
def test_a_document_arrives_exactly_as_it_was(value: Any):
    """A JSON column is a customer's; none of its numbers may be rounded on the way through."""
    text = json.dumps(value, default=lambda number: {"$": str(number)})
    text = re.sub(r'\{"\$": "([^"]*)"\}', r"\1", text)

    assert exactly(text) == exactly(told({}, T.JSON, text))


def exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


@given(st.text() | st.integers() | st.floats() | st.binary() | st.booleans(), st.sampled_from(["integer", "number"]))
def test_any_value_is_a_number_or_a_fault(value: Any, to: str):
    """Whatever a warehouse holds, the row gets an outcome; nothing else may come out of a conversion."""
    kinds = {str: T.TEXT, int: T.INTEGER, float: T.NUMBER, bytes: T.BINARY, bool: T.BOOLEAN}
    sync = sync_of({"name": {"static": "A"}, "traits": {"object": {"x": {"column": "v", "as": to}}}})

    faults = faults_of(sync, columns_of(id=T.TEXT, v=kinds[type(value)]), v=value)

    assert [] == [fault for fault in faults if fault.code != "type_mismatch"]


FITS = {
    FieldType.TEXT: {T.TEXT},
    FieldType.ID: {T.TEXT, T.INTEGER},
    FieldType.HTML: {T.TEXT},
    FieldType.INTEGER: {T.INTEGER},
    FieldType.DATE: {T.DATE},
    FieldType.LIST: {T.JSON},
    FieldType.TEXTS: {T.TEXT, T.JSON},
    FieldType.NUMBER: {T.INTEGER, T.NUMBER, T.DECIMAL},
    FieldType.BOOLEAN: {T.BOOLEAN},
    FieldType.DATETIME: {T.DATE, T.DATETIME, T.DATETIME_TZ},
    FieldType.OBJECT: {T.JSON},
    FieldType.REFERENCE: {T.TEXT, T.INTEGER},
    FieldType.REFERENCES: {T.TEXT, T.INTEGER, T.JSON},
    FieldType.ANY: set(ColumnType),
}


@pytest.mark.parametrize("field", FieldType)
def test_types_agree_by_one_table(field: FieldType):
    """A17: text wants text, a date wants a date; a text column needs `as: datetime` to be one."""
    assert FITS[field] == {kind for kind in ColumnType if fits(kind, field)}


@pytest.mark.parametrize("kind", ColumnType)
@pytest.mark.parametrize("to", get_args(AsType))
def test_what_may_convert_is_what_some_value_of_the_column_proves(kind: ColumnType, to: AsType):
    """A conversion that refuses every value is found when configured, and one that may work is not refused there."""
    samples = {
        T.TEXT: ["1", "true", "2026-01-31", "{}", "[]"],
        T.INTEGER: [1, 2],
        T.NUMBER: [1.0, 0.5],
        T.DECIMAL: [Decimal(1), Decimal("0.5"), "1"],
        T.BOOLEAN: [True, False],
        T.DATE: [date(2026, 1, 31)],
        T.DATETIME: [NOON],
        T.DATETIME_TZ: [NOON],
        T.JSON: ["1", "true", '"2026-01-31"', "{}", "[]"],
        T.BINARY: [b"\xff", b"{}", b"[]"],
    }
    sync = sync_of({"name": {"static": "A"}, "traits": {"object": {"x": {"column": "v", "as": to}}}})

    worked = [value for value in samples[kind] if not faults_of(sync, columns_of(id=T.TEXT, v=kind), v=value)]

    assert converts(kind, to) == bool(worked)


@pytest.mark.parametrize("kind", ColumnType)
@pytest.mark.parametrize("field", FieldType)
def test_what_is_offered_may_convert_and_gives_what_the_field_takes(kind: ColumnType, field: FieldType):
    """An offer that lint itself would refuse sends a person in circles."""
    as_ = offer(kind, field)

    assert as_ is None or (converts(kind, as_) and may_be(as_, field))


def test_a_conversion_is_offered_where_there_may_be_one():
    assert "datetime" == offer(T.TEXT, FieldType.DATETIME)
    assert "string" == offer(T.INTEGER, FieldType.TEXT)
    assert "object" == offer(T.TEXT, FieldType.OBJECT)
    assert "integer" == offer(T.DECIMAL, FieldType.REFERENCE)
    assert "string" == offer(T.JSON, FieldType.ID)
    assert None is offer(T.DATE, FieldType.REFERENCE)
    assert None is offer(T.DATE, FieldType.NUMBER)
    assert None is offer(T.BINARY, FieldType.BOOLEAN)
    assert "date" == offer(T.DATETIME_TZ, FieldType.DATE) == offer(T.TEXT, FieldType.DATE)
    assert "integer" == offer(T.NUMBER, FieldType.INTEGER)
    assert "array" == offer(T.TEXT, FieldType.LIST)
    assert None is offer(T.BOOLEAN, FieldType.DATE)
    assert None is offer(T.INTEGER, FieldType.LIST)
    assert None is offer(T.INTEGER, FieldType.DATETIME)
    assert None is offer(T.NUMBER, FieldType.OBJECT)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (FieldType.TEXT, "a", 1),
        (FieldType.NUMBER, 1, "1"),
        (FieldType.NUMBER, 1.5, True),
        (FieldType.BOOLEAN, True, 1),
        (FieldType.DATETIME, "2026-01-31", 1),
        (FieldType.OBJECT, {}, "{}"),
        (FieldType.ID, "a", 1.5),
        (FieldType.HTML, "<p>a</p>", 1),
        (FieldType.INTEGER, 1, 1.0),
        (FieldType.INTEGER, 0, False),
        (FieldType.DATE, "2026-01-31", 20260131),
        (FieldType.LIST, [], "[]"),
        (FieldType.TEXTS, ["a"], ["a", 1]),
        (FieldType.TEXTS, [], {}),
    ],
)
def test_a_field_takes_its_own_type_only(field: FieldType, good: Any, bad: Any):
    assert good == check_field(good, field)
    with pytest.raises(Mismatch):
        check_field(bad, field)


@pytest.mark.parametrize(
    ("given", "texts"),
    [("a", ["a"]), ("", [""]), ('["a", "b"]', ["a", "b"]), ("[]", []), ("[a", ["[a"]), (" [ 'a' ]", [" [ 'a' ]"])],
)
def test_a_list_of_texts_takes_one_text_or_a_json_array(given: str, texts: list[str]):
    assert texts == check_field(given, FieldType.TEXTS)


@given(st.integers(-5, 15))
def test_an_integer_lies_within_its_range_ends_included(value: int):
    if 0 <= value <= 10:
        assert value == check_field(value, FieldType.INTEGER, (0, 10))
    else:
        with pytest.raises(Mismatch, match="from 0 to 10"):
            check_field(value, FieldType.INTEGER, (0, 10))


def test_an_id_that_is_a_whole_number_is_its_digits():
    assert "12" == check_field(12, FieldType.ID)


@pytest.mark.parametrize(
    ("value", "text"),
    [("", ""), (12, "12"), (2**70, str(2**70)), (Decimal("12.00"), "12"), (orjson.Fragment(str(2**70)), str(2**70))],
)
def test_an_id_keeps_every_digit(value: Any, text: str):
    assert text == id_text(value)


@pytest.mark.parametrize(
    "value",
    [True, 1.5, 12.0, None, {}, [], Decimal("0.5"), Decimal("NaN"), Decimal("Infinity"), orjson.Fragment("1.5")],
)
def test_what_is_neither_text_nor_whole_is_no_id(value: Any):
    """`12.0` as an id would make a second record beside `12`."""
    with pytest.raises(Mismatch):
        id_text(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", '"a"'),
        (None, "null"),
        (True, "true"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ({"a": Decimal("1.50")}, '{"a":1.50}'),
        (2**70, str(2**70)),
        (date(2026, 1, 31), "2026-01-31"),
    ],
)
def test_a_message_shows_the_value_as_it_is(value: Any, shown: str):
    """Told that `null` is not a number, a person looks for nulls in a column that holds NaN."""
    assert shown == show_value(value)


def test_a_message_never_holds_a_whole_document():
    """A message is kept, shown and exported; a document in it may be anybody's personal data."""
    assert len(refusal({"as": "integer"}, T.TEXT, "x" * 10_000)) < 200

"""Addresses: what is written stays as it is written, what a row brings in stays a value."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.destinations.http.addresses import Address, Unfilled

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text not in (".", ".."))


@given(VALUES, VALUES)
def test_every_value_comes_back_out_of_its_place(one: str, other: str) -> None:
    """No value ends its segment, begins a query or climbs out of the path."""
    made = Address("/a/{x}/b?q={y}&z=1").fill({"x": one, "y": other})

    path, _, query = made.partition("?")
    assert ["", "a", one, "b"] == [unquote(part) for part in path.split("/")]
    assert ["q=" + other, "z=1"] == [unquote(part) for part in query.split("&")]
    assert "api.test" == urlsplit("https://api.test" + made).hostname


@pytest.mark.parametrize(
    ("text", "values", "made"),
    [
        ("", {}, ""),
        ("/contacts", {}, "/contacts"),
        ("/Größe?a=b c".replace(" ", "%20"), {}, "/Gr%C3%B6%C3%9Fe?a=b%20c"),
        ("/{n}", {"n": 12}, "/12"),
        ("/{n}", {"n": 0}, "/0"),
        ("/{n}", {"n": True}, "/true"),
        ("/{n}", {"n": orjson.Fragment("12345678901234567890.5")}, "/12345678901234567890.5"),
        ("/{a}-{b}", {"a": ".", "b": "."}, "/.-."),
        ("/{first name}", {"first name": "Zoë"}, "/Zo%C3%AB"),
    ],
)
def test_an_address_is_filled(text: str, values: dict[str, Any], made: str) -> None:
    assert made == Address(text).fill(values)


@pytest.mark.parametrize("value", [None, "", ".", "..", [1], {"a": 1}])
def test_what_can_not_stand_in_an_address_is_refused(value: Any) -> None:
    with pytest.raises(Unfilled) as refused:
        Address("/contacts/{id}").fill({"id": value})

    assert "id" == refused.value.name


def test_a_value_that_is_missing_is_refused() -> None:
    with pytest.raises(Unfilled):
        Address("/contacts/{id}").fill({})


@pytest.mark.parametrize(
    "text", ["contacts", "@evil.test/", "/{a", "/a}", "/{}", "/a b", "/a#b", "/../a", "/a/%2E./b", "/."]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Address(text)

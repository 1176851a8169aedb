"""Names: quoted so that nothing leaves them, found as a person meant them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.errors import SourceError
from headrace.sources.names import find_table, quoted, shown, split_name

OFFERED = [
    ("shop", "main", "accounts"),
    ("shop", "main", "Users"),
    ("shop", "crm", "accounts"),
    ("shop", "crm", "a.b"),
    ("shop", "crm", "deals"),
]


@given(st.lists(st.text(min_size=1).filter(lambda part: part == part.strip()), min_size=1, max_size=3))
def test_a_shown_name_is_read_back_as_the_same_name(parts: list[str]):
    assert split_name(shown(parts)) == tuple(parts)


@given(st.text())
def test_no_character_leaves_a_quoted_name(name: str):
    inner = quoted(name)[1:-1]

    assert inner.replace('""', "").count('"') == 0


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("accounts", ("shop", "main", "accounts")),
        ("crm.accounts", ("shop", "crm", "accounts")),
        ("shop.crm.accounts", ("shop", "crm", "accounts")),
        ("users", ("shop", "main", "Users")),
        ("CRM.Deals", ("shop", "crm", "deals")),
        ('crm."a.b"', ("shop", "crm", "a.b")),
    ],
)
def test_a_table_is_found_as_it_was_meant(asked: str, found: tuple[str, ...]):
    assert find_table(asked, OFFERED, preferred_schema="main") == found


def test_a_name_that_two_tables_have_is_not_guessed():
    with pytest.raises(SourceError, match=r"crm\.accounts, shop\.main\.accounts"):
        find_table("accounts", OFFERED)


def test_a_wrong_name_is_answered_with_the_near_ones():
    with pytest.raises(SourceError, match="Did you mean accounts"):
        find_table("acounts", OFFERED)
    with pytest.raises(SourceError, match="no tables at all"):
        find_table("accounts", [])

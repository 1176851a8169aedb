"""Ids of messages: the same for the same, never the same for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.message_id import MessageIds, message_id

PART = st.one_of(st.text(max_size=12), st.integers())
PARTS = st.lists(PART, min_size=1, max_size=5)


def test_an_id_never_changes_between_releases():
    """Whoever upgrades must not repeat every event of the past."""
    assert "26c3a364ed15eee74cd68bb0144132d8" == message_id("default", "product-events", "42")


def test_neighbours_do_not_run_into_each_other():
    assert message_id("ab", "c") != message_id("a", "bc")
    assert message_id("a", "", "b") != message_id("a", "b", "")
    assert message_id("1:a") != message_id("1", "a")


@given(PARTS, PARTS)
def test_only_the_same_parts_make_the_same_id(one: list[str | int], other: list[str | int]):
    same = [str(part) for part in one] == [str(part) for part in other]

    assert same == (message_id(*one) == message_id(*other))


def test_ten_thousand_rows_of_two_syncs_share_no_id():
    ids = {message_id("default", sync, key) for sync in ("a", "b") for key in range(10_000)}

    assert 20_000 == len(ids)


@given(PARTS, PARTS)
def test_ids_with_the_same_first_parts_are_the_same_made_at_once(first: list[str | int], parts: list[str | int]):
    assert message_id(*first, *parts) == MessageIds(*first)(*parts)

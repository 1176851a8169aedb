"""Values as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace.web.pages import shown
from headrace.web.pages.frame import Frame
from headrace.web.pages.render import own_address

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "now"),
        (4.9, "now"),
        (5, "5 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (40 * 86_400, "40 d ago"),
        (-90, "in 1 min"),
    ],
)
def test_a_time_is_told_in_one_unit_rounded_down(seconds: float, told: str) -> None:
    """ "1 h ago" must not become "2 h ago" before two hours have passed."""
    assert told == shown.ago(NOON - timedelta(seconds=seconds), NOON)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.84, "840 ms"),
        (4.21, "4.2 s"),
        (60, "1 min"),
        (192, "3 min 12 s"),
        (7_500, "2 h 5 min"),
    ],
)
def test_a_span_has_two_units_at_most(seconds: float | None, told: str) -> None:
    """Nobody reads "7,500 s"."""
    assert told == shown.span(seconds)


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0 %"), (0.01, "< 0.1 %"), (0.44, "0.4 %"), (5, "5 %"), (12.4, "12 %"), (100, "100 %")]
)
def test_a_share_that_is_not_nothing_never_reads_as_nothing(value: float, told: str) -> None:
    """One rejected row of ten thousand is still one that somebody waits for."""
    assert told == shown.percent(value)


def test_the_values_of_a_body_stand_by_their_path() -> None:
    """Old and new are compared value by value, at any depth."""
    body = b'{"name": "Acme", "traits": {"plan": "pro", "tags": [1, 2], "empty": {}}}'

    assert {"name": "Acme", "traits.plan": "pro", "traits.tags": "[1, 2]", "traits.empty": "{}"} == shown.flat(body)
    assert {} == shown.flat(b"[1]") == shown.flat(b"not JSON") == shown.flat(None)


def test_an_address_with_one_parameter_changed_keeps_the_others() -> None:
    """Filters, tabs and open drawers live in the address; one must not lose another."""
    frame = Frame("/calls", {"status": "4xx", "run": "7", "cursor": "9"}, NOON)

    assert "/calls?status=4xx&run=7&call=7.1" == frame.here(cursor=None, call="7.1")
    assert "/calls" == Frame("/calls", {"q": "x"}, NOON).here(q=None)


@pytest.mark.parametrize(
    "text", ["https://evil.example", "//evil.example", "/\\evil.example", "", None, "runs", "/a\nb"]
)
def test_a_deed_never_leads_to_another_site(text: str | None) -> None:
    """A link to our sign-in with somebody else's address behind it would lend them our name."""
    assert "/" == own_address(text)
    assert "/runs?x=1" == own_address("/runs?x=1")

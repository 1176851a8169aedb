"""No template makes a row take long, grow without end, or reach outside: it stops with a fault of the row."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.templates.template import Complaint, Template, TemplateFault, nested, read_template
from headrace.domain.templates.values import MOST_CHARACTERS, MOST_ITERATIONS

BIG = "a" * 900_000
ROW: dict[str, Any] = {
    "big": BIG,
    "words": "a " * 400_000,
    "n": 3,
    "list": list(range(5000)),
    "deep": "[" * 400 + "]" * 400,
}
DOUBLE = "{% assign a = " + "'1,2' | split: ',' %}{% for i in (1..1000) %}{% assign a = a | "


def render(source: str, row: dict[str, Any] | None = None) -> str:
    template = read_template(source)
    assert isinstance(template, Template), template
    return template.render(ROW if row is None else row, nested({"run.started_at": "2026-01-31T09:30:00.000Z"}))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for i in (1..100000000) %}{% endfor %}", "10,000 turns"),
        ("{% for i in (1..200) %}{% for j in (1..200) %}{% endfor %}{% endfor %}", "10,000 turns"),
        ("{% for i in (1..6000) %}{% endfor %}" * 2, "10,000 turns"),
        ("{% tablerow i in (1..20000) %}{% endtablerow %}", "10,000 turns"),
        ("{% assign x = (1..1000000000) %}{{ x | join }}", "10,000 numbers"),
        ("{% assign x = (1..1000000000) %}{{ x }}", "10,000 numbers"),
        ("{{ row.big }}{{ row.big }}", "output has more than 1,000,000 characters"),
        ("{% capture a %}{{ row.big }}{{ row.big }}{% endcapture %}", "output has more than"),
        (DOUBLE.replace("| split: ',' ", "") + "append: a %}{% endfor %}", "1,000,000 characters"),
        (DOUBLE + "concat: a %}{% endfor %}", "1,000,000 characters"),
        (DOUBLE + "push: a %}{% endfor %}{{ a | json }}", "1,000,000 characters"),
        ("{{ row.big | replace: 'a', row.big }}", "1,000,000 characters"),
        ("{{ row.big | replace: '', row.big }}", "1,000,000 characters"),
        ("{{ row.words | split: ' ' | join: row.big }}", "1,000,000 characters"),
        ("{{ row.big | slice: 0, 40000 | regex_replace: 'a', row.big }}", "1,000,000 characters"),
        ("{{ row.big | slice: 0, 40000 | regex_replace: 'a', 'b' }}", "matches more than 10,000 times"),
        ("{% assign n = 7 %}{% for i in (1..99) %}{% assign n = n | times: n %}{% endfor %}", "1000 digits"),
        ("{% assign n = 7.5 %}{% for i in (1..99) %}{% assign n = n | times: n %}{% endfor %}", "too large"),
        ("{{ '1e9999' | plus: 1 }}", "too large"),
        ("{% for i in (1..9999) %}{% assign x = row.big | upcase %}{% endfor %}", "10,000,000 characters of work"),
        ("{% for i in (1..9999) %}{% assign x = row.big | sha256 %}{% endfor %}", "10,000,000 characters of work"),
        ("{% for i in (1..9999) %}{% assign x = row.list | sort | first %}{% endfor %}", "of work"),
        ("{% for i in (1..9999) %}{% capture c %}{{ row.big }}{% endcapture %}{% endfor %}", "of work"),
        ("{{ row.deep | parse_json }}", "more than 100 levels"),
        ("{% for i in (1..2000) %}{% assign x = '' | split: ',' | push: x %}{% endfor %}{{ x }}", "too deep"),
    ],
)
def test_a_limit_ends_the_rendering_with_its_name(source: str, said: str):
    """A run of a million rows must not stand still, or grow, for one of them."""
    with pytest.raises(TemplateFault, match="fails") as caught:
        render(source)

    assert said in str(caught.value)


def test_what_is_just_inside_the_limits_is_rendered():
    """The limits are where the page says."""
    assert MOST_ITERATIONS == len(render("{% for i in (1..10000) %}x{% endfor %}"))
    assert MOST_CHARACTERS == len(render("{{ row.x }}", {"x": "x" * MOST_CHARACTERS}))


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|aa)+$b", "(.*)(.*)(.*)(.*)(.*)[0-9]", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_would_go_back_over_the_text_does_no_harm(pattern: str):
    """With most engines these take longer than the age of the universe."""
    assert "false" == render("{{ row.big | regex_test: '" + pattern + "' }}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% if row.n %}" * 31 + "{% endif %}" * 31, "nesting"),
        ("x" * 100_001, "100,000 characters"),
        ("{% if " + " and ".join(["row.n"] * 5000) + " %}{% endif %}", "too deep"),
        ("{{ " + "9" * 5000 + " }}", "5000 digits"),
        ("{% include 'x' %}", "unexpected tag"),
        ("{% render 'x' %}", "unexpected tag"),
        ("{% layout 'x' %}", "unexpected tag"),
        ("{% extends 'x' %}", "unexpected tag"),
    ],
)
def test_a_template_that_is_too_much_or_reads_files_is_not_read(source: str, said: str):
    """Found when it is saved."""
    complaint = read_template(source)

    assert isinstance(complaint, Complaint)
    assert said in complaint.message


@pytest.mark.parametrize(
    "path",
    ["row.__class__", "row.n.__class__.__mro__", "row['__init__']", "row.big.upper", "row.list.append", "run.keys"],
)
def test_nothing_of_the_program_is_reached_from_a_template(path: str):
    """Values are data; what Python hangs on them is not there."""
    assert "" == render("{{ " + path + " }}")


def test_a_template_knows_no_clock_but_the_start_of_the_run():
    """Two rows of a run, and a row and its retry, must render the same."""
    assert "2026-01-31 2026-01-31" == render("{{ 'now' | date: '%F' }} {{ 'today' | date: '%F' }}")
    assert "" == render("{{ now }}{{ today }}")


PIECES = """
{{ }} {% %} {%- -%} if endif unless else elsif for in endfor case when endcase assign capture endcapture cycle
tablerow endtablerow raw endraw comment endcomment liquid echo break continue row row.a row['b'] row.list row.n
. [ ] ( ) .. | : , = == != < > contains and or 'text' 1 2.5 -1 true nil blank empty upcase plus divided_by date
json parse_json split join map sort slice truncate default limit reversed offset
"""


@given(
    st.lists(st.sampled_from(PIECES.split()), max_size=25).map(" ".join),
    st.dictionaries(st.sampled_from("abn"), st.text() | st.integers() | st.none()),
)
def test_any_text_is_read_or_refused_and_rendered_or_a_fault(source: str, row: dict[str, Any]):
    """Whatever a person types, the program answers with a finding or a fault and never falls over."""
    template = read_template(source)
    if isinstance(template, Template):
        list(template.complaints(()))
        with suppress(TemplateFault):
            render(source, {**row, "list": [1, "x", None]})

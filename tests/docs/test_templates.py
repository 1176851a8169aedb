"""The examples of templates in the pages give what the pages say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from reference_pages import NOT_THERE

from headrace.domain.templates.catalogue import FILTERS
from headrace.domain.templates.template import Template, nested, read_template

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "templates.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROW = json.loads(re.findall(r"^```json\n(.*?)^```$", TEXT, re.M | re.S)[0])
EXAMPLES = re.findall(r"^```liquid\n(.*?)^```\n\n```text\n(.*?)^```$", TEXT, re.M | re.S)
VARIABLES = nested({"run.started_at": "2026-01-31T09:30:00.000Z"})


def rendered(source: str) -> str:
    template = read_template(source)
    assert isinstance(template, Template), template
    assert [] == list(template.complaints(None))
    return template.render(ROW, VARIABLES)


def test_every_liquid_block_of_the_page_says_what_it_gives() -> None:
    """An example without its result is not tried by anybody."""
    assert TEXT.count("```liquid") == len(EXAMPLES) > 0


@pytest.mark.parametrize(("source", "result"), EXAMPLES)
def test_an_example_of_the_page_gives_what_the_page_says(source: str, result: str) -> None:
    """People copy them."""
    assert result.removesuffix("\n") == rendered(source)


def test_a_filter_that_the_reference_calls_missing_is_missing() -> None:
    """The list of what is left out must be true."""
    assert set() == set(NOT_THERE) & set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_the_example_of_a_filter_uses_it_and_gives_what_the_reference_says(name: str) -> None:
    """The reference is made of these declarations."""
    spec = FILTERS[name]

    assert re.search(rf"\| {name}\b", spec.example)
    assert spec.result == rendered(spec.example)

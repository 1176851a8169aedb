"""The same templates over the same row as LiquidJS rendered them, kept in liquid_golden.json.

A case with `why` is different on purpose: `liquidjs` is what LiquidJS gives (null: it fails), the rest is ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.domain.json_values import float_text
from headrace.domain.templates.template import Template, TemplateFault, nested, read_template

GOLDEN = json.loads(Path(__file__).with_name("liquid_golden.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = GOLDEN["cases"]


def outcome(source: str) -> dict[str, Any]:
    template = read_template(source)
    try:
        if isinstance(template, Template):
            return {"gives": template.render(GOLDEN["row"], nested({"run.started_at": "2026-01-31T09:30:00.000Z"}))}
    except TemplateFault:
        pass
    return {"fails": True}


@pytest.mark.parametrize("case", CASES, ids=[case["template"] for case in CASES])
def test_a_template_renders_as_in_liquidjs(case: dict[str, Any]):
    """Templates that people bring along from another product must mean the same here."""
    expected = {key: case[key] for key in ("gives", "fails") if key in case}

    assert expected == outcome(case["template"])


@pytest.mark.parametrize(("number", "text"), GOLDEN["numbers"])
def test_a_float_is_written_as_javascript_writes_it(number: str, text: str):
    """The same digits, no `.0`, the same exponents."""
    assert text == float_text(float(number))


def test_every_difference_has_its_reason_and_every_reason_its_case():
    """The list of differences is on a page; it must be whole, and say nothing that is not so."""
    assert set(GOLDEN["differences"]) == {case["why"] for case in CASES if "why" in case}
    assert all(case.get("gives") != case["liquidjs"] for case in CASES if "why" in case)

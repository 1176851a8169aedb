"""The reference says what the program says."""

from __future__ import annotations

import re

import pytest
import reference_pages
from pydantic import BaseModel

from headrace.domain import config, rules
from headrace.domain.codes import CODES


@pytest.mark.parametrize("name", sorted(reference_pages.pages()))
def test_a_generated_page_is_fresh(name: str) -> None:
    """A page that lags behind the program sends people the wrong way."""
    kept = (reference_pages.FOLDER / name).read_text(encoding="utf-8")

    made = reference_pages.pages()[name]

    assert made == kept, f"docs/reference/{name} is stale: run `make docs`"


def test_no_page_is_left_over() -> None:
    """A page of a destination that is gone would stay for ever."""
    assert {path.name for path in reference_pages.FOLDER.iterdir()} == set(reference_pages.pages())


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    """A key without a word of explanation is a riddle."""
    models = [one for module in (config, rules) for one in vars(module).values()]
    shapes = [one for one in models if isinstance(one, type) and issubclass(one, BaseModel)]
    silent = []
    for shape in shapes:
        if shape.__name__.startswith("_") or shape in (BaseModel, config.DestinationConfig):
            continue
        silent += [
            f"{shape.__name__}.{key}"
            for key, field in shape.model_fields.items()
            if not field.description and f"{shape.__name__}.{key}" not in reference_pages.MEANINGS
        ]

    assert [] == silent


def test_every_code_has_a_heading() -> None:
    """Messages name their code; whoever looks it up must find it."""
    page = (reference_pages.FOLDER / "codes.md").read_text(encoding="utf-8")

    headings = re.findall(r"^### (\w+)$", page, re.MULTILINE)

    assert sorted(CODES) == sorted(headings)

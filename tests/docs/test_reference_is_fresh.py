"""The reference says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reference_pages
from pydantic import BaseModel

from headrace.app import Settings
from headrace.domain import config, rules
from headrace.domain.codes import CODES
from headrace.domain.variables import VARIABLES


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


def test_every_variable_that_the_program_speaks_of_is_in_the_table() -> None:
    """A setting that nobody can find is none, and one that nothing reads is a lie."""
    source = Path(reference_pages.__file__).parents[2] / "src" / "headrace"
    texts = [path.read_text(encoding="utf-8") for path in source.rglob("*.py") if path.name != "variables.py"]
    spoken = set(re.findall(r"HEADRACE_[A-Z]+(?:_[A-Z]+)*", "\n".join(texts)))

    assert {one.name for one in VARIABLES} == spoken


def test_the_settings_read_what_the_table_says() -> None:
    """Each of these changes the settings of the process."""
    given = {"HEADRACE_WORKSPACE": "w", "HEADRACE_SCRATCH": "s", "HEADRACE_MEMORY_LIMIT": "512MB"}
    given |= {"HEADRACE_KEY": "k", "HEADRACE_KEY_FILE": "f", "HEADRACE_KEY_COMMAND": "c"}

    settings = Settings.read(given)

    assert (settings.workspace, settings.scratch, settings.memory_limit_mb) == ("w", Path("s"), 512)
    assert settings.keys is not None
    assert settings.keys.places() == ["HEADRACE_KEY", "HEADRACE_KEY_FILE", "HEADRACE_KEY_COMMAND"]
    assert set(given) <= {one.name for one in VARIABLES}

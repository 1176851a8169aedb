"""An emulated Vitally on a real port, and a project that delivers into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.emulator import Emulator, EmulatorSettings

from .project import TOKEN, Project


@pytest.fixture
def vitally() -> Iterator[Emulator]:
    with Emulator(EmulatorSettings(rate_limit=None, rest_keys=(TOKEN,))) as emulator:
        yield emulator


@pytest.fixture
def project(tmp_path: Path, vitally: Emulator) -> Project:
    return Project(tmp_path / "project", vitally)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from headrace.domain.access import Role

from .world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = World(tmp_path)
    with built.served():
        yield built
    built.close()


@pytest.fixture
def admin(world: World) -> Iterator[httpx.Client]:
    with world.asked_by(Role.ADMIN) as client:
        yield client


@pytest.fixture
def editor(world: World) -> Iterator[httpx.Client]:
    with world.asked_by(Role.EDITOR) as client:
        yield client


@pytest.fixture
def viewer(world: World) -> Iterator[httpx.Client]:
    with world.asked_by(Role.VIEWER) as client:
        yield client


@pytest.fixture
def nobody(world: World) -> Iterator[httpx.Client]:
    with world.asked_by(None) as client:
        yield client

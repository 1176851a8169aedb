from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

from .world import NOON


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "ws", create=True, now=lambda: NOON) as opened:
        yield opened


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return workspace.runs.create(NewRun("accounts", "accounts"))

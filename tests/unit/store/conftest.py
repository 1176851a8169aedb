from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

from .world import NOON


@pytest.fixture
def workspace(where: str) -> Iterator[Workspace]:
    """On each kind of database."""
    with Workspace.open(where, create=True, now=lambda: NOON) as opened:
        yield opened


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return workspace.runs.create(NewRun("accounts", "accounts"))

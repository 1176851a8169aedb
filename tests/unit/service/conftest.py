from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from headrace.app import App, Settings

from .world import PROJECT, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = World(tmp_path)
    yield built
    built.workspace.close()


@pytest.fixture
def app(tmp_path: Path, where: str) -> Iterator[App]:
    """A workspace of each kind, whose one sync reads an empty table, so that a run sends nothing."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE accounts (id VARCHAR, name VARCHAR, plan VARCHAR)")
    (tmp_path / "headrace.yaml").write_text(PROJECT)
    with App.open(Settings(where, None, 256, {"REST_TOKEN": "sk_live_1"}), create=True) as opened:
        opened.catalog.apply(opened.catalog.check(tmp_path, offline=True))
        yield opened

"""What every test stands on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.domain.access import whole
from headrace.service.verbs import acting_as
from postgres_server import PostgresServer, running_server


@pytest.fixture(autouse=True)
def somebody_acts() -> Iterator[None]:
    """Tests ask the service as somebody who may do everything, unless they say otherwise."""
    with acting_as(whole("test")):
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real Postgres. Each worker of a parallel run has its own, from the first test on that asks for it."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place for a workspace of each kind: a folder that is not there yet, an address of a migrated database."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "sqlite":
        return str(tmp_path / "ws")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.migrated()

"""A workspace with a small warehouse behind the real API, asked over real HTTP by somebody of each role."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import uvicorn

from headrace.app import App, Settings
from headrace.domain.access import Role, Scope, whole
from headrace.service.verbs import acting_as
from headrace.web.server import create_app

SYNC = "accounts-to-vitally"
PROJECT = """\
sources:
  warehouse: {type: duckdb, path: warehouse.duckdb}
models:
  accounts: {source: warehouse, primary_key: id, table: accounts}
destinations:
  vitally:
    type: vitally
    region: us
    rest_api_token: {env: REST_TOKEN}
    rest_url: http://127.0.0.1:9
syncs:
  accounts-to-vitally:
    model: accounts
    destination: vitally
    type: rest_objects
    object: account
    mode: upsert
    match: {column: id, field: externalId}
    fields:
      name: {column: name}
      traits: {object: {plan: {column: plan}}}
"""


class World:
    """One workspace and its server. `viewer`, `editor`, `admin` ask with a key of that role, `nobody` with none."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        with duckdb.connect(str(self.project / "warehouse.duckdb")) as warehouse:
            warehouse.execute("CREATE TABLE accounts (id VARCHAR, name VARCHAR, plan VARCHAR)")
            warehouse.execute("INSERT INTO accounts VALUES ('1', 'Acme', 'pro'), ('2', 'Globex', NULL)")
        (self.project / "headrace.yaml").write_text(PROJECT)
        settings = Settings(folder / "ws", None, 256, {"REST_TOKEN": "sk_live_1", **environment})
        self.app = App.open(settings, create=True)
        with self.acting():
            self.app.catalog.apply(self.app.catalog.check(self.project, offline=True))

    @contextmanager
    def acting(self) -> Iterator[None]:
        with acting_as(whole("test"), self.app.recorder):
            yield

    @contextmanager
    def served(self) -> Iterator[str]:
        """The server's address while it serves."""
        with serving(create_app(self.app)) as url:
            self.url = url
            yield url

    def asked_by(self, role: Role | None) -> httpx.Client:
        headers = {}
        if role is not None:
            with self.acting():
                token, _ = self.app.access.make_key(str(role), sorted(role.scopes))
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30)

    def key(self, *scopes: Scope) -> str:
        with self.acting():
            return self.app.access.make_key("test", scopes)[0]

    def close(self) -> None:
        self.app.close()


@contextmanager
def serving(application: Any) -> Iterator[str]:
    """The application's address while uvicorn serves it, on a port that was free."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(application, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    started = threading.Event()
    server_startup = server.startup

    async def startup(sockets: Any = None) -> None:
        await server_startup(sockets)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert started.wait(20), "the server did not start"
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()

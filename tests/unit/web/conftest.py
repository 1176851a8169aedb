"""A workspace behind the web application, and people who ask it: nobody, a viewer, an editor, an admin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from starlette.testclient import TestClient

from headrace.app import App, Settings
from headrace.domain.access import Role
from headrace.web.security import Guarding
from headrace.web.server import create_app

PASSWORD = "correct horse battery staple"
PROJECT = """\
sources:
  warehouse: {type: duckdb, path: warehouse.duckdb}
models:
  accounts: {source: warehouse, primary_key: id, table: accounts}
destinations:
  crm:
    type: vitally
    region: us
    rest_api_token: {env: REST_TOKEN}
syncs:
  accounts:
    model: accounts
    destination: crm
    type: rest_objects
    object: account
    mode: upsert
    match: {column: id, field: externalId}
    fields:
      name: {column: name}
"""


@dataclass
class Web:
    """The application, its workspace, and clients by role."""

    app: App
    project: Path

    def __post_init__(self) -> None:
        self.server = create_app(self.app, Guarding())

    def client(self, role: Role | None = None, *, host: str = "http://127.0.0.1") -> TestClient:
        """Somebody with an API key of that role; nobody without."""
        headers = {}
        if role is not None:
            key, _ = self.app.access.make_key(str(role), role.scopes)
            headers["Authorization"] = f"Bearer {key}"
        return TestClient(self.server, host, headers=headers, raise_server_exceptions=False)

    def browser(self, email: str, role: Role = Role.ADMIN) -> TestClient:
        """A person who signed in with a password, as a browser sends it."""
        token = self.app.access.invite(email, role)
        self.app.access.accept(token, email, "", PASSWORD)
        client = TestClient(self.server, "http://127.0.0.1")
        client.headers["Sec-Fetch-Site"] = "same-origin"
        answered = client.post("/api/v1/session", json={"email": email, "password": PASSWORD})
        assert answered.status_code == 200, answered.text
        return client


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE accounts AS SELECT '1' AS id, 'Acme' AS name UNION ALL SELECT '2', '=1+1'")
    (tmp_path / "headrace.yaml").write_text(PROJECT)
    settings = Settings.read({"REST_TOKEN": "sk_live_1", "HEADRACE_MEMORY_LIMIT": "256MB"}, str(tmp_path / "ws"))
    with App.open(settings, create=True) as opened:
        opened.catalog.apply(opened.catalog.check(tmp_path, offline=True))
        yield Web(opened, tmp_path)

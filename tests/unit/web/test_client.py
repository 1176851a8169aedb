"""The Python client against the running API, and against its OpenAPI."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from headrace.client import Client, Refused, RunFailed
from headrace.domain.access import Role
from headrace.domain.outcome import Counts, RunStatus
from headrace.store.runs import NewRun

from .conftest import Web

YAML = "models: {accounts: {source: warehouse, primary_key: id, sql: 'select id, name from accounts'}}"


@contextmanager
def listening(web: Web) -> Iterator[str]:
    """The application on a real port, in a thread."""
    server = uvicorn.Server(uvicorn.Config(web.server, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    started = threading.Event()
    while not server.started and thread.is_alive():
        started.wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def test_an_orchestrator_triggers_waits_and_hears_of_failure(web: Web) -> None:
    """A task of Airflow must be red when the run was, and say why."""
    key, _ = web.app.access.make_key("airflow", Role.EDITOR.scopes)

    def end(status: RunStatus) -> object:
        """Somebody else ends the run while the client waits."""

        def while_waiting(_seconds: float) -> None:
            for run in web.app.workspace.runs.list(status=RunStatus.QUEUED).items:
                web.app.workspace.runs.finish(run.id, status, Counts(delivered=3))

        return while_waiting

    with listening(web) as base:
        good = Client(base, key, sleep=end(RunStatus.SUCCEEDED)).run("accounts")  # type: ignore[arg-type]
        with pytest.raises(RunFailed) as failed:
            Client(base, key, sleep=end(RunStatus.FAILED)).run("accounts")  # type: ignore[arg-type]

    assert ("succeeded", 3) == (good["status"], good["delivered"])
    assert "failed" in str(failed.value)


def test_pages_are_walked_to_their_end(web: Web) -> None:
    key, _ = web.app.access.make_key("report", Role.VIEWER.scopes)
    for _ in range(501):
        run = web.app.workspace.runs.create(NewRun("accounts", "accounts"))
        web.app.workspace.runs.finish(run.id, RunStatus.SUCCEEDED, Counts())

    with listening(web) as base:
        found = [one["run"] for one in Client(base, key).runs(sync="accounts")]

    assert list(range(501, 0, -1)) == found


def test_a_refusal_carries_its_code_and_every_finding(web: Web) -> None:
    key, _ = web.app.access.make_key("ci", Role.EDITOR.scopes)

    with listening(web) as base:
        client = Client(base, key)
        checked = client.check(YAML, offline=True)
        with pytest.raises(Refused) as refused:
            client.apply("syncs: {broken: {model: nowhere}}", offline=True)
        with pytest.raises(Refused) as stranger:
            Client(base, "hr_nobody").get_run(1)

    assert ["change"] == [one["action"] for one in checked["changes"]]
    assert refused.value.findings
    assert (401, "signed_out") == (stranger.value.status, stranger.value.code)


def test_every_path_of_the_client_stands_in_the_openapi(web: Web) -> None:
    paths = web.server.openapi()["paths"]
    used = [
        ("post", "/syncs/{name}/runs"),
        ("get", "/runs"),
        ("get", "/runs/{run_id}"),
        ("post", "/runs/{run_id}/cancel"),
        ("post", "/runs/{run_id}/approve"),
        ("get", "/runs/{run_id}/rows"),
        ("get", "/calls"),
        ("post", "/configuration/check"),
        ("post", "/configuration/apply"),
    ]

    assert [] == [one for one in used if one[0] not in paths.get(f"/api/v1{one[1]}", {})]

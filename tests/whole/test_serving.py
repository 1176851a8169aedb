"""`headrace serve` as a person runs it: from an empty workspace to delivered accounts through the API alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import Any

import pytest

from headrace.emulator import Emulator

from .project import PATIENCE_S, SYNC, TOKEN, Project, eventually

pytestmark = pytest.mark.slow
PASSWORD = "four random words here"


class Browser:
    """Asks the API as a page of it does: JSON, one cookie, same site."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        said = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", **headers}
        request = urllib.request.Request(self.base + path, data, said, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                text, status = answer.read().decode(), answer.status
        except urllib.error.HTTPError as refused:
            text, status = refused.read().decode(), refused.code
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def well(self, method: str, path: str, body: Any = None) -> Any:
        """The same, where it must succeed."""
        status, answer = self.ask(method, path, body)
        assert status < 300, (method, path, status, answer)
        return answer


@contextmanager
def serving(project: Project) -> Iterator[tuple[subprocess.Popen[str], str, str | None]]:
    """A server, its address, and the token of the first link where it prints one. Ends as SIGTERM ends it."""
    server = project.start("serve", "--port", "0", HEADRACE_FILES=str(project.folder))
    assert server.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = server.stdout.readline()
        assert line, said + (server.stderr.read() if server.stderr else "")
        said += line
    address = re.search(r" at (http://\S+)", said)
    link = re.search(r"/welcome/(\S+)", said)
    assert address is not None, said
    try:
        yield server, address[1], link[1] if link else None
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE_S)


def signed_in(base: str, token: str) -> Browser:
    browser = Browser(base)
    person = {"email": "ada@example.com", "password": PASSWORD}
    browser.well("POST", "/api/v1/links/use", person | {"token": token})
    browser.well("POST", "/api/v1/session", person)
    return browser


def test_from_an_empty_workspace_to_delivered_accounts_by_the_api_alone(project: Project, vitally: Emulator) -> None:
    """What the web app stands on: whoever has the owner's link needs nothing else."""
    project.rows((str(number), f"Company {number}", "pro") for number in range(50))

    with serving(project) as (_, base, token):
        assert token is not None
        browser = signed_in(base, token)
        document = project.document()
        for section in ("sources", "models", "destinations", "syncs"):
            for name, one in document[section].items():
                browser.well("PUT", f"/api/v1/{section}/{name}", one)
        tested = browser.well("POST", "/api/v1/destinations/vitally/test")
        run = browser.well("POST", f"/api/v1/syncs/{SYNC}/runs", {})["run"]
        told = browser.well("GET", f"/api/v1/runs/{run}/events")
        ended = browser.well("GET", f"/api/v1/runs/{run}")
        calls = browser.well("GET", f"/api/v1/calls?run={run}&limit=3")
        audit = browser.well("GET", "/api/v1/audit?limit=200")["items"]
        proof = browser.well("GET", "/api/v1/audit/proof")

    assert "fine" in {one["state"] for one in tested["items"]}
    assert ("succeeded", 50) == (ended["status"], ended["delivered"])
    assert "event: finished" in told
    assert 50 == len(project.delivered())
    assert 3 == len(calls["items"])
    assert TOKEN not in json.dumps(calls) + told
    assert {"objects.put", "runs.trigger", "access.sign_in"} <= {one["verb"] for one in audit}
    assert proof["broken_at"] is None


def test_a_stop_keeps_what_was_acknowledged_and_the_next_start_goes_on(project: Project, vitally: Emulator) -> None:
    """A deployment in the middle of a run: SIGTERM, a new process, and every row once in Vitally."""
    project.rows((str(number), f"Company {number}", "pro") for number in range(400))
    project.apply(destination={"rate_limit": {"requests": 40, "per_seconds": 1}})

    with serving(project) as (_, base, token):
        assert token is not None
        browser = signed_in(base, token)
        run = browser.well("POST", f"/api/v1/syncs/{SYNC}/runs", {})["run"]
        eventually(lambda: browser.well("GET", f"/api/v1/runs/{run}")["delivered"] > 20, "the run delivers")
    project.apply(destination={})
    with serving(project) as (_, base, _none):
        browser = Browser(base)
        browser.well("POST", "/api/v1/session", {"email": "ada@example.com", "password": PASSWORD})

        def follower() -> Any:
            found = browser.well("GET", "/api/v1/runs")["items"][0]
            return found if found["follows"] == run and found["ended_at"] else None

        after = eventually(follower, "the next server goes on")
        before = browser.well("GET", f"/api/v1/runs/{run}")

    assert ("interrupted", "succeeded") == (before["status"], after["status"])
    assert 400 == before["delivered"] + after["delivered"]
    assert 400 == len(project.delivered())


def test_a_schedule_runs_its_sync_without_anybody(project: Project, vitally: Emulator) -> None:
    """The night shift: nobody triggers, and the rows arrive."""
    project.rows([("1", "Company 1", "pro")])
    project.apply(sync={"schedule": {"every": "1s"}})

    with serving(project):
        eventually(project.delivered, "the schedule fires and the worker delivers")

    assert {"1"} == set(project.delivered())


def test_a_port_that_is_taken_is_told(project: Project) -> None:
    with serving(project) as (_, base, _token):
        done = project.headrace("serve", "--port", base.rpartition(":")[2])

    assert 2 == done.code
    assert "Nothing can listen on 127.0.0.1" in done.err


def test_a_wide_address_is_refused_while_nobody_can_sign_in(project: Project) -> None:
    done = project.headrace("serve", "--host", "0.0.0.0", "--port", "0")

    assert 2 == done.code
    assert "could become the owner" in done.err

"""The command line in this process and as a real one, a small project, and a started emulator."""

import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from headrace.cli.main import run
from headrace.emulator import Emulator, EmulatorSettings

PROJECT = """\
sources:
  crm: {{type: sqlite, path: crm.sqlite}}
models:
  accounts: {{source: crm, primary_key: id, table: accounts}}
destinations:
  vitally:
    type: vitally
    region: us
    rest_api_token: {{env: VITALLY_REST_TOKEN}}
    rest_url: {url}
    rate_limit: none
syncs:
  accounts:
    model: accounts
    destination: vitally
    type: rest_objects
    object: account
    mode: upsert
    match: {{column: id, field: externalId}}
    fields:
      name: {{column: name}}
      traits: {{object: {{plan: {{column: plan}}}}}}
    removed: {removed}
"""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return orjson.loads(self.out)

    @property
    def lines(self):
        return [orjson.loads(line) for line in self.out.splitlines()]


class Project:
    """A folder with a configuration and a SQLite file, and the command line in it."""

    def __init__(self, folder: Path, url: str, capsys, monkeypatch):
        self.folder = folder
        self.url = url
        self.yaml = folder / "headrace.yaml"
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.declare()
        self.rows(("a1", "Acme", "free"), ("a2", "Beta", "pro"), ("a3", "Gamma", "pro"))

    def declare(self, removed="ignore", replace=("", ""), **changes):
        """Writes the configuration; `replace` swaps one piece of its text."""
        text = PROJECT.format(url=changes.get("url", self.url), removed=removed)
        assert replace[0] in text
        self.yaml.write_text(text.replace(*replace) if replace[0] else text)

    def rows(self, *rows):
        with closing(sqlite3.connect(self.folder / "crm.sqlite")) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS accounts")
            connection.execute("CREATE TABLE accounts (id TEXT, name TEXT, plan TEXT)")
            connection.executemany("INSERT INTO accounts VALUES (?, ?, ?)", rows)

    def headrace(self, *arguments, stdin=""):
        """The command in this process: the same edge as a real one, without a start of Python each time."""
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        code = run([str(one) for one in arguments])
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "bug in Headrace" not in captured.err + captured.out
        return Result(code, captured.out, captured.err)

    def process(self, *arguments, stdin="", env=None):
        """The command as a process of its own, ended."""
        command = [sys.executable, "-m", "headrace", *map(str, arguments)]
        surroundings = {**os.environ, **(env or {})}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, cwd=self.folder, env=surroundings, timeout=60
        )
        assert "Traceback" not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments):
        """The command as a process of its own, under way."""
        command = [sys.executable, "-m", "headrace", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=self.folder)


@pytest.fixture(scope="session")
def running_emulator():
    with Emulator(EmulatorSettings(rate_limit=None)) as emulator:
        yield emulator


@pytest.fixture
def vitally(running_emulator):
    """An empty emulated Vitally without a rate limit."""
    running_emulator.reset()
    running_emulator.clear_faults()
    return running_emulator


@pytest.fixture
def project(tmp_path, vitally, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_WORKSPACE", raising=False)
    monkeypatch.delenv("HEADRACE_DEBUG", raising=False)
    monkeypatch.setenv("VITALLY_REST_TOKEN", "sk_live_test")
    return Project(tmp_path, vitally.url, capsys, monkeypatch)


@pytest.fixture
def applied(project):
    assert 0 == project.headrace("apply", project.yaml).code
    return project


@pytest.fixture
def delivered(applied):
    """A project whose three rows were delivered by run 1."""
    assert 0 == applied.headrace("run", "accounts").code
    return applied

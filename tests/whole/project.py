"""A folder with a configuration, a warehouse and a workspace, and the command line as real processes in it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.emulator import Emulator

TOKEN = "sk_live_canary_5f3a9c"
SYNC = "accounts"
PATIENCE_S = 60.0


def eventually(fact: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """The fact's value as soon as it is true. Fails with `what` when that takes too long."""
    deadline = time.monotonic() + within_s
    while not (found := fact()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def both(self) -> str:
        return self.out + self.err


class Project:
    """Accounts of a SQLite file to an emulated Vitally, or whatever `write` is given instead."""

    def __init__(self, folder: Path, vitally: Emulator, token: str = TOKEN) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.vitally = vitally
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE")}
        # Where compiled modules may not be written, every process would compile the whole program anew: 1 s each.
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment = {
            **inherited,
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "headrace-tests-pycache"),
            "VITALLY_REST_TOKEN": token,
            "PYTHONUNBUFFERED": "1",
        }

    # What is configured -------------------------------------------------------------------------------------------

    def document(
        self, *, sync: Mapping[str, Any] | None = None, destination: Mapping[str, Any] | None = None, sql: str = ""
    ) -> dict[str, Any]:
        return {
            "sources": {"crm": {"type": "sqlite", "path": "crm.sqlite"}},
            "models": {
                "accounts": {
                    "source": "crm",
                    "primary_key": "id",
                    "sql": sql or "select id, name, plan from accounts",
                }
            },
            "destinations": {
                "vitally": {
                    "type": "vitally",
                    "region": "us",
                    "rest_api_token": {"env": "VITALLY_REST_TOKEN"},
                    "rest_url": self.vitally.url,
                    "rate_limit": {"requests": 100_000, "per_seconds": 1},
                    "concurrency": 8,
                    **(destination or {}),
                }
            },
            "syncs": {
                SYNC: {
                    "model": "accounts",
                    "destination": "vitally",
                    "type": "rest_objects",
                    "object": "account",
                    "mode": "upsert",
                    "match": {"column": "id", "field": "externalId"},
                    "fields": {"name": {"column": "name"}, "traits": {"object": {"plan": {"column": "plan"}}}},
                    **(sync or {}),
                }
            },
        }

    def write(self, document: Mapping[str, Any]) -> None:
        (self.folder / "headrace.yaml").write_text(json.dumps(document, indent=1), encoding="utf-8")

    def apply(self, **parts: Any) -> None:
        self.write(self.document(**parts))
        done = self.headrace("apply", "headrace.yaml")
        assert 0 == done.code, done.both

    def rows(self, rows: Iterable[tuple[str, str | None, str | None]]) -> None:
        """The whole content of the table `accounts`: (id, name, plan)."""
        with closing(sqlite3.connect(self.folder / "crm.sqlite")) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS accounts")
            connection.execute("CREATE TABLE accounts (id TEXT, name TEXT, plan TEXT)")
            connection.executemany("INSERT INTO accounts VALUES (?, ?, ?)", rows)

    # Commands -----------------------------------------------------------------------------------------------------

    def headrace(self, *arguments: object, **more: str) -> Done:
        """A command that has ended. None ends with a traceback, whatever it was given."""
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=PATIENCE_S)
        return self._done(process, out, err)

    def start(self, *arguments: object, **more: str) -> subprocess.Popen[str]:
        """A command under way."""
        return subprocess.Popen(
            [sys.executable, "-m", "headrace", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Done:
        out, err = process.communicate(timeout=PATIENCE_S)
        return self._done(process, out, err)

    @staticmethod
    def _done(process: subprocess.Popen[str], out: str, err: str) -> Done:
        assert "Traceback" not in out + err, err
        assert "bug in Headrace" not in out + err, err
        return Done(process.returncode, out, err)

    def run(self, *arguments: object) -> dict[str, Any]:
        """What `run --json` says of the one sync."""
        document: dict[str, Any] = self.headrace("run", SYNC, "--json", *arguments).json
        return document

    # What is so ---------------------------------------------------------------------------------------------------

    def sent(self) -> int:
        return self.vitally.workspace.journal.last_number

    def writes(self) -> Counter[str]:
        """External id -> how many writes of that account were acknowledged, over all time."""
        names = {one["id"]: one["externalId"] for one in self.vitally.state.records("accounts")}
        found: Counter[str] = Counter()
        for one in self.vitally.journal:
            if one.method in ("PUT", "POST") and one.status is not None and one.status < 300:
                name = one.answer["externalId"] if one.answer else one.path.rsplit("/", 1)[-1]
                found[names.get(name, name)] += 1
        return found

    def delivered(self) -> dict[str, tuple[str, str | None]]:
        """External id -> (name, plan) as Vitally has it now."""
        held = self.vitally.state.by_external_id("accounts")
        return {name: (one["name"], one["traits"].get("plan")) for name, one in held.items()}

    def store(self, sql: str) -> list[tuple[Any, ...]]:
        """A look into the workspace's database, read-only and from outside."""
        path = self.folder / ".headrace" / "store.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def statuses(self) -> list[str]:
        """Of all runs, oldest first."""
        return [status for (status,) in self.store("SELECT status FROM runs ORDER BY id")]


def many(count: int, plan: str = "free") -> list[tuple[str, str | None, str | None]]:
    return [(f"a-{n}", f"Account {n} Ünïcødé", plan) for n in range(count)]


def as_delivered(rows: Iterable[tuple[str, str | None, str | None]]) -> dict[str, tuple[str | None, str | None]]:
    return {key: (name, plan) for key, name, plan in rows}

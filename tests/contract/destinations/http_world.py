"""A small warehouse, a workspace and a real HTTP server that answers as a test says, joined by the real program."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self

from headrace.app import App, Settings
from headrace.domain.errors import ConfigurationError
from headrace.engine.explain import Explanation
from headrace.engine.job import RunOptions
from headrace.service.runs import RunReport
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.outcomes import OutcomeFilter

TOKEN = "s3cret-token"
KEY = "k3y-value"
SYNC = "the-sync"

PUT = {"method": "PUT", "path": "/contacts/{id}"}
ID = {"id": {"column": "id"}}
SECRETS = {"bearer_token": {"env": "TOKEN"}, "secret_headers": {"X-Api-Key": {"env": "KEY"}}}


class Got(NamedTuple):
    """A request as it arrived. `target` is path and query, as they were sent; `names` are those of the headers."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    names: list[str]

    @property
    def line(self) -> str:
        return f"{self.method} {self.target}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = {}


@dataclass
class Server:
    """Keeps every request and answers with what `answer` makes of it."""

    answer: Callable[[Got], Answer] = lambda _got: Answer()
    got: list[Got] = field(default_factory=list)

    def __post_init__(self) -> None:
        lock, server = Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = [(name.lower(), one) for name, one in self.headers.items()]
                got = Got(self.command, self.path, dict(headers), body, [name for name, _ in headers])
                with lock:
                    server.got.append(got)
                    answer = server.answer(got)
                encoded = answer.body.encode()
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(encoded))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(encoded)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *_given: object) -> None:
                """Tests look at `got`."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v2"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class HastyClock:
    """Real time, in which sleeping takes none."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._slept)

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Ran:
    """A run that has ended: its report, what became of each key, and the requests that arrived."""

    report: RunReport
    outcomes: Mapping[str, tuple[str, str | None]]
    messages: Mapping[str, str | None]
    requests: list[Got]

    @property
    def lines(self) -> list[str]:
        return sorted(one.line for one in self.requests)


class HttpWorld:
    """Use as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server()
        self.app = App.open(Settings(folder / "workspace", None, 512, {"TOKEN": TOKEN, "KEY": KEY}), create=True)
        self.app.clock = HastyClock()  # type: ignore[assignment]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.app.close()
        self.server.stop()

    def rows(self, *rows: Mapping[str, Any]) -> None:
        """The whole content of the model, instead of what it was."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        with closing(sqlite3.connect(self.folder / "warehouse.sqlite")) as database:
            database.execute("DROP TABLE IF EXISTS things")
            database.execute(f"CREATE TABLE things ({', '.join(f'[{name}]' for name in names)})")
            marks = ", ".join("?" * len(names))
            database.executemany(
                f"INSERT INTO things VALUES ({marks})", [[row.get(one) for one in names] for row in rows]
            )
            database.commit()

    def sync(self, *, destination: Mapping[str, Any] | None = None, **sync: Any) -> None:
        """Declares the one sync and applies it. Raises ConfigurationError with every finding."""
        document = {
            "sources": {"shop": {"type": "sqlite", "path": "warehouse.sqlite"}},
            "models": {"things": {"source": "shop", "primary_key": "id", "table": "things"}},
            "destinations": {"crm": {"type": "http", "base_url": self.server.url, **(destination or {})}},
            "syncs": {
                SYNC: {
                    "model": "things",
                    "destination": "crm",
                    "type": "requests",
                    "object": "record",
                    "fields": {"name": {"column": "name"}},
                    **({"mode": "upsert"} if sync.get("object", "record") == "record" else {}),
                    **sync,
                }
            },
        }
        path = self.folder / "headrace.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        self.app.catalog.apply(self.app.catalog.check(path))

    def findings(self, **chosen: Any) -> list[tuple[str, str]]:
        """(code, path) of everything that is wrong with such a sync."""
        try:
            self.sync(**chosen)
        except ConfigurationError as refused:
            return [(one.code, one.path) for one in refused.findings]
        return []

    def run(self, **options: Any) -> Ran:
        before = len(self.server.got)
        run = self.app.runs.run(SYNC, RunOptions(**options), lambda _event: None, lambda _said: None)
        report = asyncio.run(run)
        records = [
            one.record for one in self.app.workspace.outcomes.find(OutcomeFilter(run=report.run_id), limit=500).items
        ]
        return Ran(
            report,
            {one.key: (one.outcome.value, one.code) for one in records},
            {one.key: one.message for one in records},
            self.server.got[before:],
        )

    def calls(self) -> tuple[LoggedCall, ...]:
        return self.app.workspace.calls.find(CallFilter(), limit=500).items

    def explain(self) -> Explanation:
        return self.app.trials.plan(SYNC, 1000, RunOptions())


def row(number: int, name: str | None = "Ann") -> dict[str, Any]:
    return {"id": number, "name": name}


def answers(*statuses: int) -> Callable[[Got], Answer]:
    """One answer after the other, the last for ever."""
    left = list(statuses)

    def answer(_got: Got) -> Answer:
        status = left.pop(0) if len(left) > 1 else left[0]
        return Answer(status, "" if status == 204 else '{"error": "their words"}')

    return answer

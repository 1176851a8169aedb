"""The other side of a measure, as a process of its own: the bare sink, or the emulator of Vitally."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.measure import RESULTS, CommandFailed, python

_READY_WITHIN_S = 30


@contextlib.contextmanager
def sink(delay_ms: float = 0) -> Iterator[str]:
    """A running sink; gives its URL."""
    port = _free_port()
    command = python("-m", "bench.sink", "--port", str(port), "--delay-ms", str(delay_ms))
    with _server(command, port, "/count") as url:
        yield url


@contextlib.contextmanager
def emulator(rate_limit: str) -> Iterator[str]:
    """A running emulator of Vitally that lets through `requests/seconds` in any sliding window; gives its URL.

    The sliding window is the stricter of the two limits that Vitally has described, and lets no more through at the
    start than later, so that the share that was used can be told exactly.
    """
    port = _free_port()
    command = python("-m", "headrace", "emulate", "vitally", "--port", str(port), "--rate-limit", rate_limit)
    with _server(command, port, "/emulator/settings") as url:
        ask(f"{url}/emulator/settings", "PATCH", {"rateLimit": {"algorithm": "sliding"}})
        yield url


def ask(url: str, method: str = "GET", body: Any = None) -> Any:
    """The JSON that a server answers; None where it answers nothing. Raises URLError."""
    payload = None if body is None else json.dumps(body).encode()
    request = Request(url, payload, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=60) as response:
        answer = response.read()
    return json.loads(answer) if answer else None


def journal(url: str) -> list[dict[str, Any]]:
    """Everything the emulator was asked, in order."""
    entries: list[dict[str, Any]] = []
    while True:
        since = entries[-1]["number"] if entries else 0
        page = ask(f"{url}/emulator/journal?since={since}&limit=1000")["entries"]
        if not page:
            return entries
        entries += page


def seed_accounts(url: str, external_ids: list[str]) -> None:
    """Puts accounts into the emulator as if they had always been there, 500 at a time."""
    for start in range(0, len(external_ids), 500):
        part = external_ids[start : start + 500]
        ask(f"{url}/emulator/seed", "POST", {"accounts": [{"externalId": key, "name": f"Old {key}"} for key in part]})


@contextlib.contextmanager
def _server(command: list[str], port: int, probe: str) -> Iterator[str]:
    RESULTS.mkdir(parents=True, exist_ok=True)
    log_path = RESULTS / f"server-{port}.log"
    url = f"http://127.0.0.1:{port}"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
        try:
            _await_answer(process, url + probe, log_path.read_text)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    log_path.unlink(missing_ok=True)


def _await_answer(process: subprocess.Popen[bytes], url: str, read_log: Any) -> None:
    give_up_at = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < give_up_at and process.poll() is None:
        with contextlib.suppress(URLError, ConnectionError):
            ask(url)
            return
        time.sleep(0.05)
    raise CommandFailed(f"{process.args!r} did not answer at {url}\n{read_log()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

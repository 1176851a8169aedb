"""A client of the API for orchestrators and scripts: standard library only, one class, faults as exceptions.

from headrace.client import Client

headrace = Client("https://headrace.example.com", key)
run = headrace.run("accounts")          # triggers, waits, returns the ended run
print(run["delivered"])
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

__all__ = ["Client", "Refused", "RunFailed"]

_ENDS = frozenset({"held", "succeeded", "succeeded_with_rejections", "failed", "cancelled", "interrupted"})
_WELL = frozenset({"succeeded", "succeeded_with_rejections"})


class Refused(Exception):
    """The server said no. `code` is stable and has a heading in the documentation; `findings` name each fault."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.code: str = problem.get("code", "unknown")
        self.findings: list[dict[str, Any]] = problem.get("findings") or []
        super().__init__(f"{self.code}: {problem.get('detail', 'no detail')}")


class RunFailed(Exception):
    """A run ended otherwise than well. `run` is the whole of it."""

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run
        error = run.get("error") or {}
        why = error.get("message") or run.get("held") or "look at the run"
        super().__init__(f"Run {run['run']} of {run['sync']} is {run['status']}: {why}")


class Client:
    """`base` is where the server is reached, `key` an API key. `timeout_s` is for one request, not for a run."""

    def __init__(
        self, base: str, key: str, *, timeout_s: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._base = base.rstrip("/")
        self._key = key
        self._timeout_s = timeout_s
        self._sleep = sleep

    # Runs ---------------------------------------------------------------------------------------------------------

    def trigger(self, sync: str, *, idempotency_key: str | None = None, **options: Any) -> dict[str, Any]:
        """Queues a run and returns it. Options: full_resync, reset_cdc, keys, overlap. Raises Refused."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        found: dict[str, Any] = self._ask("POST", f"/syncs/{_part(sync)}/runs", options, headers)
        return found

    def wait(self, run: int, *, every_s: float = 2.0) -> dict[str, Any]:
        """The run, once it has ended."""
        while (found := self.get_run(run))["status"] not in _ENDS:
            self._sleep(every_s)
        return found

    def run(
        self, sync: str, *, idempotency_key: str | None = None, every_s: float = 2.0, **options: Any
    ) -> dict[str, Any]:
        """Triggers, waits, and returns the ended run. Raises Refused, and RunFailed unless it ended well."""
        started = self.trigger(sync, idempotency_key=idempotency_key, **options)
        ended = self.wait(started["run"], every_s=every_s)
        if ended["status"] not in _WELL:
            raise RunFailed(ended)
        return ended

    def get_run(self, run: int) -> dict[str, Any]:
        """Raises Refused with the code `not_found`."""
        found: dict[str, Any] = self._ask("GET", f"/runs/{run}")
        return found

    def runs(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """All of them, newest first, a page at a time. Filters: sync, status."""
        return self._pages("/runs", filters)

    def cancel(self, run: int) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("POST", f"/runs/{run}/cancel")
        return found

    def approve(self, run: int) -> dict[str, Any]:
        """Lets a held run's removals happen; returns the queued run that makes them."""
        found: dict[str, Any] = self._ask("POST", f"/runs/{run}/approve")
        return found

    # What runs left -----------------------------------------------------------------------------------------------

    def rows(self, run: int, **filters: Any) -> Iterator[dict[str, Any]]:
        """What became of the rows. Filters: outcome, code, key."""
        return self._pages(f"/runs/{run}/rows", filters)

    def calls(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """API calls, newest first. Filters: run, key, status, sync, verdict, text."""
        return self._pages("/calls", filters)

    # Configuration ------------------------------------------------------------------------------------------------

    def check(self, yaml: str, **options: bool) -> dict[str, Any]:
        """Findings and changes of a configuration; saves nothing. Options: prune, offline."""
        found: dict[str, Any] = self._ask("POST", f"/configuration/check{_query(options)}", {"yaml": yaml})
        return found

    def apply(self, yaml: str, **options: bool) -> dict[str, Any]:
        """Makes it so. Raises Refused with every finding."""
        found: dict[str, Any] = self._ask("POST", f"/configuration/apply{_query(options)}", {"yaml": yaml})
        return found

    def _pages(self, path: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self._ask("GET", path + _query({**filters, "limit": 500, "cursor": cursor}))
            yield from page["items"]
            cursor = page["cursor"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        said = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            said["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self._base}/api/v1{path}", data, said, method=method)  # noqa: S310
        try:
            with _opener.open(request, timeout=self._timeout_s) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                raise Refused(refused.code, _problem(refused.read())) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to wherever it leads."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _problem(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"detail": body[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {}


def _part(name: str) -> str:
    return quote(name, safe="")


def _query(values: dict[str, Any]) -> str:
    said = {key: str(one).lower() if isinstance(one, bool) else one for key, one in values.items() if one is not None}
    return f"?{urlencode(said)}" if said else ""

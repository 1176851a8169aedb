"""Calls and bodies as a person reads them: JSON laid out, everything else as it is, secrets masked long before."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headrace.cli.console import clean, painted, say

if TYPE_CHECKING:
    from headrace.store.calls import LoggedCall

_NUMBER = re.compile(r'"\\u0000([^"]+)"')


def pretty(body: bytes) -> str:
    """A body with its JSON laid out. Numbers keep their digits: 19.90 stays 19.90."""
    text = body.decode("utf-8", "replace")
    try:
        loaded = json.loads(text, parse_float=lambda digits: f"\0{digits}", parse_int=lambda digits: f"\0{digits}")
    except ValueError:
        return "\n".join(clean(line) for line in text.splitlines())
    laid_out = _NUMBER.sub(r"\1", json.dumps(loaded, indent=2, ensure_ascii=False))
    return "\n".join(clean(line) for line in laid_out.splitlines())


def path_of(url: str) -> str:
    """Path and query of an address."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def say_call(logged: LoggedCall) -> None:
    """One call, whole."""
    call = logged.call
    ended = f"{call.status}" if call.status is not None else "no answer"
    waited = f", waited {call.waited_ms:.0f} ms for the rate limit" if call.waited_ms >= 1 else ""
    tries = f", try {call.attempt}" if call.attempt > 1 else ""
    where = f"call {logged.run_id}/{call.number} of {logged.sync}"
    say(painted(f"{call.method} {clean(call.url)}", "bold"))
    say(f"{where}: {ended} in {call.duration_ms:.0f} ms{waited}{tries}; {call.verdict}: {clean(call.reason)}")
    if call.keys:
        say(f"rows: {clean(', '.join(call.keys))}")
    for name, value in call.request_headers.items():
        say(painted(f"> {clean(name)}: {clean(value)}", "dim"))
    if call.request_body is not None:
        say(pretty(call.request_body))
    for name, value in (call.response_headers or {}).items():
        say(painted(f"< {clean(name)}: {clean(value)}", "dim"))
    if call.response_body:
        say(pretty(call.response_body))

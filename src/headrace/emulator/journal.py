"""What was asked and what was answered, in order: the emulator's memory of its callers.

Every request but those to `/emulator` is entered, also the refused and the dropped. Bytes are kept as they came.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import orjson

Api = Literal["rest", "analytics", "other"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request as received: `path` is raw (still percent-encoded), `query` decoded, `headers` case-insensitive."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def api(self) -> Api:
        if self.path.startswith("/resources"):
            return "rest"
        return "analytics" if self.path.startswith("/analytics") else "other"

    def segments(self) -> list[str]:
        """The decoded parts of the path: an encoded slash stays inside its part."""
        parts = self.path.strip("/").split("/")
        return [unquote(part) for part in parts] if "%" in self.path else parts


def new_call(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
    """`target` is the request target as it stood in the request line.

    A `+` in the query is a space, as in any form: an unencoded email alias is not found.  vitally.md 5.3
    """
    path, _, query = target.partition("?")
    return Call(method, path, dict(parse_qsl(query, keep_blank_values=True)) if query else {}, headers, body)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and its outcome; `status` is None where no answer was given (dropped, hung)."""

    number: int
    at_utc: datetime
    api: Api
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int | None
    answer_body: bytes
    answer_headers: Mapping[str, str]
    fault: str | None = None

    @property
    def json(self) -> Any:
        """The request's body parsed; None where there is none or it is not JSON."""
        return _parsed(self.body)

    @property
    def answer(self) -> Any:
        """The answer's body parsed; None where there is none or it is not JSON."""
        return _parsed(self.answer_body)


class Journal:
    """The latest `limit` entries, numbered from 1 without gaps; numbers go on after `clear`."""

    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def last_number(self) -> int:
        return self._number

    def enter(
        self,
        call: Call,
        at_utc: datetime,
        status: int | None,
        answer_body: bytes,
        answer_headers: Mapping[str, str],
        fault: str | None,
    ) -> Entry:
        self._number += 1
        entry = Entry(
            self._number, at_utc, call.api, call.method, call.path, call.query, call.headers, call.body,
            status, answer_body, answer_headers, fault,
        )  # fmt: skip
        self._entries.append(entry)
        return entry

    def since(self, number: int, limit: int) -> list[Entry]:
        """At most `limit` entries later than `number`, oldest first."""
        found = [entry for entry in self._entries if entry.number > number]
        return found[:limit]

    def last(self, count: int) -> list[Entry]:
        """The newest `count`, newest first."""
        newest = reversed(self._entries)
        return [entry for _, entry in zip(range(count), newest, strict=False)]

    def clear(self) -> None:
        self._entries.clear()

    def resize(self, limit: int) -> None:
        self._entries = deque(self._entries, maxlen=limit)


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with any credential cut to its last four characters."""
    return {str(name): _masked(value) if name.lower() == "authorization" else value for name, value in headers.items()}


def _masked(value: str) -> str:
    scheme, _, secret = value.rpartition(" ")
    return f"{scheme} ...{secret[-4:] if len(secret) > 8 else ''}".strip()


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None

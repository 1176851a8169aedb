"""A request and its answer as plain values: what a destination makes and reads, what the engine sends and records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Purpose = Literal["deliver", "look_up", "list", "test"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `url` is whole; `body` is the exact bytes; `headers` hold no credential.

    The engine adds the headers of the credential named by `api` when it sends, so that no request value,
    plan or log ever holds a secret.
    """

    method: str
    url: str
    api: str
    purpose: Purpose = "deliver"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request. `headers` have lower-case names; `body` is as received, cut by the engine if huge."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoResponse:
    """There was no answer. `sent` says whether the request may have taken effect (its outcome is then unknown)."""

    reason: str
    sent: bool

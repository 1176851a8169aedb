"""A request and its answer as plain values: what a destination makes and reads, what the engine sends and records."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

# Tuples rather than dataclasses: a run makes one of each for every row, and these are the quicker frozen values.
_NONE: Mapping[str, str] = MappingProxyType({})

Purpose = Literal["deliver", "look_up", "list", "test"]


class Request(NamedTuple):
    """One HTTP request. `url` is whole; `body` is the exact bytes; `headers` hold no credential.

    The engine adds the headers of the credential named by `api` when it sends, so that no request value,
    plan or log ever holds a secret.
    """

    method: str
    url: str
    api: str
    purpose: Purpose = "deliver"
    body: bytes | None = None
    headers: Mapping[str, str] = _NONE


class Response(NamedTuple):
    """The answer to a request. `headers` have lower-case names; `body` is as received, cut by the engine if huge."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoResponse(NamedTuple):
    """There was no answer. `sent` says whether the request may have taken effect (its outcome is then unknown)."""

    reason: str
    sent: bool

"""How routes are made here: what every one shares, the application they ask, answers as JSON, heavy work in measure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from headrace.app import App
from headrace.domain.errors import UserError
from headrace.web.api.models import Problem
from headrace.web.problems import MEDIA_TYPE, STATUSES

HEAVY_AT_ONCE = 4
HEAVY_PATIENCE_S = 10.0
_heavy = threading.BoundedSemaphore(HEAVY_AT_ONCE)

_SCHEMA = {"schema": {"$ref": "#/components/schemas/Problem"}}
Responses = dict[int | str, dict[str, Any]]
PROBLEMS: Responses = {
    status: {"model": Problem, "description": "A problem document.", "content": {MEDIA_TYPE: _SCHEMA}}
    for status in STATUSES
}


def refuse_unknown(request: Request) -> None:
    """A misspelt filter would show everything and say nothing. Raises UserError `request_invalid`."""
    route = request.scope["route"]
    known = {one.alias for one in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            choices = ", ".join(sorted(known)) or "none"
            message = f'There is no parameter "{name[:100]}" here; there are: {choices}.'
            raise UserError(message, code="request_invalid")


def router(tag: str) -> APIRouter:
    """A router for one noun."""
    return APIRouter(prefix="/api/v1", tags=[tag], responses=PROBLEMS, dependencies=[Depends(refuse_unknown)])


def the_app(request: Request) -> App:
    found: App = request.app.state.headrace
    return found


Headrace = Annotated[App, Depends(the_app)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=40, description="From the page before.")]


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer. Decimals and bytes become text; JSON has no numbers for them that keep their digits."""
    return Response(orjson.dumps(document, default=_plain), status, headers, "application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


@contextmanager
def in_measure() -> Iterator[None]:
    """Around work that reads a source or a plan: a few at once, or the machine has none left for the runs.

    Raises UserError `busy`.
    """
    if not _heavy.acquire(timeout=HEAVY_PATIENCE_S):
        message = "Too much is being previewed and planned just now. Try again in some seconds."
        raise UserError(message, code="busy", retry_after_s=5)
    try:
        yield
    finally:
        _heavy.release()

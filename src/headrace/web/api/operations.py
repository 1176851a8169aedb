"""How a route of the API is written down: its verb and scope, its answers, its faults. OpenAPI is made from this.

A route takes the query parameters that it names and no other: a filter that is misspelt must not show everything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi import params as parameters
from pydantic import AfterValidator, BaseModel
from starlette.requests import Request
from starlette.responses import Response

from headrace.domain.errors import UserError
from headrace.domain.shapes import near
from headrace.service.verbs import VERBS
from headrace.web.problems import MEDIA_TYPE

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
PREFIX = "/api/v1"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
_FAULTS = {
    400: "The request can't be read: an unknown parameter, a value of the wrong type, a cursor of another list.",
    401: "Nobody is signed in, and no API key came along.",
    403: "Who asks does not hold the scope; or the request came from another site.",
    404: "There is no such thing. The message names what there is.",
    409: "Not possible as things stand: the sync is busy, the run has ended, the object is in use, the name is taken.",
    412: "The object is no longer as it was when it was loaded.",
    413: "The body is larger than 1 MB.",
    421: "The request is for a host that the server does not know itself by.",
    422: "The configuration has faults; all of them are in `findings`.",
    429: "Too many tries.",
    502: "A source or a destination failed, in its own words.",
    503: "Too much is under way, or the store does not answer: try again in some seconds.",
}
_ALWAYS = (400, 401, 403, 421, 503)


def _sendable(document: Any) -> Any:
    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"holds what no JSON can say: {error}") from error
    return document


JsonObject = Annotated[dict[str, Any], AfterValidator(_sendable)]
"""A document of the configuration, or a row: any JSON object."""
ObjectName = Annotated[str, Path(description="Its name.", max_length=200)]
RunId = Annotated[int, Path(description="Number of the run.", ge=1, le=2**31 - 1)]
Limit = Annotated[int, Query(description="At most so many.", ge=1, le=500)]
Cursor = Annotated[str | None, Query(description="`cursor` of the page before.", max_length=100)]


def operation(
    router: APIRouter,
    method: str,
    path: str,
    *,
    verb: str | None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    media: dict[str, Any] | None = None,
    faults: Iterable[int] = (),
    body: dict[str, Any] | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Adds a route. `verb` is what it asks the service for, None for what belongs to nobody.

    `media` says what comes in place of JSON; `body` is the schema of a body that the route reads itself.
    """

    def add(endpoint: Endpoint) -> Endpoint:
        known = tuple(_query_names(endpoint))
        needs = VERBS[verb] if verb is not None else None
        extra: dict[str, Any] = {"x-verb": verb, "x-scope": str(needs.needs) if needs else None}
        if needs is None:
            extra["security"] = []
        if body is not None:
            extra["requestBody"] = body
        told = {*_ALWAYS, *faults, *((404,) if "{" in path else ()), *((413,) if method in ("POST", "PUT") else ())}
        responses: dict[int | str, dict[str, Any]] = {
            one: {"description": _FAULTS[one], "content": {MEDIA_TYPE: {"schema": PROBLEM}}} for one in sorted(told)
        }
        if media is not None:
            responses[status] = {"description": "Done.", "content": media}
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            status_code=status,
            response_model=answer,
            response_class=Response if media is not None or status == 204 else _Json,
            responses=responses,
            operation_id=endpoint.__name__,
            summary=(inspect.getdoc(endpoint) or endpoint.__name__).partition("\n")[0].rstrip("."),
            description=(inspect.getdoc(endpoint) or "").partition("\n")[2].strip(),
            openapi_extra=extra,
            dependencies=[Depends(_only(known))],
        )
        return endpoint

    return add


class _Json(Response):
    media_type = "application/json"


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON. Decimals keep their digits; what JSON has no word for is its text."""
    body = orjson.dumps(document, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return _Json(body, status, headers)


def page(items: Sequence[Any], cursor: str | None) -> dict[str, Any]:
    """A part of a list: what there is, whether there is more, and how to ask for it."""
    return {"items": items, "more": cursor is not None, "cursor": cursor}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if value.is_finite() and "E" not in str(value) else str(value)
    return str(value)


def _query_names(endpoint: Callable[..., Any]) -> Iterable[str]:
    for name, one in inspect.signature(endpoint, eval_str=True).parameters.items():
        for said in getattr(one.annotation, "__metadata__", ()):
            if isinstance(said, parameters.Query):
                yield said.alias or name


def _only(known: tuple[str, ...]) -> Callable[[Request], None]:
    def only(request: Request) -> None:
        for name, value in request.query_params.multi_items():
            if name not in known:
                message = f'There is no parameter "{name[:100]}" here.{near(name, known)}'
                raise UserError(message, code="request_invalid")
            if "\0" in value:
                raise UserError(f'The parameter "{name}" holds a NUL character.', code="request_invalid")
        if any("\0" in str(value) for value in request.path_params.values()):
            raise UserError("The address holds a NUL character.", code="request_invalid")

    return only

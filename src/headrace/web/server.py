"""The ASGI application: the API's routers, faults as problem documents, the wall around everything.

Nothing here knows what a route does. A new router is one line in `_routers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace import __version__
from headrace.app import App
from headrace.domain.errors import HeadraceError
from headrace.web.api import catalog, configuration, rows, runs, streams, system, trials
from headrace.web.api.operations import PREFIX, answer
from headrace.web.api.shapes import Problem
from headrace.web.heavy import Heavy
from headrace.web.problems import problem, problem_of, unexpected
from headrace.web.security import Guarding, Wall, hosts_of, too_large

OPENAPI = f"{PREFIX}/openapi.json"
OPEN_PATHS = frozenset({OPENAPI, f"{PREFIX}/configuration/schema"})
"""What needs no sign-in, exactly as written."""
ABOUT = """\
Everything that the web app and the command line do. Answers are JSON; faults are problem documents (RFC 9457) with a
stable `code`. Lists have a stable order and a `cursor`. A parameter that an operation does not have is refused.
Each operation says in `x-scope` what its caller must hold.
"""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """HEADRACE_URL: where people reach the server. HEADRACE_HOSTS: further names that it answers to."""

    guarding: Guarding

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> ServerSettings:
        url = environment.get("HEADRACE_URL") or None
        hosts = hosts_of(environment.get("HEADRACE_HOSTS"))
        return cls(Guarding(hosts=hosts, url=url, open_paths=OPEN_PATHS))


def create_app(app: App, settings: ServerSettings | None = None) -> FastAPI:
    """The application over an open workspace. It starts nothing: no worker, no clock."""
    chosen = settings or ServerSettings.read(app.settings.environment)
    served = FastAPI(title="Headrace", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    build_services(app)
    for one in _routers(app):
        served.include_router(one, prefix=PREFIX)
    document = openapi_document(served)

    @served.get(OPENAPI, include_in_schema=False)
    def openapi() -> Response:
        return answer(document)

    served.add_exception_handler(HeadraceError, _told)
    served.add_exception_handler(RequestValidationError, _unreadable)
    served.add_exception_handler(HTTPException, _no_route)
    served.add_middleware(Edge)
    served.add_middleware(Wall, access=app.access, guarding=chosen.guarding)
    return served


def build_services(app: App) -> None:
    """Every service is built before the first request: two threads must not build one at once."""
    _ = (app.access, app.audit, app.catalog, app.sources, app.assembly, app.objects, app.drafts)
    _ = (app.runs, app.trials, app.history, app.curl, app.vault, app.suggestions)


def _routers(app: App) -> Iterator[APIRouter]:
    heavy = Heavy()
    yield from catalog.routers(app, heavy)
    yield runs.router(app)
    yield streams.router(app, streams.Streams())
    yield rows.router(app)
    yield trials.router(app, heavy)
    yield configuration.router(app, heavy)
    yield system.router(app)


# Faults -------------------------------------------------------------------------------------------------------------


def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, HeadraceError)
    return problem_of(error)


def _unreadable(_: Request, error: Exception) -> Response:
    """A parameter or a body that does not fit: all that is wrong with it, each with its address."""
    assert isinstance(error, RequestValidationError)
    findings = [
        {
            "code": "request_invalid",
            "message": f"{one['msg'].removeprefix('Value error, ')}.",
            "path": ".".join(str(part) for part in one["loc"]),
        }
        for one in error.errors()
    ]
    said = "; ".join(f"{one['path']}: {one['message']}" for one in findings[:5])
    return problem(400, "request_invalid", f"The request can't be read. {said}", findings)


def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(
            404, "not_found", "There is nothing at this address. See /api/v1/openapi.json for what there is."
        )
    if error.status_code == 405:
        detail = "This address takes other methods; the header Allow names them."
        return problem(405, "method_not_allowed", detail, headers=dict(error.headers or {}))
    if error.status_code == 413:
        return problem_of(too_large())
    return problem(error.status_code, "request_invalid", f"The request can't be read: {error.detail}.")


class Edge:
    """The edge of a request: what no route foresaw becomes a problem document, and a line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await unexpected(error)(scope, receive, send)


# OpenAPI ------------------------------------------------------------------------------------------------------------


def openapi_document(served: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of all operations, with their scopes and faults."""
    found = get_openapi(
        title="Headrace",
        version=__version__,
        description=ABOUT,
        routes=served.routes,
        separate_input_output_schemas=False,
    )
    shapes: dict[str, Any] = found.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        shapes.pop(name, None)
    _add_shape(Problem, shapes)
    found["components"]["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer hr_...`."},
        "session": {"type": "apiKey", "in": "cookie", "name": "headrace", "description": "A browser's sign-in."},
    }
    found["security"] = [{"apiKey": []}, {"session": []}]
    for operation in _operations(found):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    return found


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _add_shape(model: type[BaseModel], shapes: dict[str, Any]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    shapes.update(schema.pop("$defs", {}))
    shapes[model.__name__] = schema

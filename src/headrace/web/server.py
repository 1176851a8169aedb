"""The web application over one workspace: the wall, the API, faults as problem documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from headrace import __version__
from headrace.domain.errors import HeadraceError
from headrace.web.api import access, configuration, objects, records, runs, system, trials
from headrace.web.oidc import Issuer, OidcSettings
from headrace.web.pages import OPEN_FOLDERS, OPEN_PATHS, ProblemPages, add_pages
from headrace.web.problems import problem, problem_of, unexpected
from headrace.web.security import Guarding, Wall

if TYPE_CHECKING:
    from headrace.app import App

HEALTH = "/healthz"
_CODES = {404: "not_found", 405: "request_invalid"}


def create_app(app: App, guarding: Guarding) -> FastAPI:
    """Everything that is served. `guarding` says to whom; the paths that need no sign-in are added here.

    Raises UserError `setting_invalid` or `extra_missing` for what is said of an issuer.
    """
    open_paths = guarding.open_paths | access.OPEN | OPEN_PATHS | {HEALTH}
    guarding = Guarding(guarding.hosts, guarding.url, open_paths, OPEN_FOLDERS)
    server = FastAPI(
        title="Headrace",
        version=__version__,
        summary="Reverse ETL: from warehouse rows to their destination, only what changed, every API call in sight.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    server.state.headrace = app
    server.state.guarding = guarding
    for one in (*objects.routers(), *(part.routes for part in (runs, records, trials, configuration, access, system))):
        server.include_router(one)
    server.add_api_route(HEALTH, _alive, include_in_schema=False)
    server.add_exception_handler(HeadraceError, _told)
    server.add_exception_handler(RequestValidationError, _invalid)
    server.add_exception_handler(HTTPException, _http)
    server.add_exception_handler(Exception, _unexpected)
    oidc = OidcSettings.read(app.settings.environment)
    issuer = Issuer(oidc) if oidc is not None else None
    pages = add_pages(server, app, guarding.cookie, secure=guarding.is_https, url=guarding.url, issuer=issuer)
    server.add_middleware(ProblemPages, pages=pages)  # what a page answers
    server.add_middleware(Wall, access=app.access, guarding=guarding)
    server.add_middleware(ProblemPages, pages=pages)  # what the wall answers
    return server


def _alive() -> Response:
    """The process lives. It says nothing else: no sign-in is needed for it."""
    return PlainTextResponse("ok\n")


def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadraceError)
    return problem_of(error)


def _invalid(_request: Request, error: Exception) -> Response:
    """What the shapes of the API refuse, all of it at once."""
    assert isinstance(error, RequestValidationError)
    findings = [
        {"code": "request_invalid", "message": one["msg"], "path": ".".join(map(str, one["loc"]))}
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['path']}: {one['message']}" for one in findings[:3])
    return problem(400, "request_invalid", detail or "The request is not what this route takes.", findings)


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "request_invalid")
    return problem(error.status_code, code, f"{error.detail}.", headers=dict(error.headers or {}))


def _unexpected(_request: Request, error: Exception) -> Response:
    return unexpected(error)

"""Pages: HTML made on the server, each view an address, all of them usable without script.

A page parses its request, asks services through the App, and shapes a `Context`; README.md says how one is made.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.responses import Response

from headrace.app import App
from headrace.web.oidc import Issuer
from headrace.web.pages import activity, built, calls, overviews, rows, runs, settings, signing_in, syncs
from headrace.web.pages.problems import ProblemPages
from headrace.web.pages.render import Pages
from headrace.web.pages.signing_in import OPEN_PATHS, WELCOME

__all__ = ["OPEN_FOLDERS", "OPEN_PATHS", "ProblemPages", "add_pages"]

OPEN_FOLDERS = (built.PREFIX, WELCOME)
"""What the wall lets anybody ask for, beside `OPEN_PATHS`."""
_PARTS = (overviews, syncs, runs, rows, calls, activity, settings, signing_in)


def add_pages(
    server: FastAPI,
    app: App,
    cookie: str,
    *,
    secure: bool = False,
    url: str | None = None,
    issuer: Issuer | None = None,
) -> Pages:
    """Adds all pages and the files they need. Around the wall, put `ProblemPages` with what this returns.

    `cookie` is the name of the session's cookie, `secure` whether people come by https,
    `url` where they reach us, `issuer` who vouches for them beside their passwords.
    """
    pages = Pages(app, cookie, secure=secure, url=url, issuer=issuer)
    server.mount(built.PREFIX.rstrip("/"), built.built_files(), name="static")

    @server.get("/", include_in_schema=False)
    def start(request: Request) -> Response:
        return pages.go("/syncs" if app.catalog.names("sync") else "/destinations")

    for part in _PARTS:
        server.include_router(part.routes(pages))
    return pages

"""The pages of a workspace on a real port of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response

from headrace.app import App
from headrace.domain.errors import HeadraceError
from headrace.web.pages import OPEN_FOLDERS, OPEN_PATHS, ProblemPages, add_pages
from headrace.web.problems import problem_of
from headrace.web.security import Guarding, Wall

PATIENCE_S = 20.0


def pages_server(app: App) -> FastAPI:
    """The pages behind the wall, without the API."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    guarding = Guarding(open_paths=OPEN_PATHS, open_folders=OPEN_FOLDERS)
    pages = add_pages(server, app, guarding.cookie)

    @server.exception_handler(HeadraceError)
    def tell(request: Request, error: HeadraceError) -> Response:
        return problem_of(error)

    server.add_middleware(ProblemPages, pages=pages)
    server.add_middleware(Wall, access=app.access, guarding=guarding)
    server.add_middleware(ProblemPages, pages=pages)
    return server


@contextmanager
def serving(app: App) -> Iterator[str]:
    """The address of a server for as long as the context lasts."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(pages_server(app), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()

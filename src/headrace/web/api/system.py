"""What serves: version, workers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from headrace import __version__
from headrace.app import App
from headrace.service.worker import describe
from headrace.web.api.operations import answer, operation
from headrace.web.api.shapes import SystemShape


def router(app: App) -> APIRouter:
    routes = APIRouter(tags=["system"])

    @operation(routes, "GET", "/system", verb="history.workers", answer=SystemShape)
    def get_system() -> Response:
        """Say what serves."""
        workers = [describe(one) for one in app.history.workers()]
        return answer({"version": __version__, "workspace": app.catalog.workspace_name(), "workers": workers})

    return routes

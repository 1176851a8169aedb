"""The server itself: what it is, who works, whether it is well."""

from __future__ import annotations

from starlette.responses import Response

from headrace import __version__
from headrace.service.worker import describe
from headrace.web.api.routes import Headrace, answer, router

routes = router("system")


@routes.get("/system", operation_id="get_system", summary="Version, workspace, workers")
def system(app: Headrace) -> Response:
    found = [describe(one) for one in app.history.workers()]
    return answer({"version": __version__, "workspace": app.catalog.workspace_name(), "workers": found})

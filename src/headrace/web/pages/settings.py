"""Settings, for now what one looks at: who I am, which processes take runs, what this workspace is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace import __version__
from headrace.store.access import User
from headrace.store.workers import WorkerEntry
from headrace.web.pages.frame import Context, Crumb
from headrace.web.pages.render import Pages

SILENT = timedelta(seconds=45)
"""A worker says every 10 s that it lives; one that did not for so long is shown as gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPage(Context):
    """The workspace and who looks at it."""

    template: ClassVar[str] = "settings.html"

    me: Annotated[User | None, "Who is signed in; None for a key of nobody."]
    version: Annotated[str, "Of Headrace."]
    where: Annotated[str, "Where the workspace is."]
    workers: Annotated[tuple[tuple[WorkerEntry, bool], ...], "Processes that take runs, and whether each still lives."]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/settings")
    def settings(request: Request) -> Response:
        frame = pages.frame(request, "settings")
        workers = app.insights.workers()
        context = SettingsPage(
            frame=frame,
            title="Settings",
            crumbs=(Crumb("Settings"),),
            me=app.access.me(),
            version=__version__,
            where=app.workspace.where,
            workers=tuple((one, frame.now - one.seen_at < SILENT) for one in workers),
        )
        return pages.render(context)

    return router

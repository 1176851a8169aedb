"""Faults as pages: what the API answers with a problem document, a browser that asked for a page gets as one.

Stands around the wall and all routes, so that a page that needs a sign-in leads to the form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

import orjson
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.web.pages.frame import Context
from headrace.web.pages.render import Pages, own_address
from headrace.web.pages.signing_in import SIGN_IN
from headrace.web.problems import MEDIA_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemPage(Context):
    """What went wrong with a request."""

    template: ClassVar[str] = "problem.html"

    status: Annotated[int, "Of the answer."]
    code: Annotated[str, "Which fault it is."]
    detail: Annotated[str, "What happened, why, and the mend."]
    findings: Annotated[tuple[dict[str, Any], ...], "Faults of a configuration, each with its place."]


class ProblemPages:
    """ASGI middleware. Only answers that are problem documents are read; all others pass as they come."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self.app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _wants_page(scope):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []

        async def sending(message: Message) -> None:
            starts = message["type"] == "http.response.start"
            if starts and Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE):
                held.append(message)
            elif held:
                held.append(message)
                if not message.get("more_body"):
                    await self._show(scope, receive, send, held)
            else:
                await send(message)

        await self.app(scope, receive, sending)

    async def _show(self, scope: Scope, receive: Receive, send: Send, held: list[Message]) -> None:
        problem = orjson.loads(b"".join(one.get("body", b"") for one in held[1:]))
        request = Request(scope)
        headers = MutableHeaders(raw=held[0]["headers"])
        for name in ("content-length", "content-type"):
            del headers[name]
        if problem["status"] == 401:
            asked = own_address(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
            there = f"{SIGN_IN}?{urlencode({'next': asked})}" if request.method == "GET" and asked != "/" else SIGN_IN
            response: Any = RedirectResponse(there, 303)
        else:
            context = ProblemPage(
                frame=self._pages.frame(request),
                title=problem["title"],
                status=problem["status"],
                code=problem["code"],
                detail=problem["detail"],
                findings=tuple(problem.get("findings") or ()),
            )
            response = self._pages.render(context, problem["status"])
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    """Whether a browser asks for a page: programs and scripts of pages ask for something else."""
    return "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith("/api/")

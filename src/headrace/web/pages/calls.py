"""The debugger: every API call, found by run, row, status, verdict or words; one of them beside the list, whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace.domain.errors import UserError
from headrace.domain.outcome import VerdictWord
from headrace.service.history import CurlWriter
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.page import parse_cursor
from headrace.web.pages import shown
from headrace.web.pages.frame import Context, Crumb, Faces, Filter, Frame, Pager, Tab
from headrace.web.pages.render import Pages
from headrace.web.pages.runs import tabs

STATUSES = (("2xx", "2xx"), ("4xx", "4xx"), ("429", "429"), ("5xx", "5xx"), ("none", "No answer"))
_OPTIONS = ("run", "key", "status", "sync", "verdict")


@dataclass(frozen=True, slots=True)
class CallLine:
    """One call of the list: its address is this page with the call open."""

    logged: LoggedCall
    href: str
    path: str
    current: bool
    tone: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The call that stands beside the list."""

    logged: LoggedCall
    path: str
    curl: str
    request_body: str
    response_body: str
    tries: tuple[CallLine, ...]
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsPage(Context):
    """API calls."""

    template: ClassVar[str] = "calls.html"

    lines: Annotated[tuple[CallLine, ...], "The calls of this page of the list."]
    opened: Annotated[Opened | None, "The call that is open."]
    narrowed: Annotated[tuple[tuple[str, str, str], ...], "Filters that have no field: name, value, and without it."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    tabs: Annotated[tuple[Tab, ...], "The views of what ran."]
    pager: Annotated[Pager, "How many are shown, and where the list goes on."]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/calls")
    def calls(request: Request) -> Response:
        frame = pages.frame(request, "runs")
        query = frame.query
        wanted = CallFilter(
            run=_number(query.get("run")),
            key=query.get("key") or None,
            status=query.get("status") or None,
            verdict=_verdict(query.get("verdict")),
            sync=query.get("sync") or None,
            text=query.get("q") or None,
        )
        page = app.insights.calls(wanted, query.get("cursor"))
        chosen = parse_cursor(query.get("call") or None, 2)
        filters = (
            Filter.of("status", "Status", query, STATUSES),
            Filter.of("verdict", "Verdict", query, ((str(one), shown.title(one)) for one in VerdictWord)),
            Filter.of("sync", "Sync", query, ((one, one) for one in app.catalog.names("sync"))),
        )
        narrowed = tuple(
            (name, query[name], frame.here(**{name: None, "cursor": None}))
            for name in ("run", "key")
            if query.get(name)
        )
        options = "".join(f" --{name} {query[name]}" for name in _OPTIONS if query.get(name))
        context = CallsPage(
            frame=frame,
            title="API calls",
            crumbs=(Crumb("Runs", "/runs"), Crumb("API calls")),
            faces=Faces(frame.here(call=None), f"headrace calls{options}"),
            lines=tuple(_line(one, frame, chosen) for one in page.items),
            opened=_opened(pages, frame, chosen) if chosen else None,
            narrowed=narrowed,
            filters=filters,
            tabs=tabs("calls"),
            pager=Pager(len(page.items), "call", page.cursor),
        )
        return pages.render(context)

    return router


def _opened(pages: Pages, frame: Frame, chosen: tuple[int, ...]) -> Opened:
    app = pages.app
    logged = app.history.call(chosen[0], chosen[1])
    writer = CurlWriter(app.catalog, app.assembly, app.secrets)
    tries = app.insights.tries(logged)
    return Opened(
        logged=logged,
        path=_path(logged),
        curl=writer.command(logged),
        request_body=shown.body(logged.call.request_body),
        response_body=shown.body(logged.call.response_body),
        tries=tuple(_line(one, frame, chosen) for one in tries),
        tone=_tone(logged),
    )


def _line(logged: LoggedCall, frame: Frame, chosen: tuple[int, ...] | None) -> CallLine:
    place = (logged.run_id, logged.call.number)
    return CallLine(logged, frame.here(call=f"{place[0]}.{place[1]}"), _path(logged), place == chosen, _tone(logged))


def _path(logged: LoggedCall) -> str:
    parts = urlsplit(logged.call.url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _tone(logged: LoggedCall) -> str:
    """The colour of its status: what the other side said, not what we made of it."""
    status = logged.call.status
    if status is None:
        return "amber"
    return "green" if status < 300 else "grey" if status < 400 else "amber" if status == 429 else "red"


def _number(text: str | None) -> int | None:
    """Raises UserError `filter_invalid` for what is no number of a run."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UserError(f'"{text[:40]}" is no number of a run.', code="filter_invalid")
    return int(text)


def _verdict(text: str | None) -> VerdictWord | None:
    """Raises UserError `filter_invalid` for a word that is no verdict."""
    try:
        return VerdictWord(text) if text else None
    except ValueError as error:
        message = f'"{text}" is no verdict. There are: {", ".join(VerdictWord)}.'
        raise UserError(message, code="filter_invalid") from error

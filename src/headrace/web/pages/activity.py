"""Pictures of what was delivered: by hour and day, the share that was rejected, how much of the rate limit was used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace.service.insights import PERIODS, Period, Sums
from headrace.web.pages.frame import Context, Crumb, Faces, Filter, Tab
from headrace.web.pages.render import Pages
from headrace.web.pages.runs import tabs

PERIOD_WORDS = {"day": "Last 24 hours", "week": "Last 7 days", "month": "Last 30 days"}


@dataclass(frozen=True, slots=True)
class Point:
    """One slot as a chart and its table show it. `used_percent` is of the rate limit, None where none is known."""

    sums: Sums
    label: str
    short: str
    used_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPage(Context):
    """What was delivered over time."""

    template: ClassVar[str] = "activity.html"

    tabs: Annotated[tuple[Tab, ...], "The views of what ran."]
    periods: Annotated[tuple[Tab, ...], "How far back one looks."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    points: Annotated[tuple[Point, ...], "One for each hour or day, oldest first."]
    width: Annotated[str, "`hour` or `day`."]
    short: Annotated[str, "How an axis names a slot, for strftime."]
    totals: Annotated[Sums, "All of it together."]
    destination: Annotated[str, "Whose deliveries these are; empty for all."]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/activity")
    def activity(request: Request) -> Response:
        frame = pages.frame(request, "runs")
        name = frame.query.get("period", "day")
        period = PERIODS.get(name, PERIODS["day"])
        destination = frame.query.get("destination", "")
        documents = app.catalog.documents("sync")
        syncs = [one for one, sync in documents.items() if sync["destination"] == destination] if destination else None
        sums = app.insights.sums(period, syncs)
        names = app.catalog.names("destination")
        limited = destination or (names[0] if len(names) == 1 else "")
        a_second = app.insights.requests_a_second(limited) if limited in names else None
        seconds = 3600 if period.width == "hour" else 86_400
        short = "%H:%M" if period.name == "day" else "%d %b"
        points = tuple(
            Point(
                one,
                _label(one.start, period),
                one.start.strftime(short),
                100 * one.requests / (a_second * seconds) if a_second else None,
            )
            for one in sums
        )
        context = ActivityPage(
            frame=frame,
            title="Activity",
            crumbs=(Crumb("Runs", "/runs"), Crumb("Activity")),
            faces=Faces("/runs?limit=100", "headrace runs --json"),
            tabs=tabs("activity"),
            periods=tuple(
                Tab(words, frame.here(period=one), one == period.name) for one, words in PERIOD_WORDS.items()
            ),
            filters=(Filter.of("destination", "Destination", frame.query, ((one, one) for one in names)),),
            points=points,
            width=period.width,
            short=short,
            totals=_total(sums),
            destination=destination,
        )
        return pages.render(context)

    return router


def _label(start: datetime, period: Period) -> str:
    return start.strftime("%d %b, %H:%M UTC" if period.width == "hour" else "%A, %d %b %Y")


def _total(sums: list[Sums]) -> Sums:
    names = ("runs", "delivered", "skipped", "invalid", "rejected", "owed", "requests")
    return Sums(sums[0].start, *(sum(getattr(one, name) for one in sums) for name in names))

"""The overview of syncs, one sync with its runs, and what a person can do to it, with the numbers before danger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from headrace.domain.config import Cron, Every, SyncConfig, sync_id
from headrace.domain.errors import UserError
from headrace.engine.job import RunOptions
from headrace.service.documents import SECTION
from headrace.service.files import write_yaml
from headrace.service.insights import PERIODS, StageTime, Sums
from headrace.store.insights import Bar
from headrace.store.page import parse_cursor
from headrace.store.runs import Run
from headrace.web.pages import shown
from headrace.web.pages.frame import Context, Crumb, Faces, Filter, Frame, Pager
from headrace.web.pages.render import Pages, own_address
from headrace.web.pages.states import HEALTH_WORDS, Standing, standing_of

AT_ONCE = 50
RUNS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class SyncLine:
    """One sync: a row that reads as a sentence."""

    name: str
    model: str
    destination: str
    what: str
    when: str
    standing: Standing
    last_run: Run | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncsPage(Context):
    """All syncs."""

    template: ClassVar[str] = "syncs.html"

    lines: Annotated[tuple[SyncLine, ...], "The syncs of this page of the list."]
    any: Annotated[bool, "Whether there is a sync at all."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    pager: Annotated[Pager, "How many are shown, and where the list goes on."]
    live: Annotated[bool, "Whether a run is under way, so that the page keeps up with it."]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPage(Context):
    """One sync and its runs."""

    template: ClassVar[str] = "sync.html"

    name: Annotated[str, "Of the sync."]
    sentence: Annotated[str, "What it does."]
    when: Annotated[str, "When it runs by itself."]
    sync: Annotated[SyncConfig, "Its configuration."]
    standing: Annotated[Standing, "How it stands after its last run."]
    bars: Annotated[tuple[Bar, ...], "Its last runs, oldest first."]
    runs: Annotated[tuple[Run, ...], "Its last runs, newest first."]
    sums: Annotated[tuple[Sums, ...], "What it delivered, by day."]
    stages: Annotated[dict[int, list[StageTime]], "How long its last runs were at each stage, by run."]
    live: Annotated[bool, "Whether a run of it is under way."]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDeedPage(Context):
    """What a full resync or a reset would do, before it is done."""

    template: ClassVar[str] = "sync_deed.html"

    name: Annotated[str, "Of the sync."]
    deed: Annotated[str, "`resync` or `reset`."]
    consequence: Annotated[str, "What would happen, in a sentence with its number."]
    explained: Annotated[str, "What that is good for."]
    button: Annotated[str, "The word on the button."]
    last_run: Annotated[Run | None, "The last run, whose numbers these are."]
    wrong: Annotated[str | None, "Why the last try was refused."] = None


Deed = Literal["resync", "reset"]
_DEEDS: dict[Deed, tuple[str, str, str]] = {
    "resync": (
        "Full resync",
        "Send every row again, changed or not. Good after the destination lost or changed records by itself.",
        "Send every row again",
    ),
    "reset": (
        "Reset the baseline",
        "Take the rows as they are now for delivered, and send nothing. Only later changes are sent. Good when the "
        "destination holds these values already.",
        "Take all rows for delivered",
    ),
}


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/syncs")
    def syncs(request: Request) -> Response:
        frame = pages.frame(request, "syncs")
        documents = app.catalog.documents("sync")
        latest = app.history.latest()
        standings = {name: standing_of(latest.get(one.get("id") or name)) for name, one in documents.items()}
        names, more = _page_of(_kept(documents, standings, frame), frame)
        bars = app.insights.bars(names)
        lines = tuple(_line(name, documents[name], standings[name], latest, bars[name]) for name in names)
        filters = (
            Filter.of("state", "State", frame.query, HEALTH_WORDS.items()),
            Filter.of("destination", "Destination", frame.query, _choices(documents, "destination")),
            Filter.of("model", "Model", frame.query, _choices(documents, "model")),
        )
        configured = write_yaml({SECTION["sync"]: {name: documents[name] for name in names}}) if names else None
        context = SyncsPage(
            frame=frame,
            title="Syncs",
            crumbs=(Crumb("Syncs"),),
            faces=Faces("/syncs", "headrace syncs", configured),
            lines=lines,
            any=bool(documents),
            filters=filters,
            pager=Pager(len(lines), "sync", more, None if more or "cursor" in frame.query else len(documents)),
            live=any(one.health == "running" for one in standings.values()),
        )
        return pages.render(context)

    @router.get("/syncs/{name}")
    def sync(request: Request, name: str) -> Response:
        frame = pages.frame(request, "syncs")
        config: SyncConfig = app.catalog.get("sync", name)
        bars = app.insights.bars([name])[name]
        runs = app.insights.runs(sync=name, limit=RUNS_SHOWN).items
        last = app.history.latest().get(sync_id(name, config))
        document = app.catalog.documents("sync")[name]
        context = SyncPage(
            frame=frame,
            title=name,
            crumbs=(Crumb("Syncs", "/syncs"), Crumb(name)),
            faces=Faces(f"/syncs/{name}", f"headrace syncs show {name}", write_yaml({"syncs": {name: document}})),
            name=name,
            sentence=_sentence(config),
            when=_when(config),
            sync=config,
            standing=standing_of(last),
            bars=tuple(bars),
            runs=runs,
            sums=tuple(app.insights.sums(PERIODS["month"], [name])),
            stages=app.insights.stages([one.run_id for one in bars[-12:]]),
            live=last is not None and not last.status.is_end,
        )
        return pages.render(context)

    @router.post("/syncs/{name}/run")
    def run(request: Request, name: str, back: Annotated[str, Form()] = "") -> Response:
        try:
            started = app.runs.trigger(name)
        except UserError as error:
            if error.code != "sync_busy":
                raise
            return pages.go(own_address(back, "/syncs"), error.message, "amber")
        return pages.go(f"/runs/{started.id}")

    @router.get("/syncs/{name}/resync")
    def ask_resync(request: Request, name: str) -> Response:
        return _ask(request, name, "resync")

    @router.get("/syncs/{name}/reset")
    def ask_reset(request: Request, name: str) -> Response:
        return _ask(request, name, "reset")

    @router.post("/syncs/{name}/resync")
    def resync(request: Request, name: str, confirm: Annotated[str, Form()] = "") -> Response:
        return _act(request, name, "resync", confirm)

    @router.post("/syncs/{name}/reset")
    def reset(request: Request, name: str, confirm: Annotated[str, Form()] = "") -> Response:
        return _act(request, name, "reset", confirm)

    def _act(request: Request, name: str, deed: Deed, confirm: str) -> Response:
        if confirm != name:
            return _ask(request, name, deed, f"Type the sync's name, {name}, to go on.", 400)
        options = RunOptions(full_resync=deed == "resync", reset_cdc=deed == "reset")
        try:
            started = app.runs.trigger(name, options)
        except UserError as error:
            if error.code != "sync_busy":
                raise
            return _ask(request, name, deed, error.message, 409)
        return pages.go(f"/runs/{started.id}")

    def _ask(request: Request, name: str, deed: Deed, wrong: str | None = None, status: int = 200) -> Response:
        title, explained, button = _DEEDS[deed]
        config: SyncConfig = app.catalog.get("sync", name)
        options = RunOptions(full_resync=deed == "resync", reset_cdc=deed == "reset")
        consequence = app.runs.consequence(name, options).removeprefix(f"{name}: ")
        option = "--full-resync" if deed == "resync" else "--reset-cdc"
        context = SyncDeedPage(
            frame=pages.frame(request, "syncs"),
            title=title,
            crumbs=(Crumb("Syncs", "/syncs"), Crumb(name, f"/syncs/{name}"), Crumb(title)),
            faces=Faces(f"/syncs/{name}", f"headrace run {name} {option}"),
            name=name,
            deed=deed,
            consequence=consequence[:1].upper() + consequence[1:],
            explained=explained,
            button=button,
            last_run=app.history.latest().get(sync_id(name, config)),
            wrong=wrong,
        )
        return pages.render(context, status)

    return router


def _choices(documents: Mapping[str, dict[str, Any]], key: str) -> list[tuple[str, str]]:
    return [(one, one) for one in sorted({str(document[key]) for document in documents.values()})]


def _kept(documents: Mapping[str, dict[str, Any]], standings: Mapping[str, Standing], frame: Frame) -> list[str]:
    """The names that the filters let through, in their order."""
    asked, state = frame.query.get("q", "").casefold(), frame.query.get("state", "")
    return [
        name
        for name, document in documents.items()
        if asked in name.casefold()
        and state in ("", standings[name].health)
        and all(frame.query.get(key, "") in ("", document[key]) for key in ("destination", "model"))
    ]


def _page_of(names: list[str], frame: Frame) -> tuple[list[str], str | None]:
    """One page of the list, and the cursor of the next. Raises UserError `cursor_invalid`."""
    place = parse_cursor(frame.query.get("cursor"), 1)
    first = place[0] if place else 0
    more = first + AT_ONCE
    return names[first:more], str(more) if len(names) > more else None


def _line(
    name: str, document: Mapping[str, Any], standing: Standing, latest: Mapping[str, Run], bars: list[Bar]
) -> SyncLine:
    what = " ".join(str(one) for one in (document.get("mode"), document.get("object") or document["type"]) if one)
    return SyncLine(
        name=name,
        model=document["model"],
        destination=document["destination"],
        what=what.replace("_", " "),
        when=_when_of(document.get("schedule")),
        standing=standing,
        last_run=latest.get(document.get("id") or name),
        bars=tuple(bars),
    )


def _when_of(schedule: Any) -> str:
    """When a sync runs by itself, from its document."""
    if not schedule:
        return "manual"
    return f"every {schedule['every']}" if "every" in schedule else f"cron {schedule['cron']}"


def _when(config: SyncConfig) -> str:
    match config.schedule:
        case Every(every=span):
            return f"every {shown.every(span)}"
        case Cron(cron=cron, timezone=zone):
            return f"at {cron} in {zone}"
        case _:
            return "when it is asked to"


def _sentence(config: SyncConfig) -> str:
    """What the sync does, as one would say it."""
    what = (config.object or config.type).replace("_", " ")
    mode = f"{config.mode} " if config.mode else "send "
    match = f", matched by {config.match.column} = {config.match.field}" if config.match else ""
    removed = {"ignore": "left alone", "clear": "cleared", "delete": "deleted"}[config.removed]
    return (
        f"When rows of {config.model} change, {mode}{what} in {config.destination}{match}; removed rows are {removed}."
    )

"""The overviews of destinations, sources and models: one table each, whose rows say what there is and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace.destinations import destination_kind
from headrace.service.documents import SECTION
from headrace.service.files import write_yaml
from headrace.service.insights import PERIODS
from headrace.store.catalog import Kind
from headrace.store.runs import Run
from headrace.web.pages.frame import Context, Crumb, Faces, Filter, Pager
from headrace.web.pages.render import Pages
from headrace.web.pages.states import HEALTH_WORDS, Standing, standing_of, worst_of


@dataclass(frozen=True, slots=True)
class DestinationLine:
    """One destination. `delivered` is rows in each of the last 24 hours."""

    name: str
    type: str
    type_title: str
    standing: Standing
    syncs: int
    unwell: int
    last_run: Run | None
    delivered: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationsPage(Context):
    """All destinations."""

    template: ClassVar[str] = "destinations.html"

    lines: Annotated[tuple[DestinationLine, ...], "The destinations that the filters let through."]
    any: Annotated[bool, "Whether there is a destination at all."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    pager: Annotated[Pager, "How many are shown."]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One source, and who reads it."""

    name: str
    type: str
    where: str
    models: tuple[str, ...]
    syncs: int
    last_run: Run | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesPage(Context):
    """All sources."""

    template: ClassVar[str] = "sources.html"

    lines: Annotated[tuple[SourceLine, ...], "The sources that the search lets through."]
    any: Annotated[bool, "Whether there is a source at all."]
    pager: Annotated[Pager, "How many are shown."]


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model, and which syncs deliver it. `rows` are as of the last run of one of them."""

    name: str
    source: str
    kind: str
    text: str
    key: str
    syncs: tuple[str, ...]
    rows: int | None
    rows_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsPage(Context):
    """All models."""

    template: ClassVar[str] = "models.html"

    lines: Annotated[tuple[ModelLine, ...], "The models that the filters let through."]
    any: Annotated[bool, "Whether there is a model at all."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    pager: Annotated[Pager, "How many are shown."]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/destinations")
    def destinations(request: Request) -> Response:
        frame = pages.frame(request, "destinations")
        documents = app.catalog.documents("destination")
        lines = _destination_lines(documents, app.catalog.documents("sync"), pages)
        asked, state, kind = (frame.query.get(name, "") for name in ("q", "state", "type"))
        kept = tuple(
            one
            for one in lines
            if asked.casefold() in one.name.casefold() and state in ("", one.standing.health) and kind in ("", one.type)
        )
        types = {one.type: one.type_title for one in lines}
        filters = (
            Filter.of("state", "State", frame.query, HEALTH_WORDS.items()),
            Filter.of("type", "Type", frame.query, types.items()),
        )
        context = DestinationsPage(
            frame=frame,
            title="Destinations",
            crumbs=(Crumb("Destinations"),),
            faces=Faces("/destinations", "headrace destinations", _yaml("destination", documents)),
            lines=kept,
            any=bool(lines),
            filters=filters,
            pager=Pager(len(kept), "destination", total=len(lines)),
        )
        return pages.render(context)

    @router.get("/sources")
    def sources(request: Request) -> Response:
        frame = pages.frame(request, "sources")
        documents = app.catalog.documents("source")
        models, syncs = app.catalog.documents("model"), app.catalog.documents("sync")
        latest = app.history.latest()
        asked = frame.query.get("q", "").casefold()
        lines = []
        for name, document in documents.items():
            if asked not in name.casefold():
                continue
            own = tuple(one for one, model in models.items() if model.get("source") == name)
            using = {one: sync for one, sync in syncs.items() if sync.get("model") in own}
            last = _last_run(using, latest)
            lines.append(SourceLine(name, str(document["type"]), _where(document), own, len(using), last))
        context = SourcesPage(
            frame=frame,
            title="Sources",
            crumbs=(Crumb("Sources"),),
            faces=Faces("/sources", "headrace sources", _yaml("source", documents)),
            lines=tuple(lines),
            any=bool(documents),
            pager=Pager(len(lines), "source", total=len(documents)),
        )
        return pages.render(context)

    @router.get("/models")
    def models(request: Request) -> Response:
        frame = pages.frame(request, "models")
        documents = app.catalog.documents("model")
        lines = _model_lines(documents, app.catalog.documents("sync"), app.history.latest())
        asked, source = frame.query.get("q", "").casefold(), frame.query.get("source", "")
        kept = tuple(one for one in lines if asked in one.name.casefold() and source in ("", one.source))
        names = sorted({one.source for one in lines})
        context = ModelsPage(
            frame=frame,
            title="Models",
            crumbs=(Crumb("Models"),),
            faces=Faces("/models", "headrace models", _yaml("model", documents)),
            lines=kept,
            any=bool(lines),
            filters=(Filter.of("source", "Source", frame.query, ((one, one) for one in names)),),
            pager=Pager(len(kept), "model", total=len(lines)),
        )
        return pages.render(context)

    return router


def _destination_lines(
    documents: Mapping[str, dict[str, Any]], syncs: Mapping[str, dict[str, Any]], pages: Pages
) -> list[DestinationLine]:
    latest = pages.app.history.latest()
    delivered = pages.app.insights.delivered_by_sync(PERIODS["day"])
    lines = []
    for name, document in documents.items():
        own = {one: sync for one, sync in syncs.items() if sync.get("destination") == name}
        standings = [standing_of(latest.get(sync.get("id") or one)) for one, sync in own.items()]
        hours = [delivered[one] for one in own if one in delivered]
        lines.append(
            DestinationLine(
                name=name,
                type=str(document["type"]),
                type_title=destination_kind(str(document["type"])).SPEC.title,
                standing=worst_of(standings),
                syncs=len(own),
                unwell=sum(one.health in ("attention", "stopped") for one in standings),
                last_run=_last_run(own, latest),
                delivered=tuple(map(sum, zip(*hours, strict=True))) if hours else (0,) * PERIODS["day"].slots,
            )
        )
    return lines


def _model_lines(
    documents: Mapping[str, dict[str, Any]], syncs: Mapping[str, dict[str, Any]], latest: Mapping[str, Run]
) -> list[ModelLine]:
    lines = []
    for name, document in documents.items():
        own = {one: sync for one, sync in syncs.items() if sync.get("model") == name}
        last = _last_run(own, latest)
        key = document["primary_key"]
        kind = "table" if document.get("table") else "SQL file" if document.get("sql_file") else "SQL"
        lines.append(
            ModelLine(
                name=name,
                source=document["source"],
                kind=kind,
                text=" ".join(str(document.get("table") or document.get("sql") or "").split())[:200],
                key=key if isinstance(key, str) else ", ".join(key),
                syncs=tuple(own),
                rows=last.counts.rows if last is not None and last.status.is_end else None,
                rows_at=last.ended_at if last is not None else None,
            )
        )
    return lines


def _last_run(syncs: Mapping[str, dict[str, Any]], latest: Mapping[str, Run]) -> Run | None:
    """The newest of the last runs of these syncs."""
    found = [latest[identity] for name, sync in syncs.items() if (identity := sync.get("id") or name) in latest]
    return max(found, key=lambda one: one.id, default=None)


def _where(source: Mapping[str, Any]) -> str:
    """Where a source is, without anything secret."""
    if path := source.get("path"):
        return str(path)
    if source.get("host"):
        return f"{source['host']}:{source.get('port', 5432)}/{source.get('database', '')}"
    reference = source.get("url")
    return f"URL in {next(iter(reference.values()))}" if isinstance(reference, dict) and reference else ""


def _yaml(kind: Kind, documents: Mapping[str, dict[str, Any]]) -> str | None:
    return write_yaml({SECTION[kind]: dict(documents)}) if documents else None

"""The list of runs, and one run: where its rows are, what was rejected and why, what was held, what happened when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import orjson
from fastapi import APIRouter, Form, Request
from starlette.responses import Response, StreamingResponse

from headrace.domain.errors import UserError
from headrace.domain.outcome import RowOutcome, RunStatus
from headrace.service.answers import ROW_COLUMNS, row_document, unformulated
from headrace.service.insights import StageTime
from headrace.store.events import Told
from headrace.store.insights import Bar
from headrace.store.outcomes import OutcomeCount, OutcomeFilter
from headrace.store.runs import Run
from headrace.web.pages import shown
from headrace.web.pages.frame import Context, Crumb, Faces, Filter, Pager, Tab
from headrace.web.pages.render import Pages

POLL_S = 2
"""So often a page of a live run asks, where no stream tells it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage(Context):
    """All runs, newest first."""

    template: ClassVar[str] = "runs.html"

    runs: Annotated[tuple[Run, ...], "The runs of this page of the list."]
    tabs: Annotated[tuple[Tab, ...], "The views of what ran."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    pager: Annotated[Pager, "How many are shown, and where the list goes on."]
    live: Annotated[bool, "Whether one of them is under way."]


@dataclass(frozen=True, slots=True)
class Station:
    """One place of the river. `now` says that rows are moving there, `share` is how far it is, of 1."""

    label: str
    value: int | None
    note: str = ""
    now: bool = False
    share: float | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """One fact of the timeline. `after_s` counts from the start."""

    after_s: float
    told: Told
    sentence: str
    tone: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage(Context):
    """One run, live or ended: the same page."""

    template: ClassVar[str] = "run.html"

    run: Annotated[Run, "The run."]
    sentence: Annotated[str, "What it did, as one would say it."]
    live: Annotated[int | None, "Seconds between two looks while it goes on; None once it has ended."]
    stations: Annotated[tuple[Station, ...], "Where its rows are."]
    elapsed: Annotated[float | None, "Seconds since it started, or that it took."]
    rate: Annotated[float | None, "Rows a second that came to an end; None where it says nothing."]
    left_s: Annotated[float | None, "Seconds that are left, where that can be told honestly."]
    waiting_s: Annotated[float, "Seconds that the rate limit makes it wait just now."]
    groups: Annotated[tuple[OutcomeCount, ...], "Rows that did not arrive, by outcome and reason, most first."]
    tabs: Annotated[tuple[Tab, ...], "Its rows by outcome."]
    moments: Annotated[tuple[Moment, ...], "What happened, in order."]
    stages: Annotated[tuple[StageTime, ...], "How long it was at each stage."]
    bars: Annotated[tuple[Bar, ...], "The last runs of the same sync, oldest first."]
    calls: Annotated[int, "How many requests it made."]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/runs")
    def runs(request: Request) -> Response:
        frame = pages.frame(request, "runs")
        sync, status = frame.query.get("sync") or None, frame.query.get("status") or None
        page = app.insights.runs(sync, _status(status), frame.query.get("cursor"))
        filters = (
            Filter.of("status", "Status", frame.query, ((str(one), shown.title(one)) for one in RunStatus)),
            Filter.of("sync", "Sync", frame.query, ((one, one) for one in app.catalog.names("sync"))),
        )
        narrowed = "".join(f" --{name} {value}" for name, value in (("sync", sync), ("status", status)) if value)
        context = RunsPage(
            frame=frame,
            title="Runs",
            crumbs=(Crumb("Runs"),),
            faces=Faces("/runs" + frame.here().removeprefix("/runs"), f"headrace runs{narrowed}"),
            runs=page.items,
            tabs=tabs("runs"),
            filters=filters,
            pager=Pager(len(page.items), "run", page.cursor),
            live=any(not one.status.is_end for one in page.items),
        )
        return pages.render(context)

    @router.get("/runs/{run_id}")
    def run(request: Request, run_id: int) -> Response:
        frame = pages.frame(request, "runs")
        followed = app.runs.follow(run_id)
        found = followed.run
        groups = app.history.groups(run_id) if found.status.is_end or _faulty(found) else []
        elapsed = found.seconds
        if elapsed is None and found.started_at is not None:
            elapsed = (frame.now - found.started_at).total_seconds()
        ended = _ended_rows(found)
        rate = ended / elapsed if elapsed and ended and elapsed >= 1 else None
        to_send = int((found.progress or {}).get("to_send") or 0)
        is_live = not found.status.is_end
        context = RunPage(
            frame=frame,
            title=f"Run {run_id}",
            crumbs=(Crumb("Runs", "/runs"), Crumb(found.sync, f"/syncs/{found.sync}"), Crumb(f"Run {run_id}")),
            faces=Faces(f"/runs/{run_id}", f"headrace runs show {run_id}"),
            run=found,
            sentence=_sentence(found),
            live=POLL_S if is_live else None,
            stations=_stations(found, followed.facts, to_send),
            elapsed=elapsed,
            rate=rate,
            left_s=(to_send - ended) / rate if is_live and rate and to_send > ended > 100 else None,
            waiting_s=float((found.progress or {}).get("waiting_s") or 0) if is_live else 0.0,
            groups=tuple(one for one in groups if one.outcome is not RowOutcome.DELIVERED),
            tabs=_row_tabs(found),
            moments=tuple(_moments(found, followed.facts)),
            stages=tuple(app.insights.stages([run_id])[run_id]),
            bars=tuple(app.insights.bars([found.sync])[found.sync]),
            calls=found.counts.requests,
        )
        return pages.render(context)

    @router.post("/runs/{run_id}/cancel")
    def cancel(run_id: int) -> Response:
        try:
            app.runs.cancel(run_id)
        except UserError as error:
            return _refused(pages, run_id, error)
        return pages.go(f"/runs/{run_id}", "It stops sending within 5 s. What was acknowledged is kept.", "amber")

    @router.post("/runs/{run_id}/retry")
    def retry(run_id: int) -> Response:
        try:
            started = app.runs.retry(run_id)
        except UserError as error:
            return _refused(pages, run_id, error)
        return pages.go(f"/runs/{started.id}")

    @router.post("/runs/{run_id}/release")
    def release(run_id: int, confirm: Annotated[str, Form()] = "") -> Response:
        if confirm != (name := app.history.run(run_id).sync):
            return pages.go(
                f"/runs/{run_id}", f"Nothing was released: type the sync's name, {name}, to go on.", "amber"
            )
        try:
            started = app.runs.approve(run_id, queue=True)
        except UserError as error:
            return _refused(pages, run_id, error)
        return pages.go(f"/runs/{started.id}")

    @router.post("/runs/{run_id}/discard")
    def discard(run_id: int) -> Response:
        try:
            app.runs.discard(run_id)
        except UserError as error:
            return _refused(pages, run_id, error)
        return pages.go(f"/runs/{run_id}", "Discarded: nothing of it is sent.", "grey")

    @router.get("/runs/{run_id}/rows.csv")
    def rows_csv(request: Request, run_id: int, outcome: RowOutcome | None = None, code: str | None = None) -> Response:
        wanted = OutcomeFilter(run=run_id, outcome=outcome, code=code)
        app.history.run(run_id)
        return _download(_csv_lines(app.history.rows(wanted)), "text/csv", f"run-{run_id}-rows.csv")

    @router.get("/runs/{run_id}/rows.jsonl")
    def rows_json(
        request: Request, run_id: int, outcome: RowOutcome | None = None, code: str | None = None
    ) -> Response:
        wanted = OutcomeFilter(run=run_id, outcome=outcome, code=code)
        app.history.run(run_id)
        lines = (orjson.dumps(row_document(one)).decode() + "\n" for one in app.history.rows(wanted))
        return _download(lines, "application/jsonl", f"run-{run_id}-rows.jsonl")

    return router


def tabs(current: str) -> tuple[Tab, ...]:
    """The views of what ran: runs, calls, activity."""
    views = (("runs", "Runs", "/runs"), ("calls", "API calls", "/calls"), ("activity", "Activity", "/activity"))
    return tuple(Tab(words, href, name == current) for name, words, href in views)


def _status(text: str | None) -> RunStatus | None:
    """Raises UserError `filter_invalid` for a word that is no status."""
    try:
        return RunStatus(text) if text else None
    except ValueError as error:
        message = f'"{text}" is no status of a run. There are: {", ".join(RunStatus)}.'
        raise UserError(message, code="filter_invalid") from error


def _refused(pages: Pages, run_id: int, error: UserError) -> Response:
    """Back to the run, with what stood in the way; what is not of the moment stays an error."""
    if error.code not in ("run_ended", "run_not_held", "approval_expired", "sync_busy"):
        raise error
    return pages.go(f"/runs/{run_id}", error.message, "amber")


def _faulty(run: Run) -> int:
    return run.counts.rejected + run.counts.invalid


def _ended_rows(run: Run) -> int:
    counts = run.counts
    return counts.delivered + counts.skipped + counts.invalid + counts.rejected + counts.owed


def _sentence(run: Run) -> str:
    """What the run did."""
    counts = run.counts
    match run.status:
        case RunStatus.QUEUED:
            return f"{run.sync} waits for its turn."
        case RunStatus.RUNNING:
            return f"{run.sync} is being delivered."
        case RunStatus.HELD:
            return f"{run.sync} was held before anything was sent."
    changes = counts.added + counts.changed + counts.removed
    parts = [f"{shown.plural(counts.rows, 'row')} read", f"{shown.number(changes)} changed"]
    parts.append(f"{shown.number(counts.delivered)} delivered")
    if faulty := _faulty(run):
        parts.append(f"{shown.number(faulty)} rejected or invalid")
    if counts.owed:
        parts.append(f"{shown.number(counts.owed)} planned again on the next run")
    return f"{run.sync}: {', '.join(parts)}."


def _stations(run: Run, facts: tuple[Told, ...], to_send: int) -> tuple[Station, ...]:
    """Read, changed, sent, delivered, rejected; the one at work is marked while the run goes on."""
    counts = run.counts
    stage = next((one.document["stage"] for one in reversed(facts) if one.kind == "stage"), None)
    stage = stage if run.status is RunStatus.RUNNING else None
    planned = next((one.document for one in reversed(facts) if one.kind == "planned"), {})
    to_send = to_send or int(planned.get("to_send") or 0)
    ended = _ended_rows(run)
    changes = f"{counts.added:,} added · {counts.changed:,} changed · {counts.removed:,} removed"
    moved = counts.added + counts.changed + counts.removed
    set_aside = [(counts.rejected, "rejected"), (counts.invalid, "invalid")]
    not_sent = [(counts.skipped, "skipped"), (counts.owed, "owed")]
    return (
        Station("Read", counts.rows, f"{counts.unchanged:,} unchanged", now=stage in ("fold", "read")),
        Station("Changed", moved, changes),
        Station(
            "To send",
            to_send or moved,
            f"{shown.plural(counts.requests, 'request')}",
            now=stage == "send",
            share=min(1.0, ended / to_send) if to_send else None,
        ),
        Station("Delivered", counts.delivered, _told(not_sent), tone="green" if counts.delivered else ""),
        Station("Rejected", _faulty(run), _told(set_aside), tone="red" if _faulty(run) else ""),
    )


def _told(parts: list[tuple[int, str]]) -> str:
    return " · ".join(f"{count:,} {word}" for count, word in parts if count)


def _row_tabs(run: Run) -> tuple[Tab, ...]:
    """Its rows by outcome; what went wrong stands first where there is some."""
    counts = run.counts
    found = [
        ("Rejected", "rejected", counts.rejected, "red"),
        ("Invalid", "invalid", counts.invalid, "amber"),
        ("Owed", "owed", counts.owed, "blue"),
        ("Skipped", "skipped", counts.skipped, "grey"),
        ("Delivered", "delivered", counts.delivered, "grey"),
    ]
    return tuple(
        Tab(title, f"/runs/{run.id}/rows?outcome={word}", tally=tally, tone=tone) for title, word, tally, tone in found
    )


def _moments(run: Run, facts: tuple[Told, ...]) -> Iterator[Moment]:
    begun = facts[0].at if facts else run.created_at
    for told in facts:
        after = (told.at - begun).total_seconds()
        sentence, tone = _of(told)
        yield Moment(after, told, sentence, tone, tuple(told.document.get("notes") or ()))


_STAGES = {
    "fold": "Folds what an earlier run left",
    "read": "Reads the model and compares it with what was acknowledged",
    "send": "Sends",
}


def _of(told: Told) -> tuple[str, str]:
    """A fact as a sentence, and its colour."""
    document: dict[str, Any] = told.document
    match told.kind:
        case "started":
            return "Started", "blue"
        case "stage":
            return _STAGES.get(document["stage"], str(document["stage"])), "grey"
        case "planned":
            counts = ", ".join(f"{document[name]:,} {name}" for name in ("added", "changed", "removed", "unchanged"))
            return f"Planned: {counts}; {document['to_send']:,} to send", "grey"
        case "held":
            return f"Held: {document['message']}", "amber"
        case "finished":
            face = shown.face(document["status"])
            why = f": {document['message']}" if document.get("message") else ""
            return f"{shown.title(document['status'])}{why}", face.colour
        case other:
            return shown.title(other), "grey"


def _csv_lines(rows: Any) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(ROW_COLUMNS)
    for one in rows:
        document = row_document(one)
        writer.writerow([unformulated(document[name]) for name in ROW_COLUMNS])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    if line.tell():
        yield line.getvalue()


def _download(lines: Iterator[str], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type=media_type, headers=headers)

"""Rows of a run by outcome and reason, and one row: old and new values, its calls, what it came to before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from headrace.domain.errors import NotFound, UserError
from headrace.domain.outcome import RowOutcome
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.outcomes import LoggedOutcome, OutcomeCount, OutcomeFilter
from headrace.store.runs import Run
from headrace.web.pages import shown
from headrace.web.pages.frame import Context, Crumb, Faces, Filter, Pager
from headrace.web.pages.render import Pages

EARLIER = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPage(Context):
    """Rows of one run."""

    template: ClassVar[str] = "rows.html"

    run: Annotated[Run, "Whose rows these are."]
    rows: Annotated[tuple[LoggedOutcome, ...], "The rows of this page of the list."]
    groups: Annotated[tuple[OutcomeCount, ...], "All rows of the run by outcome and reason, most first."]
    chosen: Annotated[OutcomeCount | None, "The group that the filters name, where they name one."]
    filters: Annotated[tuple[Filter, ...], "Choices of the filter bar."]
    pager: Annotated[Pager, "How many are shown, and where the list goes on."]


@dataclass(frozen=True, slots=True)
class Difference:
    """A value of two requests. `old` is what was last delivered, `new` what was sent; None where it was not in it."""

    path: str
    old: str | None
    new: str | None

    @property
    def differs(self) -> bool:
        return self.new is not None and self.old != self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage(Context):
    """One row of one run."""

    template: ClassVar[str] = "row.html"

    run: Annotated[Run, "The run."]
    row: Annotated[LoggedOutcome, "What became of the row."]
    calls: Annotated[tuple[LoggedCall, ...], "Its calls in this run, in the order they were made."]
    before: Annotated[LoggedCall | None, "The call that last delivered it before."]
    differences: Annotated[tuple[Difference, ...], "What was sent, beside what was last delivered; changed ones first."]
    earlier: Annotated[tuple[LoggedOutcome, ...], "What became of rows of this key in other runs, newest first."]


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    app = pages.app

    @router.get("/runs/{run_id}/rows")
    def rows(request: Request, run_id: int) -> Response:
        frame = pages.frame(request, "runs")
        run = app.history.run(run_id)
        outcome, code, key = (frame.query.get(name) or None for name in ("outcome", "code", "key"))
        wanted = OutcomeFilter(run=run_id, outcome=_outcome(outcome), code=code, key=key)
        page = app.insights.rows(wanted, frame.query.get("cursor"))
        groups = app.history.groups(run_id)
        codes = sorted({one.code for one in groups if one.code and outcome in (None, one.outcome)})
        filters = (
            Filter.of("outcome", "Outcome", frame.query, ((str(one), shown.title(one)) for one in RowOutcome)),
            Filter.of("code", "Reason", frame.query, ((one, one) for one in codes)),
        )
        options = "".join(
            f" --{name} {value}" for name, value in (("outcome", outcome), ("code", code)) if value is not None
        )
        named = [one for one in groups if outcome == one.outcome and code == one.code]
        context = RowsPage(
            frame=frame,
            title=f"Rows of run {run_id}",
            crumbs=(Crumb("Runs", "/runs"), Crumb(f"Run {run_id}", f"/runs/{run_id}"), Crumb("Rows")),
            faces=Faces(frame.here(), f"headrace rows {run_id}{options}"),
            run=run,
            rows=page.items,
            groups=tuple(groups),
            chosen=named[0] if code is not None and named else None,
            filters=filters,
            pager=Pager(len(page.items), "row", page.cursor),
        )
        return pages.render(context)

    @router.get("/runs/{run_id}/row")
    def row(request: Request, run_id: int, key: str) -> Response:
        frame = pages.frame(request, "runs")
        run = app.history.run(run_id)
        found = next(iter(app.insights.rows(OutcomeFilter(run=run_id, key=key), limit=1).items), None)
        if found is None:
            raise NotFound("row", key)
        calls = tuple(reversed(app.insights.calls(CallFilter(run=run_id, key=key)).items))
        before = app.insights.delivered_before(found, run.sync)
        earlier = app.insights.rows(OutcomeFilter(key=key), limit=EARLIER + 1, order="newest").items
        context = RowPage(
            frame=frame,
            title=key,
            crumbs=(Crumb("Runs", "/runs"), Crumb(f"Run {run_id}", f"/runs/{run_id}"), Crumb("Row")),
            faces=Faces(f"/runs/{run_id}/rows?key={key}", f"headrace calls --run {run_id} --key {key}"),
            run=run,
            row=found,
            calls=calls,
            before=before,
            differences=_differences(found, calls, before),
            earlier=tuple(one for one in earlier if one.sequence != found.sequence)[:EARLIER],
        )
        return pages.render(context)

    return router


def _outcome(text: str | None) -> RowOutcome | None:
    """Raises UserError `filter_invalid` for a word that is no outcome."""
    try:
        return RowOutcome(text) if text else None
    except ValueError as error:
        message = f'"{text}" is no outcome of a row. There are: {", ".join(RowOutcome)}.'
        raise UserError(message, code="filter_invalid") from error


def _differences(
    row: LoggedOutcome, calls: tuple[LoggedCall, ...], before: LoggedCall | None
) -> tuple[Difference, ...]:
    """Of two requests that each carried this row alone: in a batch a row's part can't be told from the others'."""
    sent = next((one for one in calls if one.call.number == row.record.call), None)
    if sent is None or len(sent.call.keys) != 1:
        return ()
    new = shown.flat(sent.call.request_body)
    old = shown.flat(before.call.request_body) if before is not None and len(before.call.keys) == 1 else {}
    paths = [*new, *(one for one in old if one not in new)]
    found = [Difference(path, old.get(path), new.get(path)) for path in paths]
    return tuple(sorted(found, key=lambda one: (not one.differs, one.new is None)))

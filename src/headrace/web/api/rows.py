"""What became of rows, and every API call: lists with filters, exports that stream, a call as curl."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from headrace.app import App
from headrace.domain.outcome import RowOutcome, VerdictWord
from headrace.service.answers import ROW_COLUMNS, call_document, row_document, unformulated
from headrace.store.calls import CallFilter
from headrace.store.outcomes import LoggedOutcome, OutcomeFilter
from headrace.web.api.operations import Cursor, Limit, RunId, answer, operation, page
from headrace.web.api.shapes import CallShape, CurlShape, Page, RowShape

AT_ONCE = 500
Outcome = Annotated[RowOutcome | None, Query(description="Only with that outcome.")]
Code = Annotated[str | None, Query(description="Only with that code.", max_length=200)]
Key = Annotated[str | None, Query(description="Only the row with that primary key.", max_length=10_000)]
OfRun = Annotated[int | None, Query(description="Only of that run.", ge=1, le=2**31 - 1)]
Status = Annotated[str | None, Query(description="404, a class such as 4xx, or none: no answer came.", max_length=20)]
Words = Annotated[str | None, Query(description="Only with these words in address, reason or bodies.", max_length=500)]
Number = Annotated[int, Path(description="Number of the call within the run.", ge=1, le=2**31 - 1)]
CSV = {"text/csv": {"schema": {"type": "string"}}}
JSON_LINES = {"application/jsonl": {"schema": {"type": "string"}}}


def router(app: App) -> APIRouter:
    routes = APIRouter(tags=["rows", "calls"])

    @operation(routes, "GET", "/runs/{run_id}/rows", verb="history.row_page", answer=Page[RowShape])
    def list_rows_of_run(
        run_id: RunId,
        outcome: Outcome = None,
        code: Code = None,
        key: Key = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """List what became of a run's rows.

        In the order of the log. A run records the rows that had work to do.
        """
        app.history.run(run_id)
        found = app.history.row_page(OutcomeFilter(run_id, outcome, code, key), limit, cursor)
        return answer(page([row_document(one) for one in found.items], found.cursor))

    @operation(routes, "GET", "/rows", verb="history.row_page", answer=Page[RowShape])
    def list_rows(
        key: Annotated[str, Query(description="Primary key of the row.", max_length=10_000)],
        outcome: Outcome = None,
        code: Code = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """List what became of one row, over all runs."""
        found = app.history.row_page(OutcomeFilter(None, outcome, code, key), limit, cursor)
        return answer(page([row_document(one) for one in found.items], found.cursor))

    @operation(routes, "GET", "/runs/{run_id}/rows.csv", verb="history.rows", media=CSV)
    def export_rows_as_csv(run_id: RunId, outcome: Outcome = None, code: Code = None) -> Response:
        """Export a run's rows as CSV.

        A value that a spreadsheet would take for a formula gets an apostrophe before it; `rows.jsonl` has it as it is.
        """
        app.history.run(run_id)
        rows = app.history.rows(OutcomeFilter(run_id, outcome, code))
        return _download(_csv_of(rows), "text/csv; charset=utf-8", f"run-{run_id}-rows.csv")

    @operation(routes, "GET", "/runs/{run_id}/rows.jsonl", verb="history.rows", media=JSON_LINES)
    def export_rows_as_json(run_id: RunId, outcome: Outcome = None, code: Code = None) -> Response:
        """Export a run's rows as JSON lines."""
        app.history.run(run_id)
        rows = app.history.rows(OutcomeFilter(run_id, outcome, code))
        return _download(_lines_of(rows, row_document), "application/jsonl", f"run-{run_id}-rows.jsonl")

    @operation(routes, "GET", "/calls", verb="history.call_page", answer=Page[CallShape])
    def list_calls(
        run: OfRun = None,
        sync: Annotated[str | None, Query(description="Only of that sync.")] = None,
        key: Key = None,
        status: Status = None,
        api: Annotated[str | None, Query(description="Only of that API of the destination.", max_length=200)] = None,
        verdict: Annotated[VerdictWord | None, Query(description="Only with that meaning.")] = None,
        text: Words = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """List API calls, newest first.

        Each try is a call of its own. Secrets are masked before anything is kept.
        """
        wanted = CallFilter(run, key, status, api, verdict, sync, text)
        found = app.history.call_page(wanted, limit, cursor)
        return answer(page([call_document(one) for one in found.items], found.cursor))

    @operation(routes, "GET", "/calls.jsonl", verb="history.calls", media=JSON_LINES)
    def export_calls(
        run: OfRun = None,
        sync: Annotated[str | None, Query(description="Only of that sync.")] = None,
        key: Key = None,
        status: Status = None,
        verdict: Annotated[VerdictWord | None, Query(description="Only with that meaning.")] = None,
        text: Words = None,
    ) -> Response:
        """Export API calls as JSON lines, newest first."""
        wanted = CallFilter(run, key, status, None, verdict, sync, text)
        app.history.call_page(wanted, 1)  # a filter that makes no sense is told before the first byte
        return _download(_lines_of(app.history.calls(wanted), call_document), "application/jsonl", "calls.jsonl")

    @operation(routes, "GET", "/calls/{run_id}/{number}", verb="history.call", answer=CallShape)
    def get_call(run_id: RunId, number: Number) -> Response:
        """Show one call."""
        return answer(call_document(app.history.call(run_id, number)))

    @operation(routes, "GET", "/calls/{run_id}/{number}/curl", verb="history.call", answer=CurlShape)
    def get_call_as_curl(run_id: RunId, number: Number) -> Response:
        """Show one call as a curl command.

        A variable of the shell stands for the secret.
        """
        return answer({"command": app.curl.command(app.history.call(run_id, number))})

    return routes


def _download(parts: Iterable[bytes], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, headers=headers, media_type=media_type)


def _in_parts(items: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Some at once: each part costs a switch of threads."""
    rest = iter(items)
    while part := list(islice(rest, AT_ONCE)):
        yield part


def _csv_of(rows: Iterable[LoggedOutcome]) -> Iterator[bytes]:
    yield _csv_lines([("run", *ROW_COLUMNS)])
    for part in _in_parts(rows):
        yield _csv_lines([unformulated(value) for value in row_document(one).values()] for one in part)


def _csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


def _lines_of(items: Iterable[Any], document: Callable[[Any], dict[str, Any]]) -> Iterator[bytes]:
    for part in _in_parts(items):
        yield b"".join(orjson.dumps(document(one), default=str, option=orjson.OPT_APPEND_NEWLINE) for one in part)

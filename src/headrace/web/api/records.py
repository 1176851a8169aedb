"""What runs left: rows and calls, as pages of JSON and as whole files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from fastapi import Path, Query
from starlette.responses import Response, StreamingResponse

from headrace.domain.outcome import RowOutcome, VerdictWord
from headrace.service.answers import ROW_COLUMNS, call_document, group_document, row_document, unformulated
from headrace.store.calls import CallFilter
from headrace.store.outcomes import LoggedOutcome, OutcomeFilter
from headrace.web.api.models import CallList, CallOut, GroupList, RowList
from headrace.web.api.routes import Cursor, Headrace, Limit, answer, router
from headrace.web.api.runs import RunId

routes = router("rows and calls")
Outcome = Annotated[RowOutcome | None, Query(description="Only rows that ended so.")]
Code = Annotated[str | None, Query(max_length=100, description="Only rows with that code.")]
Key = Annotated[str | None, Query(max_length=1000, description="Only of the row with that primary key.")]
Number = Annotated[int, Path(ge=1, le=2**53, description="Number of the call within its run.")]


@routes.get("/runs/{run_id}/rows", operation_id="list_rows", summary="Rows", responses={200: {"model": RowList}})
def list_rows(
    app: Headrace,
    run_id: RunId,
    outcome: Outcome = None,
    code: Code = None,
    key: Key = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    app.history.run(run_id)
    page = app.history.row_page(OutcomeFilter(run_id, outcome, code, key), limit, cursor)
    return answer({"items": [row_document(one) for one in page.items], "cursor": page.cursor})


@routes.get(
    "/runs/{run_id}/groups",
    operation_id="group_rows",
    summary="How rows ended: by outcome and code, most first, with an example of each",
    responses={200: {"model": GroupList}},
)
def group_rows(app: Headrace, run_id: RunId, outcome: Outcome = None, code: Code = None) -> Response:
    app.history.run(run_id)
    return answer({"items": [group_document(one) for one in app.history.groups(run_id, outcome, code)]})


@routes.get(
    "/runs/{run_id}/rows.csv",
    operation_id="download_rows_csv",
    summary="All rows as CSV; no cell is a formula to a spreadsheet",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def rows_as_csv(
    app: Headrace, run_id: RunId, outcome: Outcome = None, code: Code = None, key: Key = None
) -> StreamingResponse:
    app.history.run(run_id)
    found = app.history.rows(OutcomeFilter(run_id, outcome, code, key))
    return _file(_csv(found), "text/csv; charset=utf-8", f"run-{run_id}-rows.csv")


@routes.get(
    "/runs/{run_id}/rows.jsonl",
    operation_id="download_rows_jsonl",
    summary="All rows, one JSON object a line",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def rows_as_jsonl(
    app: Headrace, run_id: RunId, outcome: Outcome = None, code: Code = None, key: Key = None
) -> StreamingResponse:
    app.history.run(run_id)
    found = app.history.rows(OutcomeFilter(run_id, outcome, code, key))
    lines = (orjson.dumps(row_document(one)) + b"\n" for one in found)
    return _file(lines, "application/x-ndjson", f"run-{run_id}-rows.jsonl")


@routes.get("/calls", operation_id="list_calls", summary="Calls, newest first", responses={200: {"model": CallList}})
def list_calls(
    app: Headrace,
    run: Annotated[int | None, Query(ge=1, le=2**53, description="Only of that run.")] = None,
    key: Key = None,
    status: Annotated[str | None, Query(max_length=4, description="`404`, `4xx`, or `none`: no answer came.")] = None,
    sync: Annotated[str | None, Query(max_length=100, description="Only of that sync.")] = None,
    verdict: Annotated[VerdictWord | None, Query(description="Only calls that meant this.")] = None,
    text: Annotated[str | None, Query(max_length=200, description="In address, reason or bodies.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    wanted = CallFilter(run=run, key=key, status=status, sync=sync, verdict=verdict, text=text)
    page = app.history.call_page(wanted, limit, cursor)
    return answer({"items": [call_document(one) for one in page.items], "cursor": page.cursor})


@routes.get(
    "/runs/{run_id}/calls/{number}",
    operation_id="get_call",
    summary="One call, whole",
    responses={200: {"model": CallOut}},
)
def get_call(app: Headrace, run_id: RunId, number: Number) -> Response:
    return answer(call_document(app.history.call(run_id, number)))


@routes.get(
    "/runs/{run_id}/calls/{number}/curl",
    operation_id="get_call_as_curl",
    summary="The call as a curl command, a variable in the secret's place",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def call_as_curl(app: Headrace, run_id: RunId, number: Number) -> Response:
    command = app.curl.command(app.history.call(run_id, number))
    return Response(command + "\n", media_type="text/plain; charset=utf-8")


def _csv(found: Iterator[LoggedOutcome]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("run", *ROW_COLUMNS))
    for one in found:
        writer.writerow([unformulated(value) for value in row_document(one).values()])
        if text.tell() > 32_000:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _file(content: Iterator[bytes], kind: str, name: str) -> StreamingResponse:
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, headers=headers, media_type=kind)

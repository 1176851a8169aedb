"""Runs: asked for, listed, followed, steered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import orjson
from anyio.to_thread import run_sync
from fastapi import Header, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from headrace.app import App
from headrace.domain.outcome import RunStatus
from headrace.engine.job import RunOptions
from headrace.service.answers import run_document
from headrace.service.runs import Followed
from headrace.web.api.models import RunList, RunOut, Trigger
from headrace.web.api.routes import Cursor, Headrace, Limit, Responses, answer, router

LOOK_EVERY_S = 0.5
KEEP_ALIVE_S = 15.0
routes = router("runs")
RunId = Annotated[int, Path(ge=1, le=2**53, description="Number of the run.")]
_RUN: Responses = {200: {"model": RunOut}}
_QUEUED: Responses = {202: {"model": RunOut, "description": "Queued."}}


@routes.post("/syncs/{name}/runs", operation_id="trigger_run", summary="Run a sync", status_code=202, responses=_QUEUED)
def trigger(
    app: Headrace,
    name: Annotated[str, Path(min_length=1, max_length=100)],
    wanted: Trigger,
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="The same key and request give the same run for 24 hours.")
    ] = None,
) -> Response:
    options = RunOptions(wanted.full_resync, wanted.reset_cdc, tuple(wanted.keys) if wanted.keys else None)
    run = app.runs.trigger(name, options, reason="api", overlap=wanted.overlap, idempotency_key=idempotency_key or None)
    return answer(run_document(run), 202, {"Location": f"/api/v1/runs/{run.id}"})


@routes.get("/runs", operation_id="list_runs", summary="Runs, newest first", responses={200: {"model": RunList}})
def list_runs(
    app: Headrace,
    sync: Annotated[str | None, Query(max_length=100, description="Only of that sync.")] = None,
    status: Annotated[RunStatus | None, Query(description="Only with that status.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    page = app.history.run_page(sync, status, limit, cursor)
    return answer({"items": [run_document(one) for one in page.items], "cursor": page.cursor})


@routes.get("/runs/{run_id}", operation_id="get_run", summary="One run", responses=_RUN)
def get_run(app: Headrace, run_id: RunId) -> Response:
    return answer(run_document(app.history.run(run_id)))


@routes.post("/runs/{run_id}/cancel", operation_id="cancel_run", summary="Stop sending", responses=_RUN)
def cancel(app: Headrace, run_id: RunId) -> Response:
    return answer(run_document(app.runs.cancel(run_id)))


@routes.post(
    "/runs/{run_id}/approve",
    operation_id="approve_run",
    summary="Let a held run's removals happen: queues the run that makes them",
    status_code=202,
    responses=_QUEUED,
)
def approve(app: Headrace, run_id: RunId) -> Response:
    return answer(run_document(app.runs.approve(run_id, queue=True)), 202)


@routes.post("/runs/{run_id}/discard", operation_id="discard_run", summary="Give up a held run", responses=_RUN)
def discard(app: Headrace, run_id: RunId) -> Response:
    return answer(run_document(app.runs.discard(run_id)))


@routes.post(
    "/runs/{run_id}/retry",
    operation_id="retry_run",
    summary="Run its sync again: what was rejected is planned again by itself",
    status_code=202,
    responses=_QUEUED,
)
def retry(app: Headrace, run_id: RunId) -> Response:
    return answer(run_document(app.runs.retry(run_id)), 202)


@routes.get(
    "/runs/{run_id}/events",
    operation_id="follow_run",
    summary="What the run tells, as server-sent events; resumes after Last-Event-ID, ends when the run has ended",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def follow(
    request: Request,
    app: Headrace,
    run_id: RunId,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0
    first = await run_sync(app.runs.follow, run_id, after)  # a run that is not there is told as a problem
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(request, app, run_id, first, after), 200, headers, "text/event-stream")


async def _stream(request: Request, app: App, run_id: int, first: Followed, after: int) -> AsyncIterator[bytes]:
    """Facts with their numbers as ids, progress between them without, a comment where nothing is to be told."""
    followed, shown, silent_s = first, None, 0.0
    while not await request.is_disconnected():
        for fact in followed.facts:
            after = fact.number
            yield _event(fact.kind, fact.document | {"at": fact.at.isoformat()}, fact.number)
        progress = _progress(followed)
        if progress != shown:
            shown, silent_s = progress, 0.0
            yield _event("progress", progress)
        if followed.run.status.is_end:
            yield _event("end", {"status": followed.run.status})
            return
        await anyio.sleep(LOOK_EVERY_S)
        silent_s += LOOK_EVERY_S
        if silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield b": still here\n\n"
        followed = await run_sync(app.runs.follow, run_id, after)


def _progress(followed: Followed) -> dict[str, Any]:
    document = run_document(followed.run)
    numbers = {key: document[key] for key in ("status", "rows", "added", "changed", "removed", "unchanged")}
    numbers |= {key: document[key] for key in ("delivered", "skipped", "invalid", "rejected", "owed", "requests")}
    return numbers | (followed.run.progress or {})


def _event(kind: str, document: dict[str, Any], number: int | None = None) -> bytes:
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {kind}\ndata: {orjson.dumps(document).decode()}\n\n".encode()

"""Server-sent events: what a run tells, and which runs start and end. Read from the store, at the reader's own pace.

Nothing is kept for a slow reader: it is sent what is true when it is ready, and is left when it reads nothing at all.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from headrace.app import App
from headrace.domain.errors import UserError
from headrace.domain.outcome import RunStatus
from headrace.service.answers import full_run_document
from headrace.store.runs import Run
from headrace.web.api.operations import RunId, operation

LOOK_EVERY_S = 0.5
ALIVE_EVERY_S = 15.0
READS_WITHIN_S = 30.0
AT_ONCE = 200
TOLD_AGAIN = 200
MEDIA = {"text/event-stream": {"schema": {"type": "string"}}}
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The last `id` that was seen: what came after it is told.")
]


class Streams:
    """So many readers at once."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = threading.BoundedSemaphore(at_once)

    def enter(self) -> None:
        """Raises UserError `busy`."""
        if not self._free.acquire(blocking=False):
            message = "So many readers follow events that no more are let in. Try again in some seconds."
            raise UserError(message, code="busy", retry_after_s=5)

    def leave(self) -> None:
        self._free.release()


def router(app: App, streams: Streams) -> APIRouter:
    routes = APIRouter(tags=["events"])

    @operation(routes, "GET", "/runs/{run_id}/events", verb="runs.follow", media=MEDIA)
    def follow_run(run_id: RunId, last_event_id: LastEventId = None) -> Response:
        """Follow a run.

        Server-sent events. Facts (`started`, `stage`, `planned`, `held`, `finished`) have an `id` to resume after;
        `progress` tells the numbers between them; the stream ends with the run, after an event `end`.
        """
        after = _number(last_event_id)
        app.runs.follow(run_id, after)  # a run that is not there is told before the stream begins
        streams.enter()
        return _EventStream(_of_run(app, run_id, after), streams.leave)

    @operation(routes, "GET", "/events", verb="history.run_page", media=MEDIA)
    def follow_workspace(last_event_id: LastEventId = None) -> Response:
        """Follow all runs.

        Server-sent events `run`: a run was queued, started, or ended; the document is the run as it is then. After a
        break some are told again, and none is left out.
        """
        since = _number(last_event_id)
        app.history.run_page(limit=1)
        streams.enter()
        return _EventStream(_of_workspace(app, since), streams.leave)

    return routes


def _number(last_event_id: str | None) -> int:
    if last_event_id is None or not last_event_id.strip():
        return 0
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 9:
        message = f'"{last_event_id[:40]}" is no id of an event here. Leave Last-Event-ID out to begin at the start.'
        raise UserError(message, code="request_invalid")
    return int(last_event_id)


def event(kind: str, document: Any, number: int | None = None) -> bytes:
    """One event as it goes over the wire."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {kind}\ndata: ".encode() + orjson.dumps(document, default=str) + b"\n\n"


async def _of_run(app: App, run_id: int, after: int) -> AsyncIterator[bytes]:
    shown: Any = None
    while True:
        found = await run_in_threadpool(app.runs.follow, run_id, after)
        for fact in found.facts:
            after = fact.number
            yield event(fact.kind, {"at": fact.at, **fact.document}, fact.number)
        progress = {"status": found.run.status, **asdict(found.run.counts), **(found.run.progress or {})}
        if progress != shown:
            shown = progress
            yield event("progress", progress)
        if found.run.status.is_end:
            yield event("end", full_run_document(found.run))
            return
        yield b""
        await asyncio.sleep(LOOK_EVERY_S)


async def _of_workspace(app: App, since: int) -> AsyncIterator[bytes]:
    known: dict[int, RunStatus] = {}
    newest = 0
    first = True
    while True:
        look = await run_in_threadpool(_changed, app, known, newest, since if first else None)
        first = False
        for run in look:
            newest = max(newest, run.id)
            if run.status.is_end:
                known.pop(run.id, None)
            else:
                known[run.id] = run.status
            # From here on anything may still change: whoever comes back is told of it again.
            yield event("run", full_run_document(run), min(known, default=newest + 1))
        yield b""
        await asyncio.sleep(LOOK_EVERY_S)


def _changed(app: App, known: dict[int, RunStatus], newest: int, since: int | None) -> list[Run]:
    """Runs that changed since the last look, oldest first; at the first look the live ones, and those from `since`."""
    live: list[Run] = []
    for status in (RunStatus.QUEUED, RunStatus.RUNNING):
        live += app.history.run_page(status=status, limit=500).items
    if since is not None:
        recent = app.history.run_page(limit=TOLD_AGAIN).items if since else app.history.run_page(limit=1).items
        again = [one for one in recent if since and one.id >= since]
        found = {one.id: one for one in (*recent[:1], *again, *live)}
        return [found[number] for number in sorted(found)]
    changed = {one.id: one for one in live if known.get(one.id) is not one.status}
    for run_id in known.keys() - {one.id for one in live}:
        changed[run_id] = app.history.run(run_id)
    for one in app.history.run_page(limit=TOLD_AGAIN).items:
        if one.id > newest:
            changed.setdefault(one.id, one)
    return [changed[number] for number in sorted(changed)]


class _EventStream(StreamingResponse):
    """Sends events; a comment keeps an idle line open; whoever reads nothing for half a minute is left."""

    def __init__(self, events: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
        super().__init__(self._kept_alive(events), headers=headers, media_type="text/event-stream")
        self._leave = leave

    @staticmethod
    async def _kept_alive(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        quiet_s = ALIVE_EVERY_S
        async for one in events:
            if one:
                quiet_s = 0.0
                yield one
            else:
                quiet_s += LOOK_EVERY_S
                if quiet_s >= ALIVE_EVERY_S:
                    quiet_s = 0.0
                    yield b": still here\n\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patiently(message: Message) -> None:
            await asyncio.wait_for(send(message), READS_WITHIN_S)

        try:
            await super().__call__(scope, receive, patiently)
        except TimeoutError:
            return  # the reader reads nothing; the connection is closed by the server
        finally:
            self._leave()

"""Runs: asked for, steered, listed. A run is carried out by a worker; a trigger answers as soon as it is durable."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from headrace.app import App
from headrace.domain.outcome import RunStatus
from headrace.engine.job import RunOptions
from headrace.service.answers import full_run_document, group_document
from headrace.web.api.operations import Cursor, Limit, ObjectName, RunId, answer, operation, page
from headrace.web.api.shapes import ConsequenceShape, GroupsShape, Page, RunShape, Trigger

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request gives the same run for 24 hours.",
    ),
]


def router(app: App) -> APIRouter:
    routes = APIRouter(tags=["runs"])

    @operation(
        routes,
        "POST",
        "/syncs/{name}/runs",
        verb="runs.trigger",
        answer=RunShape,
        status=202,
        faults=(409, 422),
    )
    def trigger_run(name: ObjectName, asked: Trigger, idempotency_key: IdempotencyKey = None) -> Response:
        """Run a sync.

        Answers with the queued run; follow it at `/runs/{id}/events`. A sync that has a run queued already, or under
        `overlap: skip` one that is live, answers 409 `sync_busy`.
        """
        options = RunOptions(
            full_resync=asked.full_resync,
            reset_cdc=asked.reset_cdc,
            keys=tuple(asked.keys) if asked.keys else None,
        )
        run = app.runs.trigger(name, options, reason="api", overlap=asked.overlap, idempotency_key=idempotency_key)
        return answer(full_run_document(run), 202, {"Location": f"/api/v1/runs/{run.id}"})

    @operation(
        routes, "GET", "/syncs/{name}/consequence", verb="runs.consequence", answer=ConsequenceShape, faults=(422,)
    )
    def tell_consequence(
        name: ObjectName,
        full_resync: Annotated[bool, Query(description="Of a full resync; else of a reset of the baseline.")] = True,
    ) -> Response:
        """Say what a full resync or a reset would do.

        In a sentence with its number, for whoever is asked before it is done.
        """
        said = app.runs.consequence(name, RunOptions(full_resync=full_resync, reset_cdc=not full_resync))
        return answer({"said": said})

    @operation(routes, "GET", "/runs", verb="history.run_page", answer=Page[RunShape])
    def list_runs(
        sync: Annotated[str | None, Query(description="Only of that sync.")] = None,
        status: Annotated[RunStatus | None, Query(description="Only with that status.")] = None,
        kind: Annotated[Literal["sync", "test"] | None, Query(description="test: single rows really sent.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """List runs, newest first."""
        found = app.history.run_page(sync, status, kind, limit, cursor)
        return answer(page([full_run_document(one) for one in found.items], found.cursor))

    @operation(routes, "GET", "/runs/{run_id}", verb="history.run", answer=RunShape)
    def get_run(run_id: RunId) -> Response:
        """Show one run."""
        return answer(full_run_document(app.history.run(run_id)))

    @operation(routes, "GET", "/runs/{run_id}/groups", verb="history.groups", answer=GroupsShape)
    def get_groups(run_id: RunId) -> Response:
        """Count a run's rows by outcome and code.

        Most first, each with an example.
        """
        app.history.run(run_id)
        return answer({"items": [group_document(one) for one in app.history.groups(run_id)]})

    @operation(routes, "POST", "/runs/{run_id}/cancel", verb="runs.cancel", answer=RunShape, faults=(409,))
    def cancel_run(run_id: RunId) -> Response:
        """Stop a run.

        It stops sending within 5 seconds; what was acknowledged stays.
        """
        return answer(full_run_document(app.runs.cancel(run_id)))

    @operation(
        routes, "POST", "/runs/{run_id}/approve", verb="runs.approve", answer=RunShape, status=202, faults=(409, 422)
    )
    def approve_run(run_id: RunId) -> Response:
        """Release what the guard held.

        Answers with the run that makes the removals: it plans again, and removes nothing that was not held.
        """
        return answer(full_run_document(app.runs.approve(run_id, queue=True)), 202)

    @operation(routes, "POST", "/runs/{run_id}/discard", verb="runs.discard", answer=RunShape, faults=(409,))
    def discard_run(run_id: RunId) -> Response:
        """Give up what the guard held.

        Nothing of it is sent; the next run is judged anew.
        """
        return answer(full_run_document(app.runs.discard(run_id)))

    @operation(
        routes, "POST", "/runs/{run_id}/retry", verb="runs.retry", answer=RunShape, status=202, faults=(409, 422)
    )
    def retry_run(run_id: RunId) -> Response:
        """Run the same sync again.

        What was rejected or owed is planned again by itself, with its newest values.
        """
        return answer(full_run_document(app.runs.retry(run_id)), 202)

    return routes

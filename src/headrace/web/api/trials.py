"""Looking before leaping: previews, plans, tests of connections, one row really sent, suggestions, templates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from headrace.app import App
from headrace.engine.job import RunOptions
from headrace.service import answers
from headrace.web.api import trial_shapes as shapes
from headrace.web.api.operations import ObjectName, answer, operation
from headrace.web.heavy import WITHIN_S, Heavy

_OF_SOURCE = (400, 422, 502)


def router(app: App, heavy: Heavy) -> APIRouter:
    routes = APIRouter(tags=["trials"])
    _of_sources(routes, app, heavy)
    _of_destinations(routes, app, heavy)
    _of_syncs(routes, app, heavy)
    return routes


def _of_sources(routes: APIRouter, app: App, heavy: Heavy) -> None:
    @operation(
        routes,
        "GET",
        "/models/{name}/preview",
        verb="trials.preview",
        answer=shapes.PreviewShape,
        faults=_OF_SOURCE,
    )
    def preview_model(
        name: ObjectName, limit: Annotated[int, Query(description="At most so many rows.", ge=1, le=1000)] = 100
    ) -> Response:
        """Preview a model.

        Its first rows, the types of its columns, and the proof of its primary key over all rows.
        """
        with heavy.turn():
            return answer(answers.preview_document(app.trials.preview(name, limit, WITHIN_S)))

    @operation(
        routes,
        "POST",
        "/trials/preview",
        verb="drafts.preview",
        answer=shapes.PreviewShape,
        faults=(*_OF_SOURCE, 404),
    )
    def preview_draft(asked: shapes.PreviewModel) -> Response:
        """Preview a model that is not saved."""
        with heavy.turn():
            return answer(answers.preview_document(app.drafts.preview(asked.model, asked.limit, WITHIN_S)))

    @operation(
        routes,
        "GET",
        "/models/{name}/columns",
        verb="trials.columns",
        answer=shapes.ColumnsShape,
        faults=_OF_SOURCE,
    )
    def list_columns(name: ObjectName) -> Response:
        """List the columns of a model."""
        with heavy.turn():
            return answer({"items": answers.columns_document(app.trials.columns(name, WITHIN_S))})

    @operation(
        routes,
        "GET",
        "/sources/{name}/tables",
        verb="trials.tables",
        answer=shapes.TablesShape,
        faults=_OF_SOURCE,
    )
    def list_tables(name: ObjectName) -> Response:
        """List what models of a source may name.

        Tables and views with their columns. The files of a CSV or Parquet source are one table, `rows`.
        """
        with heavy.turn():
            found = app.trials.tables(name, WITHIN_S)
        items = [{"name": one.name, "columns": answers.columns_document(one.columns)} for one in found]
        return answer({"items": items})

    @operation(
        routes,
        "POST",
        "/sources/{name}/test",
        verb="trials.test_source",
        answer=shapes.ReachedShape,
        faults=_OF_SOURCE,
    )
    def test_source(name: ObjectName) -> Response:
        """Test the connection of a source."""
        with heavy.turn():
            return answer({"said": app.trials.test_source(name, WITHIN_S)})

    @operation(
        routes,
        "POST",
        "/trials/source",
        verb="drafts.test_source",
        answer=shapes.ReachedShape,
        faults=_OF_SOURCE,
    )
    def test_source_draft(asked: shapes.SourceDraft) -> Response:
        """Test the connection of a source that is not saved."""
        with heavy.turn():
            return answer({"said": app.drafts.test_source(asked.source, WITHIN_S, asked.name)})

    @operation(
        routes,
        "POST",
        "/trials/tables",
        verb="drafts.tables",
        answer=shapes.TablesShape,
        faults=_OF_SOURCE,
    )
    def list_tables_of_draft(asked: shapes.SourceDraft) -> Response:
        """List the tables of a source that is not saved."""
        with heavy.turn():
            found = app.drafts.tables(asked.source, WITHIN_S, asked.name)
        items = [{"name": one.name, "columns": answers.columns_document(one.columns)} for one in found]
        return answer({"items": items})

    @operation(routes, "POST", "/trials/template", verb="drafts.render", answer=shapes.RenderedRows)
    def render_template(asked: shapes.TemplateAsked) -> Response:
        """Render a template on rows."""
        with heavy.turn():
            return answer({"items": [asdict(one) for one in app.drafts.render(asked.template, asked.rows)]})


def _of_destinations(routes: APIRouter, app: App, heavy: Heavy) -> None:
    @operation(
        routes,
        "POST",
        "/destinations/{name}/test",
        verb="trials.test_destination",
        answer=shapes.ProbesShape,
        faults=(422, 502),
    )
    def test_destination(name: ObjectName) -> Response:
        """Test each token of a destination.

        With one harmless request each; nothing is written there.
        """
        with heavy.turn():
            return answer({"items": [answers.probe_document(one) for one in app.trials.test_destination(name)]})

    @operation(
        routes,
        "POST",
        "/trials/destination",
        verb="drafts.test_destination",
        answer=shapes.ProbesShape,
        faults=(422, 502),
    )
    def test_destination_draft(asked: shapes.DestinationDraft) -> Response:
        """Test each token of a destination that is not saved."""
        with heavy.turn():
            found = app.drafts.test_destination(asked.destination, asked.secrets, asked.name)
        return answer({"items": [answers.probe_document(one) for one in found]})


def _of_syncs(routes: APIRouter, app: App, heavy: Heavy) -> None:
    @operation(
        routes,
        "POST",
        "/syncs/{name}/plan",
        verb="trials.plan",
        answer=shapes.PlanShape,
        faults=(409, *_OF_SOURCE),
    )
    def plan_sync(name: ObjectName, asked: shapes.PlanAsked) -> Response:
        """Dry run: what a run would do now.

        Counts, samples with old and new values, and exact requests. Nothing is sent.
        """
        options = RunOptions(full_resync=asked.full_resync, keys=tuple(asked.keys) if asked.keys else None)
        with heavy.turn():
            return answer(answers.plan_document(name, app.trials.plan(name, asked.requests, options)))

    @operation(
        routes,
        "POST",
        "/syncs/{name}/test-row",
        verb="trials.test_row",
        answer=shapes.RowTrialShape,
        faults=(409, *_OF_SOURCE),
    )
    def send_test_row(name: ObjectName, asked: shapes.TestRow) -> Response:
        """Really send one row.

        Answers with each request and what came back. The next run sends the row again if it is due.
        """
        with heavy.turn():
            return answer(answers.trial_document(app.trials.test_row(name, asked.key, asked.as_, asked.values)))

    @operation(
        routes,
        "GET",
        "/syncs/{name}/suggestions",
        verb="suggestions.for_sync",
        answer=shapes.SuggestedShape,
        faults=_OF_SOURCE,
    )
    def suggest_for_sync(name: ObjectName) -> Response:
        """Suggest what a sync does not map yet."""
        with heavy.turn():
            return answer(answers.suggested_document(app.suggestions.for_sync(name)))

    @operation(
        routes,
        "POST",
        "/trials/suggestions",
        verb="suggestions.for_model",
        answer=shapes.SuggestedShape,
        faults=(404, *_OF_SOURCE),
    )
    def suggest_for_model(asked: shapes.SuggestionAsked) -> Response:
        """Suggest a whole new sync of a model."""
        with heavy.turn():
            found = app.suggestions.for_model(asked.model, asked.destination, asked.type, asked.object)
        return answer(answers.suggested_document(found))

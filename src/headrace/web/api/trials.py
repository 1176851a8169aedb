"""Looking before leaping, over HTTP: previews, dry runs, suggestions, tests of connections and of one row."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from headrace.engine.job import RunOptions
from headrace.service.answers import plan_document, preview_document, suggested_document, trial_document
from headrace.web.api.models import TestRow, UnsavedModel
from headrace.web.api.routes import Headrace, answer, in_measure, router

routes = router("trials")
Name = Annotated[str, Path(min_length=1, max_length=100)]
Rows = Annotated[int, Query(ge=1, le=1000, description="At most so many rows.")]


@routes.get("/models/{name}/preview", operation_id="preview_model", summary="Rows, types, and proof of the key")
def preview(app: Headrace, name: Name, limit: Rows = 100) -> Response:
    with in_measure():
        return answer(preview_document(app.trials.preview(name, limit)))


@routes.post("/preview", operation_id="preview_unsaved", summary="The same of a model that is not saved")
def preview_unsaved(app: Headrace, wanted: UnsavedModel) -> Response:
    document = wanted.model_dump(exclude={"limit"}, exclude_none=True)
    with in_measure():
        return answer(preview_document(app.trials.preview_unsaved(document, wanted.limit)))


@routes.get("/models/{name}/columns", operation_id="list_columns", summary="Columns of a model and their types")
def columns(app: Headrace, name: Name) -> Response:
    with in_measure():
        return answer({"items": [_column(one) for one in app.trials.columns(name)]})


@routes.get("/sources/{name}/tables", operation_id="list_tables", summary="Tables of a source and their columns")
def tables(app: Headrace, name: Name) -> Response:
    with in_measure():
        found = app.trials.tables(name)
    return answer({"items": [{"name": one.name, "columns": list(map(_column, one.columns))} for one in found]})


@routes.post("/sources/{name}/test", operation_id="test_source", summary="Whether a source answers")
def test_source(app: Headrace, name: Name) -> Response:
    with in_measure():
        return answer({"answered": app.trials.test_source(name)})


@routes.post("/destinations/{name}/test", operation_id="test_destination", summary="Each token, with a harmless call")
def test_destination(app: Headrace, name: Name) -> Response:
    with in_measure():
        found = app.trials.test_destination(name)
    return answer({"items": [_probe(one) for one in found]})


@routes.get("/syncs/{name}/plan", operation_id="plan_sync", summary="A dry run: counts, samples, exact requests")
def plan(
    app: Headrace,
    name: Name,
    requests: Annotated[int, Query(ge=0, le=100, description="So many exact requests.")] = 3,
    full_resync: bool = False,
) -> Response:
    with in_measure():
        return answer(plan_document(name, app.trials.plan(name, requests, RunOptions(full_resync=full_resync))))


@routes.get("/syncs/{name}/suggestions", operation_id="suggest_for_sync", summary="What could be mapped")
def suggest(app: Headrace, name: Name) -> Response:
    with in_measure():
        return answer(suggested_document(app.suggestions.for_sync(name)))


@routes.get("/models/{name}/suggestions", operation_id="suggest_for_model", summary="A whole new sync, suggested")
def suggest_new(
    app: Headrace,
    name: Name,
    destination: Annotated[str, Query(max_length=100)],
    type: Annotated[str, Query(max_length=100)],
    object: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    with in_measure():
        return answer(suggested_document(app.suggestions.for_model(name, destination, type, object)))


@routes.get("/syncs/{name}/consequence", operation_id="consequence", summary="What a resync or reset would do")
def consequence(app: Headrace, name: Name, full_resync: bool = False) -> Response:
    options = RunOptions(full_resync=full_resync, reset_cdc=not full_resync)
    return answer({"sentence": app.runs.consequence(name, options)})


@routes.post("/syncs/{name}/test-row", operation_id="test_row", summary="Really send one row")
def test_row(app: Headrace, name: Name, wanted: TestRow) -> Response:
    with in_measure():
        return answer(trial_document(app.trials.test_row(name, wanted.key, wanted.as_, wanted.set)))


def _column(one: Any) -> dict[str, Any]:
    return {"name": one.name, "type": one.type, "native": one.native}


def _probe(one: Any) -> dict[str, Any]:
    request = one.request
    found = {**asdict(one), "request": None}
    if request is not None:
        found["request"] = {"method": request.method, "url": request.url}
    return found

"""Sources, models, destinations, syncs and whatever else the catalog holds: the same routes for each kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query
from starlette.responses import Response

from headrace.app import App
from headrace.domain.errors import Finding, UserError
from headrace.service.catalog import KINDS
from headrace.service.documents import SECTION
from headrace.service.objects import ABSENT, Tagged, Verdict
from headrace.store.catalog import Kind
from headrace.web.api.operations import Cursor, JsonObject, Limit, ObjectName, answer, operation, page
from headrace.web.api.shapes import ObjectShape, Page, Rename, VerdictShape
from headrace.web.heavy import Heavy

IfMatch = Annotated[str | None, Header(alias="If-Match", description="The tag that it must still have, or `*`.")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="`*`: only where there is none yet.")]
DryRun = Annotated[bool, Query(description="Only check, and say what would change.")]
Offline = Annotated[bool, Query(description="Ask no source for its columns; the run checks the rest.")]
Endpoint = Callable[..., Any]


def routers(app: App, heavy: Heavy) -> list[APIRouter]:
    """One router a kind."""
    return [_router(app, heavy, kind) for kind in KINDS]


def _router(app: App, heavy: Heavy, kind: Kind) -> APIRouter:
    section = SECTION[kind]
    router = APIRouter(prefix=f"/{section}", tags=[section])

    def route(method: str, path: str, name: str, summary: str, **said: Any) -> Callable[[Endpoint], Endpoint]:
        """A route whose name and summary name the kind."""

        def add(endpoint: Endpoint) -> Endpoint:
            endpoint.__name__ = name
            rest = (inspect.getdoc(endpoint) or "").partition("\n")[2].strip()
            endpoint.__doc__ = f"{summary}.\n\n{rest}" if rest else f"{summary}."
            return operation(router, method, path, **said)(endpoint)

        return add

    @route("GET", "", f"list_{section}", f"List {section}", verb="objects.all", answer=Page[ObjectShape])
    def list_all(limit: Limit = 100, cursor: Cursor = None) -> Response:
        """List, by name."""
        found = [one for one in app.objects.all(kind) if cursor is None or one.name > cursor]
        more = found[limit - 1].name if len(found) > limit else None
        return answer(page([object_document(one) for one in found[:limit]], more))

    @route("GET", "/{name}", f"get_{kind}", f"Show one {kind}", verb="objects.get", answer=ObjectShape)
    def get_one(name: ObjectName) -> Response:
        found = app.objects.get(kind, name)
        return answer(object_document(found), headers=_tag(found))

    @route(
        "PUT",
        "/{name}",
        f"put_{kind}",
        f"Create or replace a {kind}",
        verb="objects.put",
        answer=VerdictShape,
        faults=(412, 422),
    )
    def put_one(
        name: ObjectName,
        document: Annotated[JsonObject, Body(description="As YAML has it under its name, secrets as references.")],
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
        dry_run: DryRun = False,
        offline: Offline = False,
    ) -> Response:
        """Create or replace.

        Every fault comes back at once (422). With `dry_run` nothing is saved, and the answer holds all findings.
        """
        expected = _expected(app, kind, name, if_match, if_none_match)
        with heavy.turn():
            if dry_run:
                verdict = app.objects.check(kind, name, document, offline=offline)
                return answer(verdict_document(verdict, None))
            saved = app.objects.put(kind, name, document, expected=expected, offline=offline)
        return answer(verdict_document(saved.verdict, saved.tagged), headers=_tag(saved.tagged))

    @route(
        "POST",
        "/{name}/rename",
        f"rename_{kind}",
        f"Give a {kind} another name",
        verb="objects.rename",
        answer=ObjectShape,
        faults=(409, 412),
    )
    def rename_one(name: ObjectName, asked: Rename, if_match: IfMatch = None) -> Response:
        """Rename.

        Whatever refers to it follows.
        """
        renamed = app.objects.rename(kind, name, asked.to, expected=_expected(app, kind, name, if_match, None))
        return answer(object_document(renamed), headers=_tag(renamed))

    @route(
        "DELETE",
        "/{name}",
        f"delete_{kind}",
        f"Delete a {kind}",
        verb="catalog.delete",
        status=204,
        faults=(409, 412),
    )
    def delete_one(name: ObjectName, if_match: IfMatch = None) -> Response:
        """Delete.

        The memory of a deleted sync stays: declared again under its id, it goes on where it was.
        """
        app.catalog.delete(kind, name, expected=_expected(app, kind, name, if_match, None))
        return Response(status_code=204)

    return router


def _expected(app: App, kind: Kind, name: str, if_match: str | None, if_none_match: str | None) -> str | None:
    """The tag that the object must have, ABSENT, or None. Raises UserError `request_invalid`, NotFound."""
    if if_none_match is not None:
        if if_none_match.strip() != "*" or if_match is not None:
            message = "If-None-Match takes only `*` here, and stands alone: it says that there must be no such object."
            raise UserError(message, code="request_invalid")
        return ABSENT
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return app.objects.get(kind, name).tag
    return if_match.strip().removeprefix("W/").strip('"')


def _tag(found: Tagged) -> dict[str, str]:
    return {"ETag": f'"{found.tag}"'}


def object_document(found: Tagged) -> dict[str, Any]:
    return {"name": found.name, "document": found.document, "tag": found.tag, "updated_at": found.updated_at}


def finding_document(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "code": finding.code,
        "message": finding.message,
        "path": finding.path,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "warning": finding.warning,
    }


def verdict_document(verdict: Verdict, saved: Tagged | None) -> dict[str, Any]:
    return {
        "action": verdict.action,
        "fields": list(verdict.fields),
        "findings": [finding_document(one) for one in verdict.findings],
        "notes": list(verdict.notes),
        "saved": saved is not None,
        "object": object_document(saved) if saved is not None else None,
    }

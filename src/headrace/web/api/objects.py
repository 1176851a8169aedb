"""Sources, models, destinations, syncs and the further kinds: the same routes for each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query
from starlette.responses import Response

from headrace.service.catalog import KINDS, Checked
from headrace.service.documents import SECTION
from headrace.service.objects import NEW, Described, edits_of
from headrace.store.catalog import Kind
from headrace.web.api.models import CheckedOut, NewName, ObjectList, ObjectOut
from headrace.web.api.routes import Headrace, answer, in_measure, router

Name = Annotated[str, Path(min_length=1, max_length=100, description="Its name.")]
Offline = Annotated[bool, Query(description="Leave out the checks that ask a source or need a secret.")]


def routers() -> list[APIRouter]:
    """One for each kind."""
    return [_router_of(kind) for kind in KINDS]


def _router_of(kind: Kind) -> APIRouter:
    section = SECTION[kind]
    routes = router(section)

    @routes.get(
        f"/{section}", operation_id=f"list_{section}", summary=f"All {section}", responses={200: {"model": ObjectList}}
    )
    def list_objects(app: Headrace) -> Response:
        found = [_shown(one) for one in app.objects.list(kind)]
        return answer({"items": found, "total": len(found)})

    @routes.get(
        f"/{section}/{{name}}",
        operation_id=f"get_{kind}",
        summary=f"One {kind}",
        responses={200: {"model": ObjectOut}},
    )
    def get_object(app: Headrace, name: Name) -> Response:
        return _answered(app.objects.get(kind, name))

    @routes.put(
        f"/{section}/{{name}}",
        operation_id=f"put_{kind}",
        summary=f"Create or replace a {kind}; with `dry_run` only say what is wrong and what would change",
        responses={200: {"model": ObjectOut | CheckedOut}},
    )
    def put_object(
        app: Headrace,
        name: Name,
        document: Annotated[dict[str, Any], Body(description="The object, as YAML has it under its name.")],
        if_match: Annotated[str | None, Header(description="The ETag that it must have now.")] = None,
        if_none_match: Annotated[str | None, Header(description="`*`: it must not be there yet.")] = None,
        dry_run: Annotated[bool, Query(description="Check, and save nothing.")] = False,
        offline: Offline = False,
    ) -> Response:
        with in_measure():
            if dry_run:
                return answer(checked_document(app.objects.check(kind, name, document, offline=offline)))
            expected = NEW if if_none_match == "*" else (if_match or "").strip().removeprefix("W/").strip('"') or None
            return _answered(app.objects.put(kind, name, document, expected=expected, offline=offline))

    @routes.post(
        f"/{section}/{{name}}/rename",
        operation_id=f"rename_{kind}",
        summary=f"Give a {kind} another name, also where others refer to it",
        responses={200: {"model": ObjectOut}},
    )
    def rename_object(app: Headrace, name: Name, new: NewName) -> Response:
        return _answered(app.objects.rename(kind, name, new.name))

    @routes.delete(
        f"/{section}/{{name}}",
        operation_id=f"delete_{kind}",
        summary=f"Delete a {kind} that nothing else uses",
        status_code=204,
        response_class=Response,
    )
    def delete_object(app: Headrace, name: Name) -> Response:
        app.catalog.delete(kind, name)
        return Response(status_code=204)

    return routes


def checked_document(checked: Checked, *, applied: bool = False) -> dict[str, Any]:
    """What a configuration would change, or changed, and every finding."""
    findings = [
        {"code": one.code, "message": one.message, "path": one.path, "warning": one.warning} for one in checked.findings
    ]
    changes = [asdict(one) for one in edits_of(checked)]
    return {"changes": changes, "findings": findings, "notes": checked.notes, "applied": applied}


def _shown(one: Described) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "document": one.document,
        "etag": one.tag,
        "updated_at": one.updated_at,
    }


def _answered(one: Described) -> Response:
    return answer(_shown(one), headers={"ETag": f'"{one.tag}"'})

"""The configuration as a whole, and the secrets beside it, which go in and never come back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from headrace.web.api.models import CheckedOut, Configuration, SecretList, SecretValue
from headrace.web.api.objects import checked_document
from headrace.web.api.routes import Headrace, Responses, answer, in_measure, router

routes = router("configuration")
Prune = Annotated[bool, Query(description="Delete what the text does not say.")]
Offline = Annotated[bool, Query(description="Leave out the checks that ask a source or need a secret.")]
SecretName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")]
_CHECKED: Responses = {200: {"model": CheckedOut}}


@routes.get(
    "/configuration",
    operation_id="export_configuration",
    summary="All of it as YAML, no secret in it",
    response_class=Response,
    responses={200: {"content": {"application/yaml": {"schema": {}}}}},
)
def export(app: Headrace) -> Response:
    return Response(app.catalog.export(None)["headrace.yaml"], media_type="application/yaml")


@routes.post(
    "/configuration/check",
    operation_id="check_configuration",
    summary="Every finding, and what applying it would change; saves nothing",
    responses=_CHECKED,
)
def check(app: Headrace, wanted: Configuration, prune: Prune = False, offline: Offline = False) -> Response:
    with in_measure():
        return answer(checked_document(app.catalog.check_text(wanted.yaml, offline=offline, prune=prune)))


@routes.post(
    "/configuration/apply",
    operation_id="apply_configuration",
    summary="Make it so, all or nothing",
    responses=_CHECKED,
)
def apply(app: Headrace, wanted: Configuration, prune: Prune = False, offline: Offline = False) -> Response:
    with in_measure():
        checked = app.catalog.check_text(wanted.yaml, offline=offline, prune=prune)
        app.catalog.apply(checked)
    return answer(checked_document(checked, applied=True))


@routes.get("/secrets", operation_id="list_secrets", summary="Names only", responses={200: {"model": SecretList}})
def secrets(app: Headrace) -> Response:
    found = app.vault.names()
    return answer({"items": [asdict(one) for one in found], "total": len(found)})


@routes.put(
    "/secrets/{name}",
    operation_id="set_secret",
    summary="Keep a secret, encrypted",
    status_code=204,
    response_class=Response,
)
def set_secret(app: Headrace, name: SecretName, wanted: SecretValue) -> Response:
    app.vault.set(name, wanted.value)
    return Response(status_code=204)


@routes.delete(
    "/secrets/{name}",
    operation_id="delete_secret",
    summary="Forget a secret",
    status_code=204,
    response_class=Response,
)
def delete_secret(app: Headrace, name: SecretName) -> Response:
    app.vault.delete(name)
    return Response(status_code=204)


@routes.post("/key/rotate", operation_id="rotate_key", summary="Encrypt every secret again under a new key")
def rotate_key(app: Headrace) -> Response:
    return answer(asdict(app.vault.rotate()))

"""The whole configuration as YAML, over HTTP: given back, checked, applied. Secrets, by name only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from headrace.app import App
from headrace.domain.errors import ConfigurationError, UserError
from headrace.service.catalog import Checked
from headrace.service.schema import configuration_schema
from headrace.web.api.catalog import finding_document
from headrace.web.api.operations import ObjectName, answer, operation
from headrace.web.api.shapes import CheckedShape, RotationShape, SecretShape, SecretValue
from headrace.web.api.shapes import Page as PageShape
from headrace.web.heavy import Heavy

YAML = "application/yaml"
_TEXT = {
    "required": True,
    "description": "As the files have it: YAML, or the same as JSON.",
    "content": {
        YAML: {"schema": {"type": "string", "example": "syncs: {}"}},
        "application/json": {"schema": {"type": "object", "additionalProperties": True}},
    },
}
Prune = Annotated[bool, Query(description="Delete what the text does not declare.")]
Offline = Annotated[bool, Query(description="Ask no source and need no secret; the run checks the rest.")]


async def configuration_text(request: Request) -> str:
    """The body as text. Raises UserError `request_invalid`."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in (YAML, "application/x-yaml", "text/yaml", "application/json"):
        raise UserError(f"Send the configuration as {YAML} or application/json.", code="request_invalid")
    try:
        return (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError("The configuration is not UTF-8 text.", code="request_invalid") from error


Text = Annotated[str, Depends(configuration_text)]


def router(app: App, heavy: Heavy) -> APIRouter:
    routes = APIRouter(tags=["configuration"])
    _secrets(routes, app)

    @operation(routes, "GET", "/configuration", verb="catalog.export", media={YAML: {"schema": {"type": "string"}}})
    def export_configuration() -> Response:
        """Give the configuration back as YAML.

        No secret is in it.
        """
        return Response(app.catalog.export(None)["headrace.yaml"], media_type=f"{YAML}; charset=utf-8")

    @operation(
        routes,
        "GET",
        "/configuration/schema",
        verb=None,
        media={"application/schema+json": {"schema": {"type": "object"}}},
    )
    def get_configuration_schema() -> Response:
        """The JSON Schema of the configuration, for editors."""
        found = answer(configuration_schema())
        found.headers["Content-Type"] = "application/schema+json"
        return found

    @operation(routes, "POST", "/configuration/check", verb="objects.check_text", answer=CheckedShape, body=_TEXT)
    def check_configuration(text: Text, offline: Offline = False, prune: Prune = False) -> Response:
        """Find everything that is wrong with a configuration.

        Each finding has its line and its mend; `edits` say what applying would change. Nothing is saved.
        """
        with heavy.turn():
            checked = app.objects.check_text(text, offline=offline, prune=prune)
        return answer(checked_document(checked, saved=False))

    @operation(
        routes,
        "POST",
        "/configuration/apply",
        verb="objects.check_text",
        answer=CheckedShape,
        faults=(422,),
        body=_TEXT,
    )
    def apply_configuration(text: Text, offline: Offline = False, prune: Prune = False) -> Response:
        """Make the workspace as the text says.

        All of it or nothing: one fault, and every finding comes back (422).
        """
        with heavy.turn():
            checked = app.objects.check_text(text, offline=offline, prune=prune)
            if checked.faults:
                raise ConfigurationError(checked.findings)
            app.catalog.apply(checked)
        return answer(checked_document(checked, saved=True))

    return routes


def checked_document(checked: Checked, *, saved: bool) -> dict[str, Any]:
    edits = [{"kind": one.kind, "name": one.name, "action": one.action, "fields": one.fields} for one in checked.edits]
    findings = [finding_document(one) for one in checked.findings]
    return {"saved": saved, "edits": edits, "findings": findings, "notes": checked.notes}


def _secrets(routes: APIRouter, app: App) -> None:
    @operation(routes, "GET", "/secrets", verb="vault.names", answer=PageShape[SecretShape])
    def list_secrets() -> Response:
        """List the names of the secrets that are kept."""
        return answer({"items": [asdict(one) for one in app.vault.names()], "more": False, "cursor": None})

    @operation(routes, "PUT", "/secrets/{name}", verb="vault.set", status=204)
    def set_secret(name: ObjectName, asked: SecretValue) -> Response:
        """Keep a secret.

        A destination finds its own under `<destination>.<setting>`; any can refer to it as `{secret: NAME}`.
        """
        app.vault.set(name, asked.value)
        return Response(status_code=204)

    @operation(routes, "DELETE", "/secrets/{name}", verb="vault.delete", status=204)
    def delete_secret(name: ObjectName) -> Response:
        """Forget a secret."""
        app.vault.delete(name)
        return Response(status_code=204)

    @operation(routes, "POST", "/secrets/rotate", verb="vault.rotate", answer=RotationShape)
    def rotate_key() -> Response:
        """Encrypt every secret again under a new key."""
        return answer(asdict(app.vault.rotate()))

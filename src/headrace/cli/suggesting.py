"""What could be mapped: suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.console import say, say_json
from headrace.cli.session import Json, opened
from headrace.domain.errors import UserError

if TYPE_CHECKING:
    from headrace.domain.suggest import Suggestion


def register(app: typer.Typer) -> None:
    app.command()(suggest)


def suggest(
    name: Annotated[str, typer.Argument(metavar="SYNC|MODEL", help="A sync; with the options, a model.")],
    destination: Annotated[str | None, typer.Option(help="Suggest a new sync to this destination.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Sync type of the new sync.")] = None,
    object_: Annotated[str | None, typer.Option("--object", help="Kind of record of the new sync.")] = None,
    json: Json = False,
) -> None:
    """Suggest a mapping for the columns that are not mapped yet, as YAML to paste, each line with its reason."""
    from headrace.service.suggestions import as_yaml

    with opened() as app:
        if destination is None and type_ is None and object_ is None:
            found = app.suggestions.for_sync(name)
        elif destination is None or type_ is None:
            message = "A new sync needs --destination and --type. Without them the name is that of a sync."
            raise UserError(message, code="usage")
        else:
            found = app.suggestions.for_model(name, destination, type_, object_)
    if not json:
        say(as_yaml(found).rstrip("\n"))
        return
    sync, told = found.sync, found.suggestions
    lines = [
        {
            "path": _path_of(one),
            "rule": {"column": one.column, **({"as": one.as_} if one.as_ else {})},
            "confidence": one.confidence,
            "required": one.required,
            "why": one.why,
        }
        for one in told.lines
    ]
    match = sync.match.model_dump() if sync.match else None
    head = {"sync": found.name, "new": found.is_new, "model": sync.model, "destination": sync.destination}
    head |= {"type": sync.type, "object": sync.object, "mode": sync.mode, "match": match}
    left_out = [{"column": one.column, "why": one.why} for one in told.left_out]
    say_json(head | {"suggestions": lines, "missing": told.missing, "left_out": left_out, "yaml": as_yaml(found)})


def _path_of(one: Suggestion) -> str:
    """Where the line stands under the sync, as findings write it."""
    if one.section:
        return ".".join(one.place)
    return ".".join(("fields", one.place[0], *(f"object.{key}" for key in one.place[1:])))

"""What could be mapped: suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.console import say, say_json
from headrace.cli.session import Json, opened
from headrace.domain.errors import UserError
from headrace.service.answers import suggested_document

if TYPE_CHECKING:
    pass


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
    say_json(suggested_document(found))

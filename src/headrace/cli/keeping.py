"""What is kept and thrown away by hand: secrets, the key, single objects."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from headrace.cli.console import can_ask, complain, count, say, say_json, say_table
from headrace.cli.listing import instant
from headrace.cli.session import Json, opened
from headrace.domain.errors import UserError

Name = Annotated[str, typer.Argument(metavar="NAME", help="For example vitally.rest_api_token.")]


def register(app: typer.Typer) -> None:
    secrets = typer.Typer(help="Secrets that the workspace keeps, encrypted.", no_args_is_help=True)
    secrets.command("set")(set_secret)
    secrets.command("list")(list_secrets)
    secrets.command("delete")(delete_secret)
    app.add_typer(secrets, name="secret")
    keys = typer.Typer(help="The key that encrypts secrets.", no_args_is_help=True)
    keys.callback()(lambda: None)
    keys.command("rotate")(rotate_key)
    app.add_typer(keys, name="key")
    app.command("delete")(delete)


def set_secret(
    name: Name,
    value_stdin: Annotated[bool, typer.Option("--value-stdin", help="Read it from standard input.")] = False,
    json: Json = False,
) -> None:
    """Keep a secret. It is asked for without echo, or read from standard input; never an argument."""
    value = _asked(name) if sys.stdin.isatty() and not value_stdin else sys.stdin.read().strip("\r\n")
    if not value.strip():
        raise UserError(f'No value was given for "{name}", so nothing was changed.', code="secret_missing")
    with opened(create=True) as app:
        app.vault.set(name, value)
    say_json({"secret": name, "kept": True}) if json else say(f'The secret "{name}" is kept, encrypted.')


def _asked(name: str) -> str:
    import getpass

    return getpass.getpass(f"{name}: ")


def list_secrets(json: Json = False) -> None:
    """Names of the secrets that are kept. No value is ever shown."""
    with opened() as app:
        found = app.vault.names()
    if json:
        say_json([{"name": one.name, "key": one.key_id, "updated_at": one.updated_at.isoformat()} for one in found])
    elif not found:
        say("No secret is kept. `headrace secret set NAME` keeps one.")
    else:
        say_table(("secret", "key", "set"), [[one.name, one.key_id, instant(one.updated_at)] for one in found])


def delete_secret(name: Name, json: Json = False) -> None:
    """Forget a secret."""
    with opened() as app:
        app.vault.delete(name)
    say_json({"secret": name, "deleted": True}) if json else say(f'The secret "{name}" is gone.')


def rotate_key(json: Json = False) -> None:
    """Encrypt every secret again under a new key."""
    with opened() as app:
        done = app.vault.rotate()
    if json:
        say_json({"encrypted": done.encrypted, "key": done.key_id})
    else:
        say(f"{count(done.encrypted, 'secret')} encrypted again, under the key {done.key_id}. Keep a copy of the key.")


def delete(
    kind: Annotated[Literal["source", "model", "destination", "sync"], typer.Argument(metavar="KIND")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete a source, model, destination or sync that nothing else uses. Nothing at a destination is touched."""
    with opened() as app:
        app.catalog.documents(kind)  # says first where there is no workspace
        if not yes:
            _ask(f'Delete the {kind} "{name}"?')
        app.catalog.delete(kind, name)
    if json:
        say_json({"kind": kind, "name": name, "deleted": True})
        return
    kept = " What it delivered stays known: declared again, it goes on from there." if kind == "sync" else ""
    say(f'The {kind} "{name}" is deleted.{kept}')


def _ask(question: str) -> None:
    if not can_ask():
        complain(question)
        raise UserError("Nobody is here to be asked. Say --yes to go on.", code="needs_yes")
    if not typer.confirm(question, err=True):
        raise UserError("Nothing was done.", code="declined")

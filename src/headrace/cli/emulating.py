"""`headrace emulate vitally`: a stand-in for Vitally on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.console import say
from headrace.cli.session import new_loop
from headrace.domain.errors import UserError, WorldError


def register(app: typer.Typer) -> None:
    emulators = typer.Typer(help="Run a stand-in for a destination on this machine.", no_args_is_help=True)
    emulators.command("vitally")(vitally)
    emulators.callback()(lambda: None)
    app.add_typer(emulators, name="emulate")


def vitally(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 chooses a free one.")] = 8790,
    faults: Annotated[Path | None, typer.Option(help="A JSON list of faults to set.", metavar="FILE")] = None,
    rate_limit: Annotated[
        str | None, typer.Option(help="Requests per seconds, or none. Default 1000/60.", metavar="N/S|none")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="A JSON object of switches.", metavar="FILE")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", help="One switch, as userParentsOnPut=add.", metavar="NAME=VALUE")
    ] = None,
) -> None:
    """Run the Vitally emulator until Ctrl-C: both APIs, every switch, and a page that shows what it holds."""
    import asyncio
    import signal

    from headrace.emulator import PortInUse, serve

    chosen = _settings(settings, faults, rate_limit, set or [])

    async def until_told() -> None:
        def ready(url: str) -> None:
            say(f"Vitally emulator listening on {url}")
            say(f"What it holds: {url}/emulator   Stop with Ctrl-C.")

        serving = asyncio.create_task(serve(chosen, host, port, on_ready=ready))
        for one in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(one, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            return

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(until_told())
    except PortInUse as error:
        raise WorldError(str(error.strerror), code="port_in_use", host=host, port=port) from error


def _settings(file: Path | None, faults: Path | None, rate_limit: str | None, switches: list[str]) -> Any:
    """The emulator's settings: the file first, then what the options say. Raises UserError with the faulty switch."""
    from pydantic import ValidationError

    from headrace.emulator import EmulatorSettings

    changes: dict[str, Any] = {}
    if file is not None:
        changes = _read_json(file, dict)
    if faults is not None:
        changes["faults"] = _read_json(faults, list)
    if rate_limit is not None:
        changes["rateLimit"] = _rate_limit(rate_limit)
    try:
        chosen = EmulatorSettings().changed(changes)
        for switch in switches:
            chosen = chosen.changed(_switch(switch))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f'The switch "{where}" does not fit: {first["msg"]}.', code="setting_invalid") from error
    return chosen


def _switch(text: str) -> dict[str, Any]:
    """`postOnExisting.accounts=409` as a change of settings."""
    import orjson

    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f'"{text}" sets nothing. Write --set name=value.', code="setting_invalid")
    try:
        read = orjson.loads(value)
    except orjson.JSONDecodeError:
        read = value
    for part in reversed(name.split(".")):
        read = {part: read}
    return dict(read)


def _rate_limit(text: str) -> dict[str, Any] | None:
    if text == "none":
        return None
    units, _, seconds = text.partition("/")
    try:
        return {"units": int(units), "perSeconds": float(seconds)}
    except ValueError as error:
        message = f'"{text}" is no rate limit. Write 1000/60 for 1000 requests in 60 seconds, or none.'
        raise UserError(message, code="setting_invalid") from error


def _read_json(file: Path, shape: type) -> Any:
    import orjson

    try:
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"The file {file} can't be read: {error.strerror}.", code="file_unreadable") from error
    except orjson.JSONDecodeError as error:
        raise UserError(f"The file {file} is not JSON: {error}.", code="file_unreadable") from error
    if not isinstance(found, shape):
        expected = "an object of switches" if shape is dict else "a list of faults"
        raise UserError(f"The file {file} must hold {expected}.", code="file_unreadable")
    return found

"""Looking after a workspace: what it keeps, how it is, a copy of it, and that copy put back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from headrace.cli.console import count, say, say_json, say_table
from headrace.cli.session import Json, opened
from headrace.domain.errors import UserError

Days = Annotated[
    str | None, typer.Option(metavar="DAYS", help="A number of days, `forever`, or `default` to take it back.")
]


def register(app: typer.Typer) -> None:
    retention = typer.Typer(help="How long calls, rows and runs are kept.", no_args_is_help=True)
    retention.command("show")(show_retention)
    retention.command("set")(set_retention)
    app.add_typer(retention, name="retention")
    app.command()(sweep)


def show_retention(json: Json = False) -> None:
    """How long calls, rows and runs are kept."""
    with opened() as app:
        found = app.operations.retention()
    say_json(found) if json else _say_retention(found)


def set_retention(
    calls_days: Days = None,
    rows_days: Days = None,
    runs_days: Days = None,
    calls_mb: Annotated[
        str | None, typer.Option(metavar="MB", help="Megabytes of calls at most, the oldest go; `forever`: no limit.")
    ] = None,
    sync: Annotated[str | None, typer.Option(metavar="NAME", help="For this sync only.")] = None,
    json: Json = False,
) -> None:
    """Say how long calls, rows and runs are kept, for all syncs or for one."""
    given = {"calls_days": calls_days, "rows_days": rows_days, "runs_days": runs_days, "calls_mb": calls_mb}
    changes = {name: _limit(name, text) for name, text in given.items() if text is not None}
    if not changes:
        raise UserError(
            "Say what to keep for how long: --calls-days, --rows-days, --runs-days, --calls-mb.", code="usage"
        )
    with opened() as app:
        found = app.operations.set_retention(changes, sync)
    say_json(found) if json else _say_retention(found)


def _limit(name: str, text: str) -> float | str | None:
    if text == "default":
        return text
    if text == "forever":
        return None
    try:
        return float(text)
    except ValueError:
        message = f'--{name.replace("_", "-")} is "{text[:40]}"; write a number, `forever` or `default`.'
        raise UserError(message, code="usage") from None


def _say_retention(found: dict[str, Any]) -> None:
    words = ("calls_days", "rows_days", "runs_days")
    rows = [["all syncs", *(_told(found[word]) for word in words)]]
    rows += [[name, *(_told(own[word]) for word in words)] for name, own in found["syncs"].items()]
    say_table(("days of", "calls", "rows", "runs"), rows, right=("calls", "rows", "runs"))
    if found["calls_mb"] is not None:
        say(f"Calls of all syncs together: {found['calls_mb']:g} MB at most, the oldest go first.")


def _told(limit: float | None) -> str:
    return "forever" if limit is None else f"{limit:g}"


def sweep(json: Json = False) -> None:
    """Throw away now what is older than it is kept. A server does this by itself each hour."""
    with opened() as app:
        swept = app.operations.sweep()
    if json:
        say_json(asdict(swept))
    else:
        say(f"{count(swept.calls, 'call')}, {count(swept.rows, 'row')} and {count(swept.runs, 'run')} thrown away.")

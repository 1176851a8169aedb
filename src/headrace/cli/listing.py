"""What there is: sources, models, destinations, syncs, runs; each as a list, and one of them shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.console import clean, count, glyph, is_terminal, painted, say, say_json, say_table, shortened
from headrace.cli.scheduling import register_sequences
from headrace.cli.session import Json, opened
from headrace.domain.outcome import RunStatus
from headrace.service.answers import run_document

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.store.catalog import Kind
    from headrace.store.runs import Run

Name = Annotated[str, typer.Argument(metavar="NAME")]
_KINDS: dict[str, tuple[Kind, str]] = {
    "sources": ("source", "Where rows come from: list them, show one."),
    "models": ("model", "Queries with a primary key: list them, show one."),
    "destinations": ("destination", "Where rows go: list them, show one, test its tokens."),
    "syncs": ("sync", "Models delivered to destinations, and how they last ran: list them, show one."),
    "sequences": ("sequence", "Syncs that run in an order: list them, show one, run one."),
    "channels": ("channel", "Where alerts go: list them, show one."),
}


def register(app: typer.Typer) -> None:
    for section, (kind, help_) in _KINDS.items():
        group = typer.Typer(help=help_, invoke_without_command=True)
        group.callback()(_lister(kind))
        group.command("show", help=f"Show one {kind} as YAML.")(_shower(section, kind))
        if kind == "destination":
            group.command("test")(try_destination)
        elif kind == "sequence":
            register_sequences(group)
        app.add_typer(group, name=section)
    group = typer.Typer(help="Runs, newest first: list them, show one.", invoke_without_command=True)
    group.callback()(list_runs)
    group.command("show")(show_run)
    app.add_typer(group, name="runs")


def _lister(kind: Kind) -> Callable[..., None]:
    def list_objects(ctx: typer.Context, json: Json = False) -> None:
        if ctx.invoked_subcommand is not None:
            return
        with opened() as app:
            documents = app.catalog.documents(kind)
            if kind == "sync":
                _say_syncs(app, documents, as_json=json)
            elif json:
                say_json([{"name": name, **document} for name, document in documents.items()])
            else:
                _say_objects(kind, documents)

    return list_objects


def _shower(section: str, kind: Kind) -> Callable[..., None]:
    def show_object(name: Name, json: Json = False) -> None:
        from headrace.service.files import write_yaml

        with opened() as app:
            app.catalog.get(kind, name)
            document = app.catalog.documents(kind)[name]
            last = _last_runs(app, {name: document})[name] if kind == "sync" else None
        if json:
            whole = {"name": name, **document}
            say_json(whole | {"last_run": run_document(last) if last else None} if kind == "sync" else whole)
            return
        say(write_yaml({section: {name: document}}).rstrip())
        if last is not None:
            say(f"# last run: {last.id}, {last.status}, {ago(last.ended_at or last.created_at)}")

    return show_object


def _say_objects(kind: Kind, documents: dict[str, dict[str, Any]]) -> None:
    if not documents:
        say(f"There is no {kind} yet. `headrace apply PATH` makes one.")
        return
    headers = {
        "source": ("name", "type", "where"),
        "model": ("name", "source", "primary key", "rows from"),
        "destination": ("name", "type", "settings"),
        "sequence": ("name", "syncs", "stops", "schedule"),
        "channel": ("name", "type", "where"),
    }[kind]
    say_table(headers, [[clean(cell) for cell in _cells(kind, name, one)] for name, one in documents.items()])


def _cells(kind: Kind, name: str, one: dict[str, Any]) -> list[str]:
    match kind:
        case "source":
            return [name, one["type"], one.get("path") or f"{one.get('host', 'url')} {one.get('database', '')}".strip()]
        case "model":
            rows = one.get("table") or shortened(" ".join(str(one.get("sql") or one.get("sql_file")).split()), 60)
            return [name, one["source"], ", ".join(one["primary_key"]), rows]
        case "sequence":
            return [name, ", ".join(one["syncs"]), one.get("stop", "fatal"), schedule_words(one)]
        case "channel":
            where = one.get("url") or ", ".join([one["to"]] if isinstance(one.get("to"), str) else one.get("to", []))
            return [name, one["type"], where if isinstance(where, str) else "a secret"]
        case _:
            said = [f"{key}={value}" for key, value in one.items() if key != "type" and not isinstance(value, dict)]
            return [name, one["type"], ", ".join(said)]


def schedule_words(document: dict[str, Any]) -> str:
    """When an object runs by itself, in words."""
    from pydantic import TypeAdapter

    from headrace.domain.config import Schedule
    from headrace.domain.schedule import in_words

    if document.get("schedule") is None:
        return "manual"
    return in_words(TypeAdapter(Schedule).validate_python(document["schedule"]))


def _last_runs(app: App, documents: dict[str, dict[str, Any]]) -> dict[str, Run | None]:

    app.runs.settle_dead()
    latest = app.history.latest()
    return {name: latest.get(document.get("id") or name) for name, document in documents.items()}


def _say_syncs(app: App, documents: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    last = _last_runs(app, documents)
    if as_json:
        found = [
            {"name": name, **document, "last_run": run_document(run) if (run := last[name]) else None}
            for name, document in documents.items()
        ]
        say_json(found)
        return
    if not documents:
        say("There is no sync yet. `headrace apply PATH` makes one.")
        return
    headers = ("sync", "model", "destination", "mode", "status", "rows", "delivered", "rejected", "invalid", "last run")
    rows = []
    for name, one in documents.items():
        run = last[name]
        target = f"{one['destination']} {one.get('object') or one['type']}"
        row = [name, one["model"], target, one.get("mode") or "upsert"]
        if run is None:
            row += ["never ran", "", "", "", "", ""]
        else:
            counts = run.counts
            numbers = (counts.rows, counts.delivered, counts.rejected, counts.invalid)
            row += [_status(run), *(f"{number:,}" for number in numbers), ago(run.ended_at or run.created_at)]
        rows.append(row)
    say_table(headers, rows, right=("rows", "delivered", "rejected", "invalid"))


def list_runs(
    ctx: typer.Context,
    sync: Annotated[str | None, typer.Option(help="Only of that sync.", metavar="NAME")] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only with that status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    if ctx.invoked_subcommand is not None:
        return

    with opened() as app:
        app.runs.settle_dead()
        found = app.history.runs(sync, status, limit)
    if json:
        say_json([run_document(one) for one in found])
        return
    if not found:
        say("There is no such run." if sync or status else "Nothing has run yet. `headrace run SYNC` runs a sync.")
        return
    numbers = ("rows", "added", "changed", "removed", "delivered", "rejected", "invalid", "owed", "requests")
    headers = ("run", "sync", "status", "when", *numbers, "seconds")
    rows = []
    for one in found:
        sync_name = one.sync if one.kind == "sync" else f"{one.sync} (test row)"
        cells = [f"{getattr(one.counts, name):,}" for name in numbers]
        seconds = f"{one.seconds:.1f}" if one.seconds is not None else ""
        rows.append([str(one.id), sync_name, _status(one), ago(one.created_at), *cells, seconds])
    say_table(headers, rows, right=("run", *numbers, "seconds"))


def show_run(run_id: Annotated[int, typer.Argument(metavar="RUN")], json: Json = False) -> None:
    """Show one run: how it ended, why, and its rows by outcome."""

    with opened() as app:
        app.runs.settle_dead()
        history = app.history
        run, groups = history.run(run_id), history.groups(run_id)
    if json:
        counted = [{"outcome": one.outcome, "code": one.code, "rows": one.count} for one in groups]
        say_json(run_document(run) | {"outcomes": counted})
        return
    say(f"Run {run.id} of {run.sync}: {_status(run)}")
    say(f"  asked for by {run.reason}, {instant(run.created_at)}, ended {instant(run.ended_at)}")
    if run.error_message:
        say(f"  {painted(run.error_code or '', 'red')}: {clean(run.error_message)}")
    if run.hold is not None:
        approved = f"approved {instant(run.hold.approved_at)}" if run.hold.approved_at else "not approved"
        say(f"  {clean(run.hold.why)} ({approved}; an approval counts until {instant(run.hold.expires_at)})")
    say("  " + ", ".join(f"{word} {number:,}" for word, number in asdict(run.counts).items()))
    for one in groups:
        say(f"  {glyph(one.outcome)}{one.outcome} {one.code or ''}".rstrip() + f": {count(one.count, 'row')}")


def try_destination(name: Name, json: Json = False) -> int:
    """Try each token with one harmless request; nothing is written there."""
    with opened() as app:
        results = app.trials.test_destination(name)
    if json:
        documents = []
        for one in results:
            document: dict[str, Any] = {
                "token": one.secret,
                "state": one.state,
                "message": one.message,
                "status": one.status,
            }
            document |= {"method": one.request.method if one.request else None}
            document |= {"url": one.request.url if one.request else None}
            documents.append(document | {"ms": round(one.duration_ms, 1) if one.duration_ms is not None else None})
        say_json(documents)
    else:
        faces = {"fine": "delivered", "not_set": "skipped"}
        for one in results:
            call = ""
            if one.request is not None and one.duration_ms is not None:
                status = one.status if one.status is not None else "no answer"
                call = f"{one.request.method} {one.request.url} {status} {one.duration_ms:.0f} ms: "
            say(f"{glyph(faces.get(one.state, 'rejected'))}{one.secret}: {one.state}: {call}{clean(one.message)}")
    return 0 if all(one.state in ("fine", "not_set") for one in results) else 3


def _status(run: Run) -> str:
    return f"{glyph(run.status)}{run.status.replace('_', ' ')}"


def instant(moment: datetime | None) -> str:
    """`2026-07-01 12:30:05 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "not yet"


def ago(moment: datetime) -> str:
    """`4 minutes ago`; an instant in a pipe, where nobody knows when it is read."""
    if not is_terminal():
        return instant(moment)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return f"{count(int(seconds // size), unit)} ago"
    return "just now"

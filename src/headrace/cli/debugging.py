"""What really happened: every API call, and the outcome of every row."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.bodies import path_of, say_call
from headrace.cli.console import clean, count, glyph, painted, say, say_json, say_table, shortened
from headrace.cli.session import Json, opened
from headrace.domain.errors import UserError
from headrace.domain.outcome import RowOutcome
from headrace.service.answers import ROW_COLUMNS, call_document, row_document, unformulated

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.service.history import History
    from headrace.store.calls import LoggedCall
    from headrace.store.outcomes import LoggedOutcome, OutcomeCount

SHOWN = 50


def register(app: typer.Typer) -> None:
    app.command()(calls)
    app.command()(rows)


def calls(
    run: Annotated[int | None, typer.Option(help="Only of that run.", metavar="ID")] = None,
    key: Annotated[str | None, typer.Option(help="Only for the row with that primary key.", metavar="K")] = None,
    sync: Annotated[str | None, typer.Option(help="Only of that sync.", metavar="NAME")] = None,
    status: Annotated[str | None, typer.Option(help="404, a class as 4xx, or none: no answer.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with these words in address, reason or bodies.")] = None,
    call: Annotated[str | None, typer.Option(help="One call: RUN/N, or N of --run or the last run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = SHOWN,
    curl: Annotated[bool, typer.Option("--curl", help="As curl commands, the token in a variable.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Headers and bodies too.")] = False,
    json: Json = False,
) -> None:
    """The debugger: API calls with request and answer, newest first, secrets masked."""
    from headrace.service.history import CurlWriter
    from headrace.store.calls import CallFilter

    with opened() as app:
        history = app.history
        if call is not None:
            found = [history.call(*_place(history, call, run, sync))]
        else:
            found = list(history.calls(CallFilter(run=run, key=key, status=status, sync=sync, text=text), limit))
        if curl:
            writer = CurlWriter(app.catalog, app.assembly, app.secrets)
            commands = [writer.command(one) for one in found]
            say_json(commands) if json else say("\n\n".join(commands))
        elif json:
            say_json([call_document(one) for one in found])
        elif full or call is not None:
            for number, one in enumerate(found):
                say() if number else None
                say_call(one)
        else:
            _say_calls(found, limit)


def _place(history: History, text: str, run: int | None, sync: str | None) -> tuple[int, int]:
    """(run, number) of `12/3`, or of `3` with the run that is meant."""
    before, slash, after = text.rpartition("/")
    number, said = after if slash else text, before
    if not number.isdecimal() or (slash and not said.isdecimal()):
        raise UserError(f'"{text}" is no call. Write --call 12/3 for call 3 of run 12.', code="usage")
    if said:
        return int(said), int(number)
    if run is None:
        last = history.runs(sync=sync, limit=1)
        if not last:
            raise UserError("Nothing has run yet, so there is no call.", code="not_found")
        run = last[0].id
    return run, int(number)


def _say_calls(found: list[LoggedCall], limit: int) -> None:
    if not found:
        say("No such call.")
        return
    headers = ("call", "at", "request", "status", "ms", "try", "verdict", "rows", "why")
    table = []
    for one in found:
        call = one.call
        status = str(call.status) if call.status is not None else "none"
        colour = "green" if (call.status or 0) in range(200, 400) else "red"
        keys = call.keys[0] if len(call.keys) == 1 else f"{len(call.keys)} rows" if call.keys else ""
        at = f"{call.at:%Y-%m-%d %H:%M:%S}"
        request = f"{call.method} {shortened(clean(path_of(call.url)), 70)}"
        table.append([f"{one.run_id}/{call.number}", at, request, painted(status, colour), f"{call.duration_ms:.0f}"])
        table[-1] += [str(call.attempt), str(call.verdict), clean(keys), shortened(clean(call.reason), 80)]
    say_table(headers, table, right=("ms", "try"))
    if len(found) == limit:
        say(f"The newest {limit:,}; --limit shows more, --full and --call RUN/N show bodies.")


def rows(
    run: Annotated[int, typer.Argument(metavar="RUN")],
    outcome: Annotated[RowOutcome | None, typer.Option(help="Only with that outcome.")] = None,
    code: Annotated[str | None, typer.Option(help="Only with that code.", metavar="C")] = None,
    key: Annotated[str | None, typer.Option(help="Only the row with that primary key.", metavar="K")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, safe to open in a spreadsheet.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many. Default 50; all as CSV or JSON.")] = None,
    json: Json = False,
) -> None:
    """What became of the rows of a run, and why."""
    from headrace.store.outcomes import OutcomeFilter

    if as_csv and json:
        raise UserError("--csv and --json are two formats. Choose one.", code="usage")
    with opened() as app:
        history = app.history
        history.run(run)
        wanted = OutcomeFilter(run=run, outcome=outcome, code=code, key=key)
        if as_csv:
            _write_csv(history.rows(wanted, limit))
        elif json:
            _write_json(history.rows(wanted, limit))
        else:
            groups = history.groups(run, outcome, code) if key is None else []
            _say_rows(app, run, groups, list(history.rows(wanted, limit or SHOWN)), limit or SHOWN)


def _say_rows(app: App, run: int, groups: list[OutcomeCount], found: list[LoggedOutcome], limit: int) -> None:
    if not found:
        say(f"Run {run} has no such row. A run records the rows that had work to do.")
        return
    for group in groups:
        example = group.example.record
        why = clean(example.theirs or example.message or "")
        said = f" - {shortened(why, 120)} - for example {clean(example.key)}" if group.code else ""
        say(
            f"{glyph(group.outcome)}{group.outcome} {group.code or ''}".rstrip()
            + f" - {count(group.count, 'row')}{said}"
        )
    if groups:
        say()
    table = []
    for one in found:
        record = one.record
        said = record.message or ""
        message = clean(said) + (f" ({clean(record.theirs)})" if record.theirs and record.theirs not in said else "")
        cells = [clean(record.key), str(record.change or ""), f"{glyph(record.outcome)}{record.outcome}"]
        table.append([*cells, record.code or "", f"{run}/{record.call}" if record.call else "", message])
    say_table(("key", "change", "outcome", "code", "call", "message"), table)
    if len(found) == limit:
        say(f"The first {limit:,}; --limit shows more, --csv all.")


def _write_json(found: Iterator[LoggedOutcome]) -> None:
    """One JSON list, a row a line, written as it is read: a run may have millions."""
    import orjson

    sys.stdout.write("[")
    for number, one in enumerate(found):
        sys.stdout.write((",\n" if number else "\n") + orjson.dumps(row_document(one)).decode())
    sys.stdout.write("\n]\n")
    sys.stdout.flush()


def _write_csv(found: Iterator[LoggedOutcome]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("run", *ROW_COLUMNS))
    for one in found:
        writer.writerow([unformulated(value) for value in row_document(one).values()])
    sys.stdout.flush()

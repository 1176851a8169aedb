"""Running syncs: run, approve, cancel; what they print and the code they exit with."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from headrace.cli.console import can_ask, clean, complain, count, glyph, painted, say, say_json
from headrace.cli.progress import view_for
from headrace.cli.session import Json, new_loop, opened, workspace_option
from headrace.domain.errors import ConfigurationError, HeadraceError, UserError
from headrace.domain.outcome import Counts, RunStatus

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.engine.job import RunOptions
    from headrace.service.runs import RunReport

Answer = TypeVar("Answer")

INTERRUPTED = 130
CODES = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.SUCCEEDED_WITH_REJECTIONS: 1,
    RunStatus.FAILED: 3,
    RunStatus.HELD: 4,
    RunStatus.CANCELLED: 3,
    RunStatus.INTERRUPTED: INTERRUPTED,
}
_WORST_FIRST = (INTERRUPTED, 3, 2, 4, 1, 0)


def register(app: typer.Typer) -> None:
    for command in (run, approve, cancel):
        app.command()(command)


def run(
    syncs: Annotated[list[str] | None, typer.Argument(help="Names of syncs.", metavar="SYNC...")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them, parents before children.")] = False,
    full_resync: Annotated[bool, typer.Option("--full-resync", help="Send every row again.")] = False,
    reset_cdc: Annotated[
        bool, typer.Option("--reset-cdc", help="Take the rows as they are for delivered; send nothing.")
    ] = False,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            help="Only the rows with these primary keys, comma-separated; a composite key as a JSON list, alone.",
            metavar="K,...",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Fail when the sync is running already.")] = False,
    json: Json = False,
) -> int:
    """Run syncs to their end: only what changed is sent."""
    if all_ == bool(syncs):
        raise UserError("Name the syncs to run, or say --all.", code="usage")
    if full_resync and reset_cdc:
        message = "--full-resync sends every row and --reset-cdc sends none. Choose one."
        raise UserError(message, code="usage")
    with opened() as app:
        app.sources.start_ahead(syncs or [])
        from headrace.engine.job import RunOptions

        options = RunOptions(full_resync=full_resync, reset_cdc=reset_cdc, keys=split_keys(keys))
        names = app.runs.in_order(None if all_ else syncs)
        if not names:
            raise UserError("There is no sync yet. `headrace apply PATH` makes some.", code="nothing_to_run")
        if (full_resync or reset_cdc) and not yes:
            ask_first(app, names, options)
        return run_all(app, names, options, queue=not no_wait, as_json=json)


def approve(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Number of a held run.")], json: Json = False
) -> int:
    """Approve what the guard held back, and run that sync now."""
    from headrace.engine.job import RunOptions

    with opened() as app:
        held = app.runs.approve(run_id)
        keys = held.options.get("keys")
        options = RunOptions(
            full_resync=bool(held.options.get("full_resync")), keys=tuple(keys) if keys else None, approved=True
        )
        return run_all(app, [held.sync], options, queue=True, as_json=json)


def cancel(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Number of a queued or running run.")], json: Json = False
) -> None:
    """Stop a run: it stops sending, and what was acknowledged stays."""
    with opened() as app:
        stored = app.runs.cancel(run_id)
    if json:
        say_json({"run": stored.id, "sync": stored.sync, "status": stored.status, "cancel_requested": True})
    elif stored.status is RunStatus.CANCELLED:
        say(f"Run {run_id} of {stored.sync} was queued; it will not start.")
    else:
        say(f"Run {run_id} of {stored.sync} stops sending within 5 seconds. What was acknowledged stays.")


def split_keys(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The keys of `--keys a,b --keys c`. One that is a JSON list is a composite key and stays whole."""
    if not given:
        return None
    found: list[str] = []
    for one in given:
        found += [one] if one.startswith("[") else [part.strip() for part in one.split(",") if part.strip()]
    if not found:
        raise UserError("--keys names no key. Write --keys 17,18.", code="usage")
    return tuple(found)


def ask_first(app: App, names: Sequence[str], options: RunOptions) -> None:
    """Says in numbers what would happen and asks. Raises UserError `needs_yes` where nobody can answer."""
    for name in names:
        complain(app.runs.consequence(name, options))
    if not can_ask():
        raise UserError("Nobody is here to be asked. Say --yes to go on.", code="needs_yes")
    if not typer.confirm("Go on?", err=True):
        raise UserError("Nothing was done.", code="declined")


def run_all(app: App, names: Sequence[str], options: RunOptions, *, queue: bool, as_json: bool) -> int:
    """Runs the syncs one after the other; one that fails does not stop the others. The worst exit code."""

    async def go() -> list[int]:
        codes = []
        for name in names:
            codes.append(await _run_one(app, name, options, queue=queue, as_json=as_json))
            if app.runs.interrupted:
                codes.append(INTERRUPTED)
                break
        return codes

    codes = in_loop(app, go(), quiet=as_json)
    return next(code for code in _WORST_FIRST if code in codes)


def in_loop(app: App, work: Coroutine[Any, Any, Answer], *, quiet: bool = False) -> Answer:
    """Does the work in a loop of its own, where Ctrl-C and SIGTERM ask the run under way to end."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.getsignal(one) for one in signals}

    async def go() -> Answer:
        for one in signals:
            asyncio.get_running_loop().add_signal_handler(one, _stop, app, quiet)
        return await work

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(go())
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _stop(app: App, quiet: bool) -> None:
    if app.runs.interrupted:
        os._exit(INTERRUPTED)  # asked twice: what was acknowledged is durable already
    if not quiet:
        with suppress(OSError):
            complain("Stopping: what was acknowledged stays. Ctrl-C again ends at once.")
    app.runs.interrupt()


async def _run_one(app: App, name: str, options: RunOptions, *, queue: bool, as_json: bool) -> int:
    view = view_for(name, as_json=as_json)
    try:
        with view:
            report = await app.runs.run(name, options, view.emit, view.wait, queue=queue)
    except HeadraceError as error:
        code = _code_of_refusal(error, interrupted=app.runs.interrupted)
        with suppress(BrokenPipeError):
            _say_refusal(name, error, as_json=as_json, code=code)
        return code
    with suppress(BrokenPipeError):
        say_json(report_document(report), lines=True) if as_json else say_report(report)
    return CODES[report.status]


def _code_of_refusal(error: HeadraceError, *, interrupted: bool) -> int:
    if error.code == "cancelled":
        return INTERRUPTED if interrupted else 3
    return error.exit_code


def _say_refusal(name: str, error: HeadraceError, *, as_json: bool, code: int) -> None:
    """The run could not start."""
    message = error.message
    if isinstance(error, ConfigurationError):
        message += " " + " ".join(str(one) for one in error.findings)
    if as_json:
        status = RunStatus.INTERRUPTED if code == INTERRUPTED else RunStatus.FAILED
        said = {"code": error.code, "message": message}
        say_json(
            {"run": None, "sync": name, "status": status, **asdict(Counts()), "seconds": 0.0, "error": said}, lines=True
        )
    else:
        complain(f"{name}: not started: {clean(message)}")


def report_document(report: RunReport) -> dict[str, Any]:
    """A run's end as `run --json` prints it."""
    document = {"run": report.run_id, "sync": report.sync, "status": report.status}
    document |= {**asdict(report.counts), "seconds": round(report.seconds, 3)}
    if report.error is not None:
        document["error"] = {"code": report.error.code, "message": report.error.message}
    if report.held is not None:
        document["held"] = report.held
    return document


def say_report(report: RunReport) -> None:
    """A run's end in a sentence, and what a person does next."""
    again = f"headrace {workspace_option()}"
    say(f"{glyph(report.status)}{report.sync}: {sentence(report)}")
    if report.error is not None:
        say(f"  {painted(report.error.code, 'red')}: {clean(report.error.message)}")
    if report.held is not None:
        say(f"  {clean(report.held)}")
        say(f"  Look: {again}plan {report.sync}   Let it happen: {again}approve {report.run_id}")
    for outcome, number in (("rejected", report.counts.rejected), ("invalid", report.counts.invalid)):
        if number:
            say(f"  Why: {again}rows {report.run_id} --outcome {outcome}")


def sentence(report: RunReport) -> str:
    """`400 rows, 5 changed, 1 added -> 6 delivered in 0.2 s (6 requests)`."""
    counts = report.counts
    found = [count(counts.rows, "row")]
    found += [f"{n:,} {word}" for word in ("changed", "added", "removed") if (n := getattr(counts, word))]
    outcomes = ("delivered", "skipped", "invalid", "rejected", "owed")
    ends = [f"{n:,} {word}" for word in outcomes if (n := getattr(counts, word))]
    if not counts.added + counts.changed + counts.removed:
        found.append("nothing changed")
    told = ", ".join(found) + (f" -> {', '.join(ends)}" if ends else "")
    requests = count(counts.requests, "request") if counts.requests else "no request"
    status = {
        RunStatus.SUCCEEDED: "",
        RunStatus.SUCCEEDED_WITH_REJECTIONS: "",
        RunStatus.HELD: "held, nothing was sent: ",
    }.get(report.status, f"{report.status}: ")
    return f"{status}{told} in {report.seconds:.1f} s ({requests})"

"""What runs by itself: the overview of schedules, pause and resume, and runs of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headrace.cli.console import clean, complain, glyph, say, say_json, say_table
from headrace.cli.running import CODES, INTERRUPTED, in_loop
from headrace.cli.session import Json, opened
from headrace.domain.errors import NotFound, UserError
from headrace.domain.outcome import RunStatus

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.service.schedule import ScheduleState
    from headrace.service.sequences import SequenceProgress
    from headrace.store.schedules import ScheduleKind

_LOOK_EVERY_S = 0.5
Which = Annotated[str, typer.Argument(metavar="NAME", help="A sync or a sequence.")]
Kind = Annotated[Literal["sync", "sequence"] | None, typer.Option(help="Which, where both have that name.")]


def register(app: typer.Typer) -> None:
    for command in (schedule, pause, resume):
        app.command()(command)


def register_sequences(group: typer.Typer) -> None:
    """The further commands of `headrace sequences`."""
    group.command("run")(run_sequence)
    group.command("runs")(list_sequence_runs)
    group.command("cancel")(cancel_sequence_run)


def schedule(json: Json = False) -> None:
    """When syncs and sequences run by themselves: the rule, the next times, pauses, times that were left out."""
    with opened() as app:
        states = app.schedules.overview()
    if json:
        say_json([state_document(one) for one in states])
        return
    if not states:
        say("There is no sync yet. `headrace apply PATH` makes one.")
        return
    rows = []
    for one in states:
        due = f"{one.due[0]:%Y-%m-%d %H:%M} UTC" if one.due else "paused" if one.paused_at else ""
        note = f"paused by {one.paused_by}, {one.paused_at:%Y-%m-%d %H:%M} UTC" if one.paused_at else ""
        if not note and one.skipped_at and (one.fired_at is None or one.skipped_at > one.fired_at):
            note = f"left out {one.skipped_at:%Y-%m-%d %H:%M} UTC: {one.skipped_why}"
        rows.append([one.kind, one.name, one.words, due, clean(note)])
    say_table(("kind", "name", "runs", "next", "note"), rows)


def pause(name: Which, kind: Kind = None, json: Json = False) -> None:
    """Let a schedule rest: nothing starts by itself until `resume`."""
    with opened() as app:
        state = app.schedules.pause(_kind_of(app, name, kind), name)
    _say_state(state, f"The schedule of {state.kind} {name} rests. `headrace resume {name}` goes on.", as_json=json)


def resume(name: Which, kind: Kind = None, json: Json = False) -> None:
    """Let a paused schedule go on, from now."""
    with opened() as app:
        state = app.schedules.resume(_kind_of(app, name, kind), name)
    due = f", next at {state.due[0]:%Y-%m-%d %H:%M} UTC" if state.due else ""
    _say_state(state, f"The schedule of {state.kind} {name} counts: {state.words}{due}.", as_json=json)


def _kind_of(app: App, name: str, kind: ScheduleKind | None) -> ScheduleKind:
    """Which of the two has that name. Raises NotFound, UserError `usage` where both have it."""
    kinds: tuple[ScheduleKind, ...] = ("sync", "sequence")
    found: list[ScheduleKind] = [kind] if kind else [one for one in kinds if name in app.catalog.names(one)]
    if not found:
        raise NotFound("sync or sequence", name, [*app.catalog.names("sync"), *app.catalog.names("sequence")])
    if len(found) > 1:
        raise UserError(f'A sync and a sequence are called "{name}". Say --kind sync or --kind sequence.', code="usage")
    return found[0]


def _say_state(state: ScheduleState, text: str, *, as_json: bool) -> None:
    say_json(state_document(state)) if as_json else say(text)


def state_document(state: ScheduleState) -> dict[str, Any]:
    """A schedule as JSON shows it."""
    document: dict[str, Any] = {"kind": state.kind, "name": state.name, "schedule": state.rule, "words": state.words}
    document |= {"next": [one.isoformat() for one in state.due], "paused_by": state.paused_by}
    for name in ("paused_at", "fired_at", "skipped_at"):
        moment = getattr(state, name)
        document[name] = moment.isoformat() if moment else None
    return document | {"skipped_why": state.skipped_why}


# Sequences --------------------------------------------------------------------------------------------------------


def run_sequence(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    json: Json = False,
) -> int:
    """Run a sequence to its end: its syncs in their order, up to one that ends so that the rest must wait."""
    with opened() as app:
        started = app.sequences.trigger(name)
        done = in_loop(app, _carry_out(app, started.id, quiet=json), quiet=json)
    if json:
        say_json(progress_document(done), lines=True)
    else:
        say(f"{glyph(done.run.status)}{name}: {done.run.status.replace('_', ' ')}")
        if done.run.message:
            say(f"  {clean(done.run.message)}")
    return INTERRUPTED if app.runs.interrupted else CODES[done.run.status]


async def _carry_out(app: App, run_id: int, *, quiet: bool) -> SequenceProgress:
    """Does the runs of a sequence here; one that a worker of a server has taken is waited for."""
    told: set[int] = set()
    while True:
        progress = app.sequences.progress(run_id)
        for step in progress.steps:
            if step.run is not None and step.run.status.is_end and step.run.id not in told:
                told.add(step.run.id)
                if not quiet:
                    complain(f"{step.sync}: run {step.run.id} {step.run.status.replace('_', ' ')}")
        if progress.run.status.is_end:
            return progress
        if app.runs.interrupted:
            app.sequences.cancel(run_id)
            continue
        waiting = [one.run for one in progress.steps if one.run is not None and one.run.status is RunStatus.QUEUED]
        if not waiting or await app.runs.runner.execute(waiting[0].id, lambda _event: None) is None:
            app.sequences.advance()
            await app.clock.sleep(_LOOK_EVERY_S)


def list_sequence_runs(
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """Runs of sequences, newest first: how far each is, and why it ended."""
    with opened() as app:
        found = [app.sequences.progress(one.id) for one in app.sequences.runs(name, limit).items]
    if json:
        say_json([progress_document(one) for one in found])
        return
    if not found:
        say("No sequence has run yet. `headrace sequences run NAME` runs one.")
        return
    rows = []
    for one in found:
        steps = ", ".join(f"{step.sync} {step.run.status.replace('_', ' ') if step.run else '-'}" for step in one.steps)
        status = f"{glyph(one.run.status)}{one.run.status.replace('_', ' ')}"
        when = f"{one.run.created_at:%Y-%m-%d %H:%M:%S} UTC"
        rows.append([str(one.run.id), one.run.sequence, status, when, steps, clean(one.run.message or "")])
    say_table(("run", "sequence", "status", "when", "syncs", "why"), rows, right=("run",))


def cancel_sequence_run(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Number of a run of a sequence.")], json: Json = False
) -> None:
    """Stop a run of a sequence: the sync under way stops sending, the rest does not start."""
    with opened() as app:
        app.sequences.cancel(run_id)
        progress = app.sequences.progress(run_id)
    if json:
        say_json(progress_document(progress))
    else:
        say(f"Run {run_id} of the sequence {progress.run.sequence} is cancelled.")


def progress_document(progress: SequenceProgress) -> dict[str, Any]:
    """A run of a sequence as JSON shows it."""
    run = progress.run
    document: dict[str, Any] = {"sequence_run": run.id, "sequence": run.sequence, "status": run.status}
    document |= {"message": run.message, "reason": run.reason, "requested_by": run.requested_by}
    document |= {
        "created_at": run.created_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }
    steps = [
        {"sync": one.sync, "run": one.run.id if one.run else None, "status": one.run.status if one.run else None}
        for one in progress.steps
    ]
    return document | {"steps": steps}

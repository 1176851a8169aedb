"""Looking before leaping: preview, plan, test-row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.bodies import pretty, say_call
from headrace.cli.console import clean, count, glyph, painted, say, say_json, say_table, shortened
from headrace.cli.session import Json, opened
from headrace.domain.errors import UserError
from headrace.domain.outcome import Change, RowOutcome
from headrace.service.answers import plan_document, preview_document, sendable, trial_document

if TYPE_CHECKING:
    from headrace.engine.explain import ExactRequest, Explanation, Sample
    from headrace.service.trials import KeyProof, RowTrial

WIDEST_CELL = 60


def register(app: typer.Typer) -> None:
    app.command()(preview)
    app.command()(plan)
    app.command("test-row")(try_row)


def preview(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows.")] = 100,
    json: Json = False,
) -> None:
    """Show the rows of a model, the types of its columns, and whether its primary key holds."""
    with opened() as app:
        found = app.trials.preview(model, limit)
    if json:
        say_json(preview_document(found))
        return
    types = [painted(one.native.lower(), "dim") for one in found.columns]
    cells = [[_cell(value) for value in row] for row in found.rows]
    say_table([clean(one.name) for one in found.columns], [types, *cells])
    say()
    say(f"{count(len(found.rows), 'row')} shown of {found.proof.rows:,}.")
    say(_proof(found.proof))


def _cell(value: Any) -> str:
    if value is None:
        return painted("null", "dim")
    value = sendable(value)
    if isinstance(value, bool | dict | list):
        import orjson

        value = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return shortened(clean(value), WIDEST_CELL)


def _proof(proof: KeyProof) -> str:
    key = ", ".join(proof.key)
    if proof.holds:
        return f"{glyph('delivered')}Primary key {key} holds: {count(proof.rows, 'row')}, all different, none null."
    faults = []
    if proof.nulls:
        faults.append(f"{count(proof.nulls, 'row')} without a key")
    if proof.duplicates:
        faults.append(f"{count(proof.duplicates, 'row')} that share one (for example {', '.join(proof.examples)})")
    return (
        f"{glyph('rejected')}Primary key {key} does not hold: {clean(' and '.join(faults))}. These rows are not sent."
    )


def plan(
    sync: Annotated[str, typer.Argument(metavar="SYNC")],
    requests: Annotated[int, typer.Option(min=0, help="Show so many exact requests.")] = 0,
    full_resync: Annotated[bool, typer.Option("--full-resync", help="As if every row were to be sent again.")] = False,
    keys: Annotated[list[str] | None, typer.Option(help="Only these primary keys.", metavar="K,...")] = None,
    json: Json = False,
) -> None:
    """Dry run: what a run would do now, with samples and exact requests. Nothing is sent."""
    from headrace.cli.running import split_keys
    from headrace.engine.job import RunOptions

    options = RunOptions(full_resync=full_resync, keys=split_keys(keys))
    with opened() as app:
        found = app.trials.plan(sync, requests, options)
    if json:
        say_json(plan_document(sync, found))
    else:
        _say_plan(sync, found, requests)


def _say_plan(sync: str, found: Explanation, requests: int) -> None:
    counts = found.counts
    told = [f"{n:,} {word}" for word in ("added", "changed", "removed", "unchanged") if (n := getattr(counts, word))]
    say(f"{sync}: {', '.join([count(counts.rows, 'row'), *told])}")
    operations = ", ".join(f"{name} {number:,}" for name, number in found.operations.items())
    say(f"  would do: {operations}" if operations else "  would do: nothing")
    for note in found.notes:
        say(f"  note: {clean(note)}")
    if found.hold is not None:
        say(f"  {glyph('held')}{painted('would be held', 'amber')}: {clean(found.hold.message)}")
    for key, code, copies in found.invalid:
        say(f"  {glyph('invalid')}not sent: {clean(key or 'a row without a key')}: {code} ({count(copies, 'row')})")
    for sample in found.samples:
        _say_sample(sample)
    for one in found.requests:
        _say_request(one)
    if requests and not found.requests:
        say("\nNo request would be sent.")


def _say_sample(sample: Sample) -> None:
    reason = f" ({clean(sample.reason)})" if sample.reason else ""
    say(f"\n{sample.change} {clean(sample.key)}{reason}")
    if sample.fault is not None:
        say(f"  {glyph('invalid')}{painted(sample.fault.code, 'amber')}: {clean(sample.fault.message)}")
    for one in sample.fields:
        if sample.change is Change.ADDED:
            say(f"  {clean(one.column)}: {_cell(one.new)}")
        elif sample.change is Change.REMOVED:
            say(f"  {clean(one.column)}: {_cell(one.old)}")
        else:
            say(f"  {clean(one.column)}: {_cell(one.old)} -> {_cell(one.new)}")


def _say_request(one: ExactRequest) -> None:
    note = f"  ({clean(one.note)})" if one.note else ""
    say(f"\n{one.request.method} {clean(one.request.url)}   for {_keys(one)}{note}")
    for name, value in one.request.headers.items():
        if name != "Accept" and value != "application/json":
            say(painted(f"> {clean(name)}: {clean(value)}", "dim"))
    if one.request.body is not None:
        say(pretty(one.request.body))


def _keys(one: ExactRequest) -> str:
    return clean(one.keys[0]) if len(one.keys) == 1 else count(len(one.keys), "row")


def try_row(
    sync: Annotated[str, typer.Argument(metavar="SYNC")],
    key: Annotated[str, typer.Option(help="Primary key of the row.", metavar="K")],
    as_: Annotated[Change, typer.Option("--as", help="Send it as if it were so.")] = Change.CHANGED,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another value for a column; empty is null.", metavar="COL=VALUE")
    ] = None,
    json: Json = False,
) -> int:
    """Really send one row, and show each request and answer. The next run sends it again if it is due."""
    with opened() as app:
        trial = app.trials.test_row(sync, key, as_, _values(set_ or []))
    if json:
        say_json(trial_document(trial))
    else:
        _say_trial(trial)
    outcome = trial.outcome.record.outcome if trial.outcome else None
    return {RowOutcome.INVALID: 1, RowOutcome.REJECTED: 1, RowOutcome.OWED: 3}.get(outcome, 0) if outcome else 0


def _values(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in given:
        column, equals, value = one.partition("=")
        if not equals or not column:
            raise UserError(f'"{one}" sets nothing. Write --set column=value.', code="usage")
        found[column] = value
    return found


def _say_trial(trial: RowTrial) -> None:
    for call in trial.calls:
        say_call(call)
        say()
    if trial.outcome is None:
        say("Nothing was to be sent.")
        return
    record = trial.outcome.record
    why = f": {record.code}: {clean(record.message or '')}" if record.code else ""
    say(f"{glyph(record.outcome)}{record.outcome}{why} ({count(trial.counts.requests, 'request')})")

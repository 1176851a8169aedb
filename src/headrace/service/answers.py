"""Runs, rows, calls, plans, previews as JSON values: one shape for command line and API."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.domain.suggest import Suggestion
    from headrace.engine.explain import Explanation
    from headrace.service.suggestions import Suggested
    from headrace.service.trials import Preview, RowTrial
    from headrace.store.calls import LoggedCall
    from headrace.store.outcomes import LoggedOutcome, OutcomeCount
    from headrace.store.runs import Run

ROW_COLUMNS = ("key", "change", "operation", "outcome", "code", "field", "message", "theirs", "call")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


def run_document(run: Run) -> dict[str, Any]:
    """A recorded run as JSON shows it, in the shape of `run --json` and more."""
    document: dict[str, Any] = {"run": run.id, "sync": run.sync, "kind": run.kind, "status": run.status}
    document |= {**asdict(run.counts), "seconds": run.seconds, "reason": run.reason, "options": run.options}
    for name in ("created_at", "started_at", "ended_at"):
        moment = getattr(run, name)
        document[name] = moment.isoformat() if moment else None
    if run.error_code:
        document["error"] = {"code": run.error_code, "message": run.error_message}
    if run.hold is not None:
        document["held"] = run.hold.why
    document |= {"requested_by": run.requested_by, "follows": run.follows}
    return document


def readable(body: bytes | None) -> Any:
    """A body for JSON output: its value where it is JSON, else its text."""
    if body is None:
        return None
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def call_document(logged: LoggedCall) -> dict[str, Any]:
    """A call as JSON shows it."""
    call = logged.call
    document = {"run": logged.run_id, "sync": logged.sync, **call._asdict()}
    document |= {"at": call.at.isoformat(), "keys": list(call.keys)}
    document |= {"duration_ms": round(call.duration_ms, 3), "waited_ms": round(call.waited_ms, 3)}
    return document | {"request_body": readable(call.request_body), "response_body": readable(call.response_body)}


def row_document(logged: LoggedOutcome) -> dict[str, Any]:
    """A row's outcome as JSON and CSV show it."""
    record = logged.record
    return {"run": logged.run_id, **{name: getattr(record, name) for name in ROW_COLUMNS}}


def unformulated(value: Any) -> Any:
    """The value of a CSV cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def group_document(group: OutcomeCount) -> dict[str, Any]:
    """Rows of a run that ended alike, with an example."""
    return {
        "outcome": group.outcome,
        "code": group.code,
        "rows": group.count,
        "example": row_document(group.example),
    }


def plan_document(sync: str, found: Explanation) -> dict[str, Any]:
    requests = [
        {
            "keys": one.keys,
            "method": one.request.method,
            "url": one.request.url,
            "headers": dict(one.request.headers),
            "body": readable(one.request.body),
            "purpose": one.request.purpose,
            "note": one.note,
        }
        for one in found.requests
    ]
    samples = [asdict(one) for one in found.samples]
    counts = {name: getattr(found.counts, name) for name in ("rows", "added", "changed", "removed", "unchanged")}
    invalid = [{"key": key, "code": code, "rows": copies} for key, code, copies in found.invalid]
    document = {"sync": sync, **counts, "to_send": found.to_send, "operations": found.operations, "invalid": invalid}
    held = found.hold.message if found.hold else None
    return document | {"held": held, "notes": found.notes, "samples": samples, "requests": requests}


def preview_document(found: Preview) -> dict[str, Any]:
    """A model's first rows, its columns, and the proof of its key."""
    columns = [{"name": one.name, "type": one.type, "native": one.native} for one in found.columns]
    rows = [[sendable(value) for value in row] for row in found.rows]
    return {"columns": columns, "rows": rows, "key": asdict(found.proof) | {"holds": found.proof.holds}}


def sendable(value: Any) -> Any:
    """Bytes as they would be sent."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def trial_document(trial: RowTrial) -> dict[str, Any]:
    """One row, really sent."""
    outcome = row_document(trial.outcome) if trial.outcome else None
    return {"run": trial.run_id, "row": outcome, "calls": [call_document(one) for one in trial.calls]}


def suggested_document(found: Suggested) -> dict[str, Any]:
    """Suggestions for a sync, each with its reason."""
    from headrace.service.suggestions import as_yaml

    sync, told = found.sync, found.suggestions
    lines = [
        {
            "path": path_of_suggestion(one),
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
    return head | {"suggestions": lines, "missing": told.missing, "left_out": left_out, "yaml": as_yaml(found)}


def path_of_suggestion(one: Suggestion) -> str:
    """Where the line stands under the sync, as findings write it."""
    if one.section:
        return ".".join(one.place)
    return ".".join(("fields", one.place[0], *(f"object.{key}" for key in one.place[1:])))

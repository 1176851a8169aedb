"""The emulator's own doors under `/emulator`: look at the state and the journal, turn switches, set faults, seed.

Not part of Vitally: no key is asked, nothing is journalled.
"""

from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError

from headrace.emulator.answers import Answer, Refused, answer_json, answer_refusal, not_found
from headrace.emulator.journal import Call, Entry, masked_headers
from headrace.emulator.kinds import KINDS
from headrace.emulator.page import render_page
from headrace.emulator.settings import Fault
from headrace.emulator.workspace import Workspace

HTML = "text/html; charset=utf-8"
_JOURNAL_PAGE = 1000


def answer_control(workspace: Workspace, call: Call) -> Answer:
    """The answer to a request under `/emulator`, or to `/` itself."""
    parts = call.segments()[1:]
    try:
        with workspace.lock:
            if call.path == "/":
                return Answer(302, b"", {"Location": "/emulator"}, HTML)
            if len(parts) == 2 and parts[0] == "faults" and call.method == "DELETE":
                return _remove_fault(workspace, parts[1])
            route = _ROUTES.get((call.method, "/".join(parts)))
            if route is None:
                raise not_found()
            return route(workspace, call)
    except Refused as refusal:
        return answer_refusal(refusal, workspace.settings)
    except ValidationError as wrong:
        return answer_json(400, {"error": "Not valid", "faults": [_told(each) for each in wrong.errors()]})


def state_as_json(workspace: Workspace, kind: str | None = None) -> dict[str, Any]:
    """Everything held, by kind; with `kind`, only that. Raises Refused (404)."""
    state = workspace.settle()
    if kind is not None and kind not in (*KINDS, "events"):
        raise not_found(f"{kind!r} is none of: {', '.join(KINDS)}, events")
    held: dict[str, Any] = {name: state.records(name) for name in KINDS if kind in (None, name)}
    if kind in (None, "events"):
        held["events"] = list(state.events)
    return held | {
        "counts": state.counts(),
        "waitingMessages": workspace.waiting,
        "usersMarkedForDeletion": dict(state.user_deletions),
    }


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """An entry with its credential masked; bodies parsed where they are JSON, else as text."""
    return {
        "number": entry.number,
        "at": entry.at_utc.isoformat(timespec="milliseconds"),
        "api": entry.api,
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "headers": masked_headers(entry.headers),
        "body": entry.json if entry.json is not None else entry.body.decode(errors="replace"),
        "status": entry.status,
        "answer": entry.answer if entry.answer is not None else entry.answer_body.decode(errors="replace"),
        "answerHeaders": dict(entry.answer_headers),
        "fault": entry.fault,
    }


def _page(workspace: Workspace, call: Call) -> Answer:
    return Answer(200, render_page(workspace).encode(), {}, HTML)


def _state(workspace: Workspace, call: Call) -> Answer:
    return answer_json(200, state_as_json(workspace, call.query.get("kind")))


def _journal(workspace: Workspace, call: Call) -> Answer:
    since, limit = _number(call, "since", 0), _number(call, "limit", _JOURNAL_PAGE)
    entries = workspace.journal.since(since, limit)
    return answer_json(
        200,
        {
            "entries": [entry_as_json(entry) for entry in entries],
            "held": len(workspace.journal),
            "lastNumber": workspace.journal.last_number,
        },
    )


def _clear_journal(workspace: Workspace, call: Call) -> Answer:
    workspace.journal.clear()
    return Answer(204)


def _reset(workspace: Workspace, call: Call) -> Answer:
    workspace.reset()
    return answer_json(200, {"counts": workspace.state.counts()})


def _settings(workspace: Workspace, call: Call) -> Answer:
    return answer_json(200, workspace.settings.model_dump(mode="json", by_alias=True))


def _change_settings(workspace: Workspace, call: Call) -> Answer:
    changes = _body(call)
    if not isinstance(changes, dict):
        raise Refused(400, "The body must be a JSON object of switches")
    workspace.configure(workspace.settings.changed(changes))
    return _settings(workspace, call)


def _faults(workspace: Workspace, call: Call) -> Answer:
    return answer_json(200, [each.as_json() for each in workspace.faults])


def _add_faults(workspace: Workspace, call: Call) -> Answer:
    body = _body(call)
    faults = [Fault.model_validate(each) for each in (body if isinstance(body, list) else [body])]
    return answer_json(201, [workspace.faults.add(fault).as_json() for fault in faults])


def _clear_faults(workspace: Workspace, call: Call) -> Answer:
    workspace.faults.clear()
    return Answer(204)


def _remove_fault(workspace: Workspace, number: str) -> Answer:
    if not number.isdecimal() or not workspace.faults.remove(int(number)):
        raise not_found(f"There is no fault {number!r}")
    return Answer(204)


def _seed(workspace: Workspace, call: Call) -> Answer:
    """Kinds are sown in the order of KINDS, parents before children, whatever the order in the body."""
    body = _body(call)
    if not isinstance(body, dict) or not all(isinstance(records, list) for records in body.values()):
        raise Refused(400, 'The body must be {"accounts": [...], ...}')
    unknown = [name for name in body if name not in KINDS]
    if unknown:
        raise not_found(f"{unknown[0]!r} is none of: {', '.join(KINDS)}")
    first = ("admins", "noteCategories", "taskCategories", "projectTemplates", "projectCategories", "customObjects")
    order = sorted(body, key=lambda name: (name not in first, list(KINDS).index(name)))
    return answer_json(201, {name: workspace.sow(name, body[name]) for name in order})


_ROUTES: dict[tuple[str, str], Callable[[Workspace, Call], Answer]] = {
    ("GET", ""): _page,
    ("GET", "state"): _state,
    ("GET", "journal"): _journal,
    ("DELETE", "journal"): _clear_journal,
    ("POST", "reset"): _reset,
    ("GET", "settings"): _settings,
    ("PATCH", "settings"): _change_settings,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "seed"): _seed,
}


def _body(call: Call) -> Any:
    try:
        return orjson.loads(call.body)
    except orjson.JSONDecodeError as wrong:
        raise Refused(400, f"Malformed JSON: {wrong}") from wrong


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise Refused(400, f"{name} must be a number")
    return int(text)


def _told(fault: Any) -> dict[str, str]:
    return {"switch": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}

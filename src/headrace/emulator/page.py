"""The page at `/emulator`: what Vitally now holds, what was asked last, and how the switches stand.

Plain HTML made on the server, no script, no assets; every value is escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import orjson

from headrace.emulator.journal import Entry
from headrace.emulator.kinds import KINDS
from headrace.emulator.shelf import Record
from headrace.emulator.state import State
from headrace.emulator.workspace import Workspace

_ROWS = 100
_REQUESTS = 50
_SHOWN = ("organizations", "accounts", "users")

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #1a7f4b; --look: #9a6700; --stop: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; --look: #d8a437; --stop: #ff7b6b; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 0 auto; padding: 16px; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0 16px; } .note { opacity: .75; }
.counts { display: flex; flex-wrap: wrap; gap: 8px; list-style: none; padding: 0; margin: 16px 0; }
.counts li { border: 1px solid var(--line); border-radius: 6px; padding: 4px 12px; }
.counts b { font-variant-numeric: tabular-nums; }
.table { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px; border-top: 1px solid var(--line); }
tr:first-child th { border-top: 0; background: var(--soft); white-space: nowrap; }
td { overflow-wrap: break-word; min-width: 64px; max-width: 440px; font-variant-numeric: tabular-nums; }
code, .code { font: 13px/1.5 ui-monospace, monospace; }
.good { color: var(--good); } .look { color: var(--look); } .stop { color: var(--stop); }
"""


def render_page(workspace: Workspace) -> str:
    """The whole page. The caller holds the workspace's lock."""
    state = workspace.settle()
    counts = {name: count for name, count in state.counts().items() if count or name in (*_SHOWN, "events")}
    waiting = f"<p>{workspace.waiting:,} accepted messages are not visible yet.</p>" if workspace.waiting else ""
    return "".join(
        (
            "<!doctype html><html lang=en><meta charset=utf-8>",
            '<meta name=viewport content="width=device-width, initial-scale=1">',
            f"<title>Vitally emulator</title><style>{_STYLE}</style>",
            "<h1>Vitally emulator</h1>",
            "<p class=note>Not Vitally: a stand-in that holds everything in memory until it stops.</p>",
            "<ul class=counts>",
            *(f"<li>{escape(_words(name))} <b>{count:,}</b></li>" for name, count in counts.items()),
            f"</ul>{waiting}",
            *_held(state),
            *_requests(workspace),
            _settings(workspace),
        )
    )


def _held(state: State) -> Iterable[str]:
    kept = {name: _newest(state, name) for name in _SHOWN}
    yield _section(
        "Organizations",
        len(state.shelves["organizations"]),
        ("External id", "Name", "Accounts", "Traits", "Updated"),
        [
            (_id(each), _text(each["name"]), f"{each['accountsCount']:,}", _traits(each), _text(each["updatedAt"]))
            for each in kept["organizations"]
        ],
    )
    organizations = state.shelves["organizations"].records
    yield _section(
        "Accounts",
        len(state.shelves["accounts"]),
        ("External id", "Name", "Organization", "Users", "Traits", "Updated"),
        [
            (
                _id(each),
                _text(each["name"]),
                _name(organizations.get(each["organizationId"])),
                f"{each['usersCount']:,}",
                _traits(each),
                _text(each["updatedAt"]),
            )
            for each in kept["accounts"]
        ],
    )
    yield _section(
        "Users",
        len(state.shelves["users"]),
        ("External id", "Name", "Email", "Accounts", "Organizations", "Traits", "Updated"),
        [
            (
                _id(each),
                _text(each["name"]) + (" (marked for deletion)" if each["id"] in state.user_deletions else ""),
                _text(each["email"]),
                ", ".join(map(_name, each["accounts"])),
                ", ".join(map(_name, each["organizations"])),
                _traits(each),
                _text(each["updatedAt"]),
            )
            for each in kept["users"]
        ],
    )
    yield _section(
        "Events",
        len(state.events),
        ("Event", "User", "Account", "Properties", "Time"),
        [
            (
                _text(each["event"]),
                _text(each["userId"]),
                _text(each["attachedAccountId"]),
                _json(each["properties"]),
                _text(each["timestamp"]),
            )
            for each in reversed(state.events[-_ROWS:])
        ],
    )


def _requests(workspace: Workspace) -> Iterable[str]:
    yield _section(
        "Requests",
        len(workspace.journal),
        ("No.", "Time (UTC)", "Request", "Status", "Body", "Answer"),
        [
            (
                f"{entry.number:,}",
                entry.at_utc.strftime("%H:%M:%S"),
                f"<code>{escape(entry.method)} {escape(entry.path)}</code>",
                _status(entry),
                _code(entry.body.decode(errors="replace")),
                _code(entry.answer_body.decode(errors="replace")),
            )
            for entry in workspace.journal.last(_REQUESTS)
        ],
    )


def _settings(workspace: Workspace) -> str:
    switches = workspace.settings.model_dump(mode="json", by_alias=True)
    switches["faults"] = [each.as_json() for each in workspace.faults]
    rows = [(f"<code>{escape(name)}</code>", _json(value)) for name, value in switches.items()]
    return _section("Settings", len(rows), ("Switch", "Value"), rows)


def _section(title: str, total: int, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    shown = f"newest {len(rows):,} of {total:,}" if total > len(rows) else f"{total:,}"
    table = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th scope=col>{escape(each)}</th>" for each in heads)
    empty = "" if rows else f"<tr><td colspan={len(heads)}>None yet.</td></tr>"
    return (
        f"<h2>{escape(title)} <span class=note>({shown})</span></h2>"
        f'<div class=table role=region tabindex=0 aria-label="{escape(title)}">'
        f"<table><tr>{head}</tr>{table}{empty}</table></div>"
    )


def _newest(state: State, name: str) -> list[Record]:
    shelf = state.shelves[name]
    order = shelf.in_order("updatedAt")[: -_ROWS - 1 : -1]
    return [state.render(KINDS[name], shelf.records[each]) for _, each in order]


def _status(entry: Entry) -> str:
    if entry.status is None:
        return f"<span class=stop>no answer ({escape(entry.fault or '')})</span>"
    colour = "good" if entry.status < 400 else "stop" if entry.status >= 500 else "look"
    return f"<span class={colour}>{entry.status}{' (fault)' if entry.fault else ''}</span>"


def _id(record: Record) -> str:
    return f'<code title="{escape(record["id"])}">{escape(str(record["externalId"]))}</code>'


def _name(record: Record | None) -> str:
    return "" if record is None else _text(record["name"] or record["externalId"])


def _traits(record: Record) -> str:
    lines = (f"{escape(key)}: {escape(orjson.dumps(value).decode())}" for key, value in record["traits"].items())
    return f"<span class=code>{'<br>'.join(lines)}</span>"


def _json(value: Any) -> str:
    return _code(orjson.dumps(value).decode())


def _code(text: str) -> str:
    return f"<code>{escape(text if len(text) <= 300 else text[:300] + '...')}</code>"


def _text(value: Any) -> str:
    return "" if value is None else escape(str(value))


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)

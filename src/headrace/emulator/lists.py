"""Pages of a list: newest first, at most 100, with an opaque cursor.  vitally.md 4.1"""

import base64
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from headrace.emulator.answers import Refused
from headrace.emulator.kinds import Kind
from headrace.emulator.shelf import Record, sorted_ids
from headrace.emulator.state import State

_MAX_LIMIT = 100


def read_page(
    state: State,
    kind: Kind,
    query: dict[str, str],
    keep: Callable[[Record], bool] | None = None,
    among: Iterable[Record] | None = None,
) -> dict[str, Any]:
    """`{"results": [...], "next": cursor or null}`; `among` is the records to choose from, else all of the kind.

    Raises Refused (400) for a bad limit, sortBy or cursor.
    """
    limit = _read_limit(state, query)
    sort_by = query.get("sortBy") or "updatedAt"
    if sort_by not in ("createdAt", "updatedAt"):
        raise Refused(400, "sortBy must be one of: createdAt, updatedAt")
    shelf = state.shelves[kind.name]
    order = shelf.in_order(sort_by) if among is None else sorted_ids(among, sort_by)
    position = bisect_left(order, _read_cursor(query["from"])) if query.get("from") else len(order)
    page: list[Record] = []
    while position > 0 and len(page) <= limit:
        position -= 1
        record = shelf.records[order[position][1]]
        if keep is None or keep(record):
            page.append(record)
    has_more = len(page) > limit
    page = page[:limit]
    cursor = _write_cursor(page[-1][sort_by], page[-1]["id"]) if has_more else None
    answer = {"results": [state.render(kind, record) for record in page], "next": cursor}
    return answer | {"atEnd": cursor is None} if state.settings.emit_at_end else answer


def read_flag(query: dict[str, str], name: str) -> bool:
    """A query parameter that is `true` or `false`. Raises Refused (400) for anything else."""
    value = query.get(name) or "false"
    if value not in ("true", "false"):
        raise Refused(400, f"{name} must be true or false")
    return value == "true"


def _read_limit(state: State, query: dict[str, str]) -> int:
    text = query.get("limit") or str(_MAX_LIMIT)
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise Refused(400, "limit must be a number from 1 to 100")
    if int(text) > _MAX_LIMIT and state.settings.limit_over_100 == "400":
        raise Refused(400, "limit must be at most 100")
    return min(int(text), _MAX_LIMIT)


def _write_cursor(sort_value: str, record_id: str) -> str:
    """Base64 of JSON; a documented sample begins as this one does.  vitally.md 4.1, DOC and INF"""
    return base64.b64encode(orjson.dumps({"sortValue": sort_value, "id": record_id})).decode()


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        found = orjson.loads(base64.b64decode(cursor, validate=True))
        sort_value, record_id = found["sortValue"], found["id"]
    except (ValueError, KeyError, TypeError) as wrong:
        raise Refused(400, "from is not a cursor of ours") from wrong
    if not isinstance(sort_value, str) or not isinstance(record_id, str):
        raise Refused(400, "from is not a cursor of ours")
    return sort_value, record_id

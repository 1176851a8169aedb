"""What answers of every HTTP API have in common: how long they ask to wait, and their own words out of the body."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

import orjson

from headrace.domain.request import Response

LONGEST_WAIT_S = 900.0
"""No answer makes us wait longer, whatever it says: a floor of days is a mistake of somebody's clock."""


def retry_floor(answer: Response) -> float:
    """The seconds before which the answer asks not to come back: Retry-After, else RateLimit-Reset on a 429.

    `RateLimit-Reset` is relative seconds, as the IETF's draft of these headers has it.
    """
    floor = _seconds(answer.headers.get("retry-after"), since=answer.headers.get("date"))
    if floor is None and answer.status == 429:
        floor = max(_seconds(answer.headers.get("ratelimit-reset")) or 1.0, 1.0)
    return min(floor or 0.0, LONGEST_WAIT_S)


def _seconds(text: str | None, since: str | None = None) -> float | None:
    """Seconds from `12`, or from an HTTP date; None where it is neither.

    `since` is the `Date` of the same answer: the clock of the one who wrote both. Ours may differ by hours.
    """
    if not text:
        return None
    try:
        return max(float(text), 0.0) if float(text) == float(text) else None
    except ValueError:
        pass
    if (instant := _http_date(text)) is None:
        return None
    return max((instant - (_http_date(since or "") or datetime.now(UTC))).total_seconds(), 0.0)


def _http_date(text: str) -> datetime | None:
    try:
        instant = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def words(answer: Response) -> str:
    """The destination's own words: `error`, `message` or `detail` of a JSON object, else the start of the body."""
    document = parsed(answer)
    for key in ("error", "message", "detail"):
        said = document.get(key)
        if isinstance(said, str) and said:
            return said[:500]
        if said:
            return orjson.dumps(said).decode()[:500]
    return answer.body[:200].decode(errors="replace").strip() or "no body"


def parsed(answer: Response) -> dict[str, object]:
    """The body as an object; empty where it is none."""
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}

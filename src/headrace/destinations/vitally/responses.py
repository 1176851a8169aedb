"""What an answer of Vitally's REST API means, as one table; and Vitally's own words out of its body."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

import orjson

from headrace.destinations import Retry, Stop
from headrace.domain.outcome import RowFault
from headrace.domain.request import NoResponse, Request, Response

LONGEST_WAIT_S = 900.0
"""No answer makes us wait longer, whatever it says: a floor of days is a mistake of somebody's clock."""

_RETRIED = frozenset({408, 425, 429})
_TOKEN = {"rest": "REST API token", "analytics": "Analytics API token"}


def common_verdict(request: Request, answer: Response | NoResponse) -> Retry | Stop | None:
    """The verdict that does not depend on what was asked: nothing came, not let in, busy, broken, sent elsewhere.

    None where the answer speaks about the record (2xx and the other 4xx).
    """
    if isinstance(answer, NoResponse):
        return Retry(answer.reason)
    status = answer.status
    if status in (401, 403):
        return Stop(
            "credentials_refused",
            f"Vitally refused the {_TOKEN.get(request.api, 'token')} ({status}: {words(answer)}). "
            "Check that the token is whole and not revoked, and that the region is the one your workspace is in "
            "(a token of the EU is unknown in the US). `headrace destinations test` tries each token.",
        )
    if status in _RETRIED or status >= 500:
        return Retry(f"{status}: {words(answer)}", retry_floor(answer), pause=status == 429)
    if 300 <= status < 400:
        return Stop(
            "destination_misconfigured",
            f"Vitally answered {status}, a redirect to {answer.headers.get('location', 'nowhere')}. Redirects are "
            "never followed, since they would carry the token along. Check region, subdomain and rest_url.",
        )
    return None


def retry_floor(answer: Response) -> float:
    """The seconds before which the answer asks not to come back: Retry-After, else RateLimit-Reset on a 429.

    vitally 3.1: `RateLimit-Reset` is relative seconds; Retry-After is documented nowhere and honoured if it comes.
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
    """Vitally's own words: `error`, else `message` (vitally 4.3), else the start of the body."""
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


def rejected(answer: Response) -> RowFault:
    """The fault of a row that Vitally refused."""
    said = words(answer)
    return RowFault("destination_rejected", f"Vitally refused the row ({answer.status}): {said}", theirs=said)

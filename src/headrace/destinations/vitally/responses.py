"""What an answer of Vitally's APIs means, as one table.

vitally 3.1: `RateLimit-Reset` is relative seconds; Retry-After is documented nowhere and honoured if it comes.
vitally 4.3: its own words stand in `error`, else in `message`.
"""

from __future__ import annotations

from headrace.destinations import Retry, Stop
from headrace.destinations.answers import retry_floor, words
from headrace.domain.outcome import RowFault
from headrace.domain.request import NoResponse, Request, Response

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


def rejected(answer: Response) -> RowFault:
    """The fault of a row that Vitally refused."""
    said = words(answer)
    return RowFault("destination_rejected", f"Vitally refused the row ({answer.status}): {said}", theirs=said)

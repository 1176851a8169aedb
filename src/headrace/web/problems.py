"""Faults over HTTP: problem documents (RFC 9457) with our code, and for a configuration every finding at once."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from headrace.domain.errors import Bug, ConfigurationError, HeadraceError, NotFound, UserError

MEDIA_TYPE = "application/problem+json"
_STATUS = {
    "signed_out": 401,
    "sign_in_failed": 401,
    "forbidden": 403,
    "cross_site": 403,
    "key_in_address": 400,
    "host_unknown": 421,
    "body_too_large": 413,
    "too_many_tries": 429,
    "busy": 503,
    "changed_meanwhile": 412,
    "sync_busy": 409,
    "in_use": 409,
    "name_taken": 409,
    "run_ended": 409,
    "run_not_held": 409,
    "approval_expired": 409,
    "idempotency_key_reused": 409,
    "last_admin": 409,
}
_TITLES = {
    400: "Wrong request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible now",
    412: "Changed meanwhile",
    405: "Wrong method",
    413: "Too large",
    421: "Wrong host",
    422: "Faults in the configuration",
    429: "Too many tries",
    500: "A bug in Headrace",
    502: "Another system failed",
    503: "Not available now",
}
STATUSES = tuple(_TITLES)


def status_of(error: HeadraceError) -> int:
    """The HTTP status that a fault is answered with."""
    match error:
        case Bug():
            return 500
        case NotFound():
            return 404
        case ConfigurationError():
            return 422
        case UserError():
            return _STATUS.get(error.code, 400)
        case _:
            return 503 if error.code.startswith("store_") else 502


def problem_of(error: HeadraceError) -> Response:
    """The answer that tells a fault."""
    status = status_of(error)
    findings = (
        [{"code": one.code, "message": one.message, "path": one.path} for one in error.findings]
        if isinstance(error, ConfigurationError)
        else None
    )
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if (wait := error.facts.get("retry_after_s")) is not None:
        headers["Retry-After"] = str(wait)
    return problem(status, error.code, error.message, findings, headers)


def problem(
    status: int,
    code: str,
    detail: str,
    findings: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    document: dict[str, Any] = {
        "type": f"/docs/codes#{code}",
        "title": _TITLES.get(status, "Not possible"),
        "status": status,
        "detail": detail,
        "code": code,
    }
    if findings is not None:
        document["findings"] = findings
    return Response(orjson.dumps(document), status, headers, MEDIA_TYPE)


def unexpected(error: Exception) -> Response:
    """The edge of a request: what no one foresaw is told without its inside. The server logs it whole."""
    detail = f"This is a bug in Headrace: {type(error).__name__}. The server's log has the rest; please report it."
    return problem(500, "bug", detail)

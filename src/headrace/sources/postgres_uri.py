"""The address of a Postgres source from its settings, and the hiding of its password in every error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from headrace.domain.errors import UserError

_PARTS = {"host": "host", "port": "port", "database": "dbname", "user": "user", "password": "password"}
_CONNECT_TIMEOUT_S = 10
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def connection_uri(settings: Mapping[str, Any]) -> tuple[str, str]:
    """What libpq is given, and the secret within it ("" where there is none).

    Raises UserError when there is neither url nor host, or when sslmode is none of libpq's.
    """
    url = settings.get("url")
    if url:
        return _with_timeout(str(url)), _password_of(str(url))
    if not settings.get("host"):
        raise UserError(
            "A postgres source needs url, or host, port, database, user and password.",
            code="setting_missing",
            setting="url",
        )
    mode = settings.get("sslmode")
    if mode is not None and mode not in _MODES:
        raise UserError(
            f'sslmode is "{mode}"; it must be one of {", ".join(_MODES)}.', code="setting_invalid", setting="sslmode"
        )
    parts = {libpq: settings.get(ours) for ours, libpq in _PARTS.items()} | {
        "sslmode": mode,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "keepalives_idle": 30,
        "application_name": "headrace",
    }
    text = " ".join(f"{name}={_value(str(value))}" for name, value in parts.items() if value not in (None, ""))
    return text, str(settings.get("password") or "")


def without_secret(words: str, secret: str) -> str:
    """The words with the secret masked, as it is written and as it was escaped."""
    for shape in {secret, unquote(secret)} - {""}:
        words = words.replace(shape, "***")
    return words


def _password_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        given = parts.password or (parse_qs(parts.query).get("password") or [""])[0]
    except ValueError:
        given = ""
    if given:
        return given
    # A url that can't be taken apart: all between the scheme's colon and the last @ is hidden.
    return url.rpartition("@")[0].rpartition(":")[2].lstrip("/") if "://" in url else url


def _with_timeout(url: str) -> str:
    """A server that does not answer must not hold a run for minutes, unless the url says how long it may."""
    if "connect_timeout" in url:
        return url
    if "://" not in url:
        return f"{url} connect_timeout={_CONNECT_TIMEOUT_S}"
    return f"{url}{'&' if '?' in url else '?'}connect_timeout={_CONNECT_TIMEOUT_S}"


def _value(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

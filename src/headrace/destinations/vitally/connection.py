"""Where Vitally is and how one proves who one is: region, hosts, tokens.

In: the settings of a destination as a person wrote them. Out: base URLs and headers. Tokens come in resolved and leave
only through `authorize`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from headrace.destinations import Limits, RateLimit
from headrace.destinations.settings import BaseUrl, Ceiling, RateLimitSetting
from headrace.domain.config import SecretRef, Span
from headrace.domain.spec import Secret

Region = Literal["us", "eu"]

# vitally 1. US hosts carry the workspace's subdomain; the bare host still answers (OBS). The EU has one shared host.
# The Analytics host of the EU is documented nowhere: the analogy is a guess, and `analytics_url` overrides it.
_HOSTS: dict[tuple[str, Region], str] = {
    ("rest", "us"): "https://{dot}rest.vitally.io",
    ("rest", "eu"): "https://rest.vitally-eu.io",
    ("analytics", "us"): "https://{dot}api.vitally.io",
    ("analytics", "eu"): "https://api.vitally-eu.io",
}
# What a request with a body says of it, and of the answer.
JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_BARE_HOSTS = frozenset({"rest.vitally.io", "api.vitally.io", "www.vitally.io", "vitally.io"})
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")

REST_TOKEN = Secret(
    "rest_api_token",
    "REST API token",
    (
        "In Vitally, open Settings (the gear, or your account's logo) and then Integrations.",
        "Choose the card Vitally REST API and switch it on.",
        "Generate a key and copy its Basic Auth Header. The Secret Token works as well.",
    ),
)
ANALYTICS_TOKEN = Secret(
    "analytics_api_token",
    "Analytics API token",
    (
        "In Vitally, open Settings and then Integrations.",
        "Choose the card Vitally Analytics API and switch it on.",
        'Open "Integrate via HTTPS API" and copy the API key.',
    ),
)


class VitallySettings(BaseModel):
    """The settings of a Vitally destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region = Field(description="Where your Vitally workspace lives: us or eu. It switches both hosts.")
    subdomain: str | None = Field(
        default=None, description="US only, optional: the first part of the address you log in at (acme.vitally.io)."
    )
    rest_api_token: SecretRef | None = Field(default=None, description="Needed by REST objects.")
    analytics_api_token: SecretRef | None = Field(default=None, description="Needed by analytics objects and events.")
    rest_url: BaseUrl | None = Field(default=None, description="Another host for REST: the emulator, a proxy.")
    analytics_url: BaseUrl | None = Field(default=None, description="Another host for Analytics.")
    rate_limit: Ceiling = Field(
        default=RateLimitSetting(requests=1000, per_seconds=60),
        description="Ceiling for REST, or none. Vitally's documented default is 1000 a minute; answers tighten it.",
    )
    analytics_rate_limit: Ceiling = Field(default=None, description="Ceiling for Analytics. None is documented.")
    concurrency: int = Field(default=32, ge=1, le=512, description="REST requests under way at once.")
    analytics_concurrency: int = Field(default=4, ge=1, le=64, description="Analytics batches under way at once.")
    analytics_batch_messages: int = Field(
        default=100, ge=1, le=100, description="Messages in a batch. 100 is the most that Vitally takes."
    )
    analytics_batch_bytes: int = Field(
        default=500_000,
        ge=1_000,
        le=10_000_000,
        description="Bytes of a batch. Vitally documents no limit; a batch that is refused as too large is halved.",
    )
    timeout: Span = Field(default=timedelta(seconds=30), description="How long to wait for an answer.")

    @model_validator(mode="before")
    @classmethod
    def _read_subdomain(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or not isinstance(raw.get("subdomain"), str):
            return raw
        given = raw["subdomain"].strip().lower()
        host = urlsplit(given if "//" in given else f"//{given}").hostname or given
        eu = host.endswith("vitally-eu.io")
        if eu and raw.get("region") == "us":
            raise ValueError(f'The subdomain "{given}" is an address of the EU, the region says us. Set region: eu')
        if raw.get("region") == "eu":
            raise ValueError("The EU has one shared host and takes no subdomain. Leave it out")
        if host in _BARE_HOSTS:
            return {**raw, "subdomain": None}
        label = host.split(".")[0]
        if not _LABEL.match(label):
            raise ValueError(f'The subdomain "{given}" is not one. Write the first part of your address: acme')
        return {**raw, "subdomain": label}

    def base_url(self, api: str) -> str:
        """Where requests of that API go, without a slash at the end."""
        override = self.rest_url if api == "rest" else self.analytics_url
        dot = f"{self.subdomain}." if self.subdomain else ""
        return override or _HOSTS[(api, self.region)].format(dot=dot)


def rest_header(pasted: str) -> str:
    """The REST header from whatever a person pasted: header, its base64 part, or the raw key. Never encodes twice.

    vitally 2.1: user name is the key, the password is empty; real keys start with `sk_`.
    """
    token, is_header = _without_scheme(pasted)
    key = None if token.startswith("sk_") else _key_inside(token)
    if key is None and is_header and not token.startswith("sk_"):
        return f"Basic {token}"
    return "Basic " + base64.b64encode(f"{(key or token).rstrip(':')}:".encode()).decode()


def analytics_header(pasted: str) -> str:
    """The Analytics header: the key goes raw after `Basic ` (vitally 2.2)."""
    return f"Basic {_without_scheme(pasted)[0]}"


def _without_scheme(pasted: str) -> tuple[str, bool]:
    """What stands after `Authorization:` and `Basic`, and whether `Basic` stood there."""
    token = _bare(pasted)
    name, colon, rest = token.partition(":")
    if colon and _bare(name).lower() == "authorization":
        token = _bare(rest)
    scheme, *rest_of_it = token.split(maxsplit=1)[:2] or [""]
    return (rest_of_it[0], True) if rest_of_it and scheme.lower() == "basic" else (token, False)


def _bare(text: str) -> str:
    return text.strip().strip("\"',").strip()


def _key_inside(token: str) -> str | None:
    """The key that base64 text holds, also where its padding was lost; None where it is no such text."""
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), validate=True).decode()
    except ValueError:  # not base64, not text, not ASCII
        return None
    return text.partition(":")[0] if text.endswith(":") or text.startswith("sk_") else None


class Connection:
    """A Vitally workspace to talk to: settings, and tokens that only `authorize` gives out."""

    def __init__(self, settings: VitallySettings, secrets: Mapping[str, str]) -> None:
        self.settings = settings
        self._headers = {}
        if token := secrets.get(REST_TOKEN.name):
            self._headers["rest"] = rest_header(token)
        if token := secrets.get(ANALYTICS_TOKEN.name):
            self._headers["analytics"] = analytics_header(token)

    def __repr__(self) -> str:
        return f"Connection({self.settings.base_url('rest')})"

    def has(self, api: str) -> bool:
        return api in self._headers

    def url(self, api: str, path: str) -> str:
        return self.settings.base_url(api) + path

    def authorize(self, api: str) -> Mapping[str, str]:
        return {"Authorization": self._headers[api]} if api in self._headers else {}

    def limits(self, api: str) -> Limits:
        settings = self.settings
        ceiling = settings.rate_limit if api == "rest" else settings.analytics_rate_limit
        base = settings.base_url(api)
        credential = hashlib.sha256(f"{api}\0{base}\0{self._headers.get(api)}".encode()).hexdigest()[:24]
        return Limits(
            rate=RateLimit(ceiling.requests, ceiling.per_seconds) if ceiling else None,
            concurrency=settings.concurrency if api == "rest" else settings.analytics_concurrency,
            timeout_s=settings.timeout.total_seconds(),
            credential=credential,
        )

"""Where an HTTP API is and how one proves who one is: base address, headers, credentials, limits.

In: the settings of a destination as a person wrote them. Out: addresses and headers. Secrets come in resolved and leave
only through `authorize`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from headrace.destinations import Limits, Probe, RateLimit
from headrace.destinations.answers import words
from headrace.destinations.http.addresses import Address
from headrace.destinations.settings import BaseUrl, Ceiling
from headrace.domain.config import SecretRef, Span
from headrace.domain.errors import UserError
from headrace.domain.request import NoResponse, Request, Response
from headrace.domain.spec import Secret

API = "http"

BEARER_TOKEN = Secret(
    "bearer_token",
    "Bearer token",
    ("Take it from the API's own settings.", "It is sent as `Authorization: Bearer ...`."),
)
BASIC_PASSWORD = Secret(
    "basic_password",
    "Password for Basic authentication",
    ("Write the user's name under `basic_user`.", "Both are sent as `Authorization: Basic ...`."),
)
SECRET_HEADERS = Secret(
    "secret_headers",
    "Secret headers",
    (
        "Write the header's name, and where its whole value is kept: `X-Api-Key: {env: CRM_KEY}`.",
        "The values are masked in calls, plans and exports.",
    ),
    many=True,
)

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "trailer", "te", "expect"})
_CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "apikey", "x-auth-token"}
)


def _header_name(name: str) -> str:
    if not _HEADER.match(name):
        raise ValueError("is no name of a header: letters, digits and dashes")
    if name.lower() in _OURS:
        raise ValueError("is a header that the program itself writes. Take it out")
    return name


def _open_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _CREDENTIALS:
            raise ValueError(f"holds {name}, which is a secret. Write it under secret_headers of the destination")
        if not _can_be_sent(value):
            raise ValueError(f"holds a line break or another character in {name} that no header can carry")
    return headers


def _can_be_sent(value: str) -> bool:
    return value.isprintable() and value == value.strip()


HeaderName = Annotated[str, AfterValidator(_header_name)]
Headers = Annotated[dict[HeaderName, str], AfterValidator(_open_headers)]


def _fixed_path(text: str) -> str:
    if Address(text).names:
        raise ValueError("can't depend on a row: take the placeholders out")
    return text


FixedPath = Annotated[str, AfterValidator(_fixed_path)]


class ProbeSettings(BaseModel):
    """A harmless request, for `destinations test`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["GET", "HEAD", "POST"] = Field(default="GET", description="A POST is sent without a body.")
    path: FixedPath = Field(description="Appended to `base_url`.")


class HttpSettings(BaseModel):
    """The settings of an HTTP destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: BaseUrl = Field(
        description="Every request goes below it, and none elsewhere: `https://api.example.com/v2`."
    )
    bearer_token: SecretRef | None = Field(default=None, description="Sent as `Authorization: Bearer ...`.")
    basic_user: str | None = Field(default=None, description="With `basic_password`: Basic authentication.")
    basic_password: SecretRef | None = Field(default=None, description="With `basic_user`.")
    secret_headers: dict[HeaderName, SecretRef] = Field(
        default_factory=dict, description="Headers whose whole value is a secret; masked wherever a request is shown."
    )
    headers: Headers = Field(default_factory=dict, description="Headers of every request.")
    probe: ProbeSettings | None = Field(
        default=None, description="What `headrace destinations test` sends. Without it nothing is known to be harmless."
    )
    rate_limit: Ceiling = Field(default=None, description="Ceiling for all requests, or none. Answers tighten it.")
    concurrency: int = Field(default=8, ge=1, le=512, description="Requests under way at once.")
    timeout: Span = Field(default=timedelta(seconds=30), description="How long to wait for an answer.")

    @model_validator(mode="after")
    def _one_credential(self) -> HttpSettings:
        names = [one.lower() for one in (*self.headers, *self.secret_headers)]
        for secret, given in ((BEARER_TOKEN, self.bearer_token), (BASIC_PASSWORD, self.basic_password)):
            names += ["authorization"] if given is not None else []
            if given is not None and "authorization" in names[:-1]:
                raise ValueError(f"Authorization is said twice. Leave one of {secret.name} and the other way")
        if len(set(names)) < len(names):
            twice = next(one for one in names if names.count(one) > 1)
            raise ValueError(f"The header {twice} is said twice. Leave one of them")
        if (self.basic_user is None) != (self.basic_password is None):
            raise ValueError("basic_user and basic_password belong together. Write both, or none")
        return self


def merged(*headers: Mapping[str, str]) -> dict[str, str]:
    """All of them; where two have one name, whatever its case, the later one."""
    found: dict[str, tuple[str, str]] = {}
    for one in headers:
        found |= {name.lower(): (name, value) for name, value in one.items()}
    return dict(found.values())


class Connection:
    """An HTTP API to talk to: settings, and secrets that only `authorize` gives out."""

    def __init__(self, settings: HttpSettings, secrets: Mapping[str, str]) -> None:
        self.settings = settings
        self._secret_headers = {}
        if token := secrets.get(BEARER_TOKEN.name):
            is_whole = token.lower().startswith("bearer ")
            self._secret_headers["Authorization"] = token if is_whole else f"Bearer {token}"
        elif (password := secrets.get(BASIC_PASSWORD.name)) and settings.basic_user is not None:
            pair = base64.b64encode(f"{settings.basic_user}:{password}".encode()).decode()
            self._secret_headers["Authorization"] = f"Basic {pair}"
        for name in settings.secret_headers:
            if value := secrets.get(f"{SECRET_HEADERS.name}.{name}"):
                self._secret_headers[name] = value
        for name, value in self._secret_headers.items():
            if not _can_be_sent(value):
                message = (
                    f"The secret for the header {name} holds a line break or another character that no header can "
                )
                raise UserError(f"{message}carry. Set it again, on one line.", code="setting_invalid", header=name)
        self._missing = [
            one
            for one, reference in (
                (BEARER_TOKEN.name, settings.bearer_token),
                (BASIC_PASSWORD.name, settings.basic_password),
                *((f"{SECRET_HEADERS.name}.{name}", settings.secret_headers[name]) for name in settings.secret_headers),
            )
            if reference is not None and one not in secrets
        ]

    def __repr__(self) -> str:
        return f"Connection({self.settings.base_url})"

    def open_headers(self, *others: Mapping[str, str]) -> Mapping[str, str]:
        """Those of the destination and these, later ones before earlier. A secret header is never said openly too."""
        secret = {name.lower() for name in self._secret_headers}
        found = merged({"Accept": "application/json"}, self.settings.headers, *others)
        return {name: value for name, value in found.items() if name.lower() not in secret}

    def authorize(self, api: str) -> Mapping[str, str]:
        return self._secret_headers

    def limits(self, api: str) -> Limits:
        settings = self.settings
        ceiling = settings.rate_limit
        told = "\0".join([settings.base_url, *(f"{name}:{value}" for name, value in self._secret_headers.items())])
        return Limits(
            rate=RateLimit(ceiling.requests, ceiling.per_seconds) if ceiling else None,
            concurrency=settings.concurrency,
            timeout_s=settings.timeout.total_seconds(),
            credential=hashlib.sha256(told.encode()).hexdigest()[:24],
        )

    # The connection test ------------------------------------------------------------------------------------------

    def probes(self) -> Sequence[Probe]:
        """The request that the settings name; none while a secret is missing, since it would prove nothing."""
        missing = [Probe(name, None, "Not set. Every sync of this destination needs it.") for name in self._missing]
        probe = self.settings.probe
        if missing:
            return missing
        if probe is None:
            note = "Can't be tested: no request is known to be harmless. Name one: probe: {method: GET, path: /me}"
            return [Probe("base_url", None, note)]
        url = self.settings.base_url + Address(probe.path).fill({})
        return [Probe("base_url", Request(probe.method, url, API, "test", headers=self.open_headers()))]

    def read_probe(self, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
        assert probe.request is not None
        url = probe.request.url.split("?")[0]
        if isinstance(answer, NoResponse):
            mend = "Check base_url, and that this machine may reach it."
            return "unreachable", f"{url} could not be reached ({answer.reason}). {mend}"
        if answer.status < 300:
            return "fine", f"{url} answered {answer.status}."
        if answer.status in (401, 403):
            said = f"{url} refused the credential ({answer.status}: {words(answer)})."
            return "refused", f"{said} Check bearer_token, basic_password or secret_headers."
        return "failed", f"{url} answered {answer.status}: {words(answer)}. Check base_url and probe."

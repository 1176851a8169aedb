"""A started emulator with a clock moved by hand, and callers that speak plain HTTP to it."""

import base64
import http.client
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from headrace.emulator import Emulator


class HandClock:
    """Time that moves only when told."""

    def __init__(self):
        self.seconds = 1000.0
        self.start = datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self):
        return self.seconds

    def now(self):
        return self.start + timedelta(seconds=self.seconds - 1000)

    def advance(self, seconds):
        self.seconds += seconds


@dataclass(frozen=True)
class Reply:
    """An answer as a client sees it; `json` is None where the body is none."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self):
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Caller:
    """Sends requests with one Authorization value (None: without), each on a connection of its own."""

    def __init__(self, vitally, prefix, authorization):
        self.vitally = vitally
        self.prefix = prefix
        self.authorization = authorization

    def __call__(self, method, path, body=None, *, raw=None, headers=None, timeout=10):
        sent = {} if self.authorization is None else {"Authorization": self.authorization}
        if body is not None or raw is not None:
            sent["Content-Type"] = "application/json"
        with closing(http.client.HTTPConnection(self.vitally.url[len("http://") :], timeout=timeout)) as connection:
            payload = raw if raw is not None else None if body is None else orjson.dumps(body)
            connection.request(method, self.prefix + path, payload, sent | (headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), dict(answer.headers))

    def get(self, path):
        return self("GET", path)

    def post(self, path, body):
        return self("POST", path, body)

    def put(self, path, body):
        return self("PUT", path, body)

    def delete(self, path):
        return self("DELETE", path)

    def using(self, authorization):
        return Caller(self.vitally, self.prefix, authorization)


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def vitally(clock):
    with Emulator(clock=clock) as emulator:
        yield emulator


@pytest.fixture
def rest(vitally):
    return Caller(vitally, "/resources", basic("sk_live_test:"))


@pytest.fixture
def analytics(vitally):
    return Caller(vitally, "/analytics/v1", "Basic analytics_test")


@pytest.fixture
def control(vitally):
    return Caller(vitally, "/emulator", None)


@pytest.fixture
def acme(vitally):
    """An account with an organization over it and a user in it: ids by name."""
    (organization,) = vitally.seed("organizations", [{"externalId": "org-1", "name": "Acme Group"}])
    (account,) = vitally.seed("accounts", [{"externalId": "acc-1", "name": "Acme", "organizationId": "org-1"}])
    (user,) = vitally.seed("users", [{"externalId": "usr-1", "email": "Jo@Acme.com", "accountIds": ["acc-1"]}])
    return {"organization": organization["id"], "account": account["id"], "user": user["id"]}

"""Tokens as people paste them, and hosts as they come of region, subdomain and overrides."""

from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from headrace.destinations.vitally.connection import Connection, VitallySettings, analytics_header, rest_header

KEY = "sk_live_0123456789abcdef"
ENCODED = base64.b64encode(f"{KEY}:".encode()).decode()
WANTED = f"Basic {ENCODED}"


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        f"{KEY}:",
        ENCODED,
        ENCODED.rstrip("="),
        f"Basic {ENCODED}",
        f"basic {ENCODED}",
        f"Basic   {ENCODED}",
        f"Basic\t{ENCODED}",
        f"Basic {ENCODED.rstrip('=')}",
        f"Basic {KEY}",
        f"Authorization: Basic {ENCODED}",
        f"authorization:Basic {ENCODED}",
        f"Authorization: {ENCODED}",
        f'"Authorization": "Basic {ENCODED}"',
        f"'Authorization: Basic {ENCODED}'",
        f'Authorization: "Basic {ENCODED}"',
        f'  "{KEY}"  ',
        f"\n{KEY}\r\n",
        base64.b64encode(KEY.encode()).decode(),
        f"Basic {base64.b64encode(KEY.encode()).decode()}",
    ],
)
def test_every_form_of_a_rest_token_gives_the_one_header(pasted: str):
    """Each product asks for another form of it (vitally 2.1). Encoding an encoded one again is the classic mistake."""
    assert WANTED == rest_header(pasted)


@pytest.mark.parametrize("key", ["key-of-another-form", "abc:def", "c2VjcmV0", "ünïcode"])
def test_a_key_that_does_not_look_like_one_is_encoded_once(key: str):
    name = key.split(":")[0] if key.endswith(":") else key
    assert f"{name}:" == base64.b64decode(rest_header(key).removeprefix("Basic ")).decode()


@pytest.mark.parametrize("pasted", [WANTED, KEY, ENCODED, "anything", "c2VjcmV0X2tleTo="])
def test_a_header_made_of_a_header_is_the_same(pasted: str):
    once = rest_header(pasted)
    assert once == rest_header(once) == rest_header(f"Authorization: {once}")


@pytest.mark.parametrize("pasted", ["k3y", " k3y\n", "Basic k3y", "basic  k3y", "Authorization: Basic k3y", '"k3y"'])
def test_an_analytics_token_goes_raw_after_basic(pasted: str):
    """vitally 2.2: neither encoded nor followed by a colon."""
    assert "Basic k3y" == analytics_header(pasted)


def urls(**settings: object) -> tuple[str, str]:
    found = VitallySettings.model_validate(settings)
    return found.base_url("rest"), found.base_url("analytics")


@pytest.mark.parametrize(
    ("settings", "rest", "analytics"),
    [
        ({"region": "us"}, "https://rest.vitally.io", "https://api.vitally.io"),
        ({"region": "eu"}, "https://rest.vitally-eu.io", "https://api.vitally-eu.io"),
        ({"region": "us", "subdomain": "acme"}, "https://acme.rest.vitally.io", "https://acme.api.vitally.io"),
        ({"region": "us", "rest_url": "http://127.0.0.1:8790/"}, "http://127.0.0.1:8790", "https://api.vitally.io"),
        (
            {"region": "eu", "rest_url": "https://proxy.test/vitally/", "analytics_url": "http://p:1"},
            "https://proxy.test/vitally",
            "http://p:1",
        ),
    ],
)
def test_region_and_overrides_choose_the_hosts(settings: dict[str, object], rest: str, analytics: str):
    assert (rest, analytics) == urls(**settings)


@pytest.mark.parametrize(
    "pasted",
    [
        "acme",
        " ACME ",
        "acme.vitally.io",
        "https://acme.vitally.io",
        "https://acme.vitally.io/settings/integrations?x=1",
        "https://acme.rest.vitally.io/",
        "acme.api.vitally.io:443",
    ],
)
def test_a_pasted_address_is_understood_as_its_subdomain(pasted: str):
    assert "https://acme.rest.vitally.io" == urls(region="us", subdomain=pasted)[0]


@pytest.mark.parametrize(
    "pasted", ["https://rest.vitally.io", "rest.vitally.io", "api.vitally.io", "https://vitally.io"]
)
def test_the_host_without_a_subdomain_gives_none(pasted: str):
    """Taking `rest` for the workspace's name would ask a host that nobody has."""
    assert "https://rest.vitally.io" == urls(region="us", subdomain=pasted)[0]


@pytest.mark.parametrize(
    ("region", "subdomain", "said"),
    [
        ("us", "https://acme.vitally-eu.io", "region: eu"),
        ("us", "rest.vitally-eu.io", "region: eu"),
        ("eu", "acme", "no subdomain"),
        ("us", "-acme", "is not one"),
        ("us", "ac me", "is not one"),
        ("us", "a" * 64, "is not one"),
        ("us", "", "is not one"),
        ("mars", None, "us"),
    ],
)
def test_what_can_not_be_is_refused_with_the_mend(region: str, subdomain: str | None, said: str):
    with pytest.raises(ValidationError, match=said):
        VitallySettings.model_validate({"region": region, "subdomain": subdomain})


@pytest.mark.parametrize("url", ["ftp://x", "rest.vitally.io", "https://u:p@x", "https://x?y", "http://", 7])
def test_an_override_that_is_no_address_is_refused(url: object):
    with pytest.raises(ValidationError):
        VitallySettings.model_validate({"region": "us", "rest_url": url})


def connection(token: str, **settings: object) -> Connection:
    return Connection(VitallySettings.model_validate({"region": "us", **settings}), {"rest_api_token": token})


def test_one_credential_is_one_budget_however_it_was_pasted_and_its_name_does_not_give_it_away():
    limits = connection(KEY).limits("rest")
    assert limits.credential == connection(f" Basic {ENCODED}").limits("rest").credential
    assert limits.credential != connection("sk_live_other").limits("rest").credential
    assert limits.credential != connection(KEY, rest_url="http://x:1").limits("rest").credential
    assert KEY not in limits.credential
    assert ENCODED not in limits.credential


def test_limits_have_the_documented_defaults_and_none_means_none():
    limits = connection(KEY).limits("rest")
    assert (1000, 60, 32) == (limits.rate.requests, limits.rate.per_seconds, limits.concurrency)  # type: ignore[union-attr]
    assert connection(KEY).limits("analytics").rate is None
    assert connection(KEY, rate_limit="none").limits("rest").rate is None


def test_a_connection_shows_no_token():
    made = connection(KEY)
    assert KEY not in repr(made) + str(made)
    assert {} == made.authorize("analytics")
    assert {"Authorization": WANTED} == made.authorize("rest")

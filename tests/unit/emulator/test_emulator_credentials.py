"""Who is let in: each API has a key and a header of its own.  vitally.md 2, 10.2, 10.3"""

import base64

import pytest


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        f"Basic {b64('sk_live_test:')}",
        f"Basic {b64('sk_live_test:password')}",  # Airbyte may send one
        f"Basic {b64('sk_live_test')}",
        f"Basic {b64('sk_live_test:')}:",  # PostHog's stray colon
    ],
)
def test_rest_reads_the_user_name_up_to_the_first_colon(rest, header):
    """Shipped clients rely on this leniency."""
    reply = rest.using(header).get("/accounts")

    assert reply.status == 200


@pytest.mark.parametrize(
    "header",
    [
        "Basic sk_live_test",
        "Bearer sk_live_test",
        "sk_live_test",
        f"Basic {b64('sk_live_other:')}",
        f"Basic {b64(b64('sk_live_test:') + ':')}",  # the ready-made value, encoded once more
        f"Basic {b64('Basic ' + b64('sk_live_test:') + ':')}",
        "Basic %%%",
        f"Basic {b64('analytics_test:')}",
    ],
)
def test_rest_refuses_every_other_header(rest, header):
    """A token that was encoded twice must fail here, not first at the customer's."""
    reply = rest.using(header).get("/accounts")

    assert (reply.status, reply.json) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize("path", ["/accounts", "/nowhere"])
def test_rest_without_a_header_says_so(rest, path):
    """The one error text observed on the live service."""
    reply = rest.using(None).get(path)

    assert (reply.status, reply.json) == (401, {"error": "Authorization header not present."})


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic analytics_test", 200),
        (f"Basic {b64('analytics_test:')}", 401),  # the REST form: the likeliest bug of a client
        ("Basic analytics_test:", 401),
        ("analytics_test", 401),
        (f"Basic {b64('sk_live_test:')}", 401),
        (None, 401),
    ],
)
def test_analytics_takes_the_key_raw(analytics, header, status):
    """The Analytics key is sent as it is, not base64-encoded."""
    reply = analytics.using(header).post("/account", {"accountId": "a", "messageId": "1"})

    assert reply.status == status


def test_keys_are_a_switch(vitally, rest):
    """Several named keys may exist side by side, and one may be revoked."""
    vitally.configure(rest_keys=["sk_live_a", "sk_live_b"])

    statuses = [rest.using(f"Basic {b64(key + ':')}").get("/users").status for key in ("sk_live_a", "sk_live_b")]

    assert statuses == [200, 200]
    assert rest.get("/users").status == 401

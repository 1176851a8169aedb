"""Faults on demand: before the effect, after it, and never an answer."""

import http.client

import pytest

CUT = (http.client.RemoteDisconnected, ConnectionResetError)


def test_a_fault_answers_in_the_services_stead(vitally, rest):
    """With the status, body and headers given, and without any effect."""
    fault = vitally.add_fault(
        match={"method": "post", "path": "/resources/accounts"},
        status=429,
        body={"error": "slow"},
        headers={"Retry-After": "7"},
        times=1,
    )

    replies = [rest.post("/accounts", {"externalId": "x", "name": "x"}) for _ in range(2)]

    assert [each.status for each in replies] == [429, 200]
    assert (replies[0].json, replies[0].headers["Retry-After"]) == ({"error": "slow"}, "7")
    assert (fault.met, fault.fired) == (1, 1)


@pytest.mark.parametrize(("body", "answered"), [(None, b'{"error":"Service Unavailable"}'), ("<html>", b"<html>")])
def test_a_fault_may_answer_what_is_no_json(vitally, rest, body, answered):
    """Gateways do."""
    vitally.add_fault(status=503, body=body)

    assert rest.get("/users").body == answered


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, [500, 500, 500]),
        ({"method": "GET"}, [500, 200, 200]),
        ({"path": "/resources/accounts/"}, [200, 500, 200]),
        ({"path": "acc-[0-9]$"}, [200, 500, 200]),
        ({"body": '"accountId":"a"'}, [200, 200, 500]),
        ({"key": "sk_live_test"}, [500, 500, 200]),
        ({"key": "analytics_test", "method": "GET"}, [200, 200, 200]),
    ],
)
def test_a_fault_meets_only_what_it_matches(vitally, rest, analytics, acme, match, expected):
    """All parts of a match must hold; a missing one holds for everything."""
    vitally.add_fault(match=match, status=500)

    replies = [
        rest.get("/users"),
        rest.put("/accounts/acc-1", {"name": "x"}),
        analytics.post("/account", {"accountId": "a", "messageId": "1"}),
    ]

    assert [each.status for each in replies] == expected


def test_skip_and_times_choose_the_requests(vitally, rest):
    """The third and fourth of a run, say."""
    vitally.add_fault(status=500, skip=2, times=2)

    assert [rest.get("/users").status for _ in range(6)] == [200, 200, 500, 500, 200, 200]


@pytest.mark.parametrize(("action", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_connection_is_cut_before_or_after_the_effect(vitally, rest, action, made):
    """The client cannot tell which: it must be right in both cases."""
    vitally.add_fault(action=action, times=1)

    with pytest.raises(CUT):
        rest.post("/accounts", {"externalId": "x", "name": "x"})

    assert vitally.state.counts()["accounts"] == made
    (entry,) = vitally.journal
    assert (entry.status, entry.fault) == (None, action)
    assert rest.get("/accounts").status == 200


def test_a_hanging_request_is_taken_and_never_answered(vitally, rest):
    """Until the client gives up; the server goes on."""
    vitally.add_fault(action="hang", times=1)

    with pytest.raises(TimeoutError):
        rest("GET", "/users", timeout=0.05)

    assert [entry.fault for entry in vitally.requests(path="/resources/users")] == ["hang"]
    assert rest.get("/users").status == 200


def test_a_delay_alone_lets_the_request_pass(vitally, rest):
    """Slow is not broken."""
    vitally.add_fault(delay_ms=1)

    assert rest.get("/users").status == 200
    assert vitally.journal[0].fault == "pass"


def test_faults_of_the_settings_are_set_from_the_start_and_cleared(vitally, rest):
    """A file of faults is how the command line is told."""
    vitally.configure(faults=[{"match": {"path": "/resources"}, "status": 500}])

    before = rest.get("/users").status
    vitally.clear_faults()

    assert (before, rest.get("/users").status) == (500, 200)

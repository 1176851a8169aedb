"""The rate limit: two algorithms, three headers, no sleeping.  vitally.md 3"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.emulator.limits import SlidingWindow, TokenBucket, new_limiter
from headrace.emulator.settings import RateLimit


def headers(reply):
    return [reply.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]


def test_every_rest_answer_tells_the_budget(rest):
    """Also errors: a client paces itself by these and by nothing else."""
    replies = [rest.get("/accounts"), rest.get("/accounts/nobody"), rest.post("/accounts", {}), rest.get("/nowhere")]

    assert [headers(each) for each in replies] == [
        ["1000, 1000;window=60", str(remaining), "1"] for remaining in (999, 998, 997, 996)
    ]


def test_an_unknown_key_spends_nothing(rest):
    """The budget is the key's; the headers are there all the same."""
    refused = [rest.using(None).get("/accounts") for _ in range(2)]

    assert headers(refused[1])[1] == "1000"
    assert headers(rest.get("/accounts"))[1] == "999"


def test_analytics_answers_carry_no_headers(analytics):
    """The documents are silent."""
    reply = analytics.post("/account", {"accountId": "a", "messageId": "1"})

    assert [name for name in reply.headers if name.startswith("RateLimit")] == []


@pytest.mark.parametrize("algorithm", ["bucket", "sliding"])
def test_over_budget_is_429_until_time_has_passed(vitally, rest, clock, algorithm):
    """The body is ours; Remaining is 0 and Reset at least 1."""
    vitally.configure(rate_limit={"units": 2, "per_seconds": 10, "algorithm": algorithm})

    statuses = [rest.get("/users").status for _ in range(3)]
    refused = rest.get("/users")
    clock.advance(10)

    assert statuses == [200, 200, 429]
    assert refused.json == {"error": "Too Many Requests"}
    # A bucket of 2 in 10 s makes one unit in 5 s; in the window the first request leaves after 10 s.
    assert headers(refused) == ["2, 2;window=10", "0", "5" if algorithm == "bucket" else "10"]
    assert "Retry-After" not in refused.headers
    assert rest.get("/users").status == 200


def test_retry_after_on_429(vitally, rest):
    """Documented nowhere, honoured by clients if it is there."""
    vitally.configure(rate_limit={"units": 1, "per_seconds": 30}, retry_after_on_429=True)
    rest.get("/users")

    assert rest.get("/users").headers["Retry-After"] == "30"


def test_a_write_may_cost_more_than_a_read(vitally, rest, acme):
    """The newest documents say so without a number."""
    vitally.configure(rate_limit={"units": 10, "read_cost": 1, "write_cost": 5})

    left = [headers(rest.put("/accounts/acc-1", {"name": "x"}))[1], headers(rest.get("/users"))[1]]

    assert left == ["5", "4"]
    assert rest.put("/accounts/acc-1", {"name": "y"}).status == 429
    assert vitally.state.find("accounts", "acc-1")["name"] == "x"
    assert rest.get("/users").status == 200  # a refusal costs nothing: 4 units are left for reads


def test_no_limit_no_headers(vitally, rest):
    """For benchmarks, and for a client that must live without the headers."""
    vitally.configure(rate_limit=None)

    assert "RateLimit-Limit" not in rest.get("/users").headers


def test_analytics_rate_limit_is_its_own(vitally, rest, analytics):
    """No number is published, but clients have met 429."""
    vitally.configure(analytics_rate_limit={"units": 1})

    statuses = [analytics.post("/batch", []).status for _ in range(2)]

    assert statuses == [200, 429]
    assert rest.get("/users").status == 200


def test_bucket_refills_evenly_and_not_over_the_brim():
    """60 units in 60 s: one a second."""
    bucket = TokenBucket(RateLimit(units=60, per_seconds=60), 0)

    assert bucket.spend(60, 0)
    assert not bucket.spend(1, 0.9)
    assert bucket.spend(1, 1)
    assert (bucket.remaining(31), bucket.remaining(1000)) == (30, 60)


def test_window_frees_what_was_spent_a_window_ago():
    """Spent 2 at 0 s and 1 at 5 s of 3 in 10 s: at 10 s the 2 are free again, at 15 s all."""
    window = SlidingWindow(RateLimit(units=3, per_seconds=10))

    assert window.spend(2, 0)
    assert window.spend(1, 5)
    assert [window.remaining(at_s) for at_s in (9.9, 10, 15)] == [0, 2, 3]


def test_window_reset_is_when_the_earliest_leaves():
    """Relative seconds, not an epoch."""
    window = SlidingWindow(RateLimit(units=3, per_seconds=10))
    window.spend(1, 0)

    assert window.reset_s(4) == 6


@given(
    algorithm=st.sampled_from(["bucket", "sliding"]),
    spendings=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4)), max_size=60),
)
def test_no_algorithm_gives_more_than_its_budget(algorithm, spendings):
    """In any 10 s a window of 10 gives 10; a bucket of 10 gives what it held and what has dripped in: at most 20."""
    limiter = new_limiter(RateLimit(units=10, per_seconds=10, algorithm=algorithm), 0)
    at_s, given_at = 0.0, []
    for pause_s, cost in spendings:
        at_s += pause_s
        if limiter.spend(cost, at_s):
            given_at.append((at_s, cost))
        assert 0 <= limiter.remaining(at_s) <= 10
        assert limiter.reset_s(at_s) >= 1

    for start_s, _ in given_at:
        within = sum(cost for when_s, cost in given_at if start_s <= when_s < start_s + 10)
        assert within <= (10 if algorithm == "sliding" else 20)

"""One request for many rows: packed in order within limits, halved until each bad row is named, repeated as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.domain.outcome import Change
from headrace.domain.request import NoResponse, Request, Response

from .fakes import BatchingDestination, said
from .sending import Sending, row


def carried(request: Request) -> list[dict[str, Any]]:
    return orjson.loads(request.body or b"")


def keys_in(request: Request) -> list[str]:
    return [one["id"] for one in carried(request)]


def refusing(bad: Collection[str], words: str = "name is wrong") -> Callable[[Request], Response]:
    """A server that refuses a whole batch for any bad row in it, and says no more than that."""

    def server(request: Request) -> Response:
        return said(400, words) if not set(bad).isdisjoint(keys_in(request)) else said(200)

    return server


def batching(server: Callable[[Request], Response | NoResponse], **more: Any) -> Sending:
    limits = {name: more.pop(name) for name in ("most_messages", "most_bytes") if name in more}
    return Sending(server, BatchingDestination(**limits), **more)


def rows(count: int, **names: str):
    return [row(str(number), name=names.get(f"r{number}", f"Row {number}")) for number in range(count)]


def test_a_hundred_rows_are_one_request_and_each_has_its_outcome():
    """The rate limit counts requests, and a person counts rows."""
    sending = batching(lambda _request: said(200))

    outcomes = sending.deliver(rows(250))

    assert [100, 100, 50] == sorted((len(carried(one)) for _, one in sending.transport.sent), reverse=True)
    assert {"delivered"} == set(outcomes.values())
    assert (250, 250, 3) == (len(outcomes), sending.counts.delivered, sending.counts.requests)


def test_the_outcome_of_each_row_names_the_call_that_carried_it():
    sending = batching(lambda _request: said(200), most_messages=7)

    sending.deliver(rows(30))

    carried_by = {call.number: set(call.keys) for call in sending.log.calls}
    assert all(one.key in carried_by[one.call or 0] for one in sending.log.outcomes)


@pytest.mark.parametrize("bad", [0, 1, 31, 50, 63, 98, 99])
def test_one_bad_row_in_a_hundred_is_named_with_at_most_fifteen_more_requests(bad: int):
    """A batch is refused whole and nobody says for which row."""
    sending = batching(refusing({str(bad)}), concurrency=1)

    outcomes = sending.deliver(rows(100))

    assert {str(bad)} == {key for key, outcome in outcomes.items() if outcome == "rejected"}
    assert 99 == Counter(outcomes.values())["delivered"]
    assert sending.counts.requests <= 16
    (refused,) = [one for one in sending.log.outcomes if one.outcome == "rejected"]
    assert ("destination_rejected", "name is wrong") == (refused.code, refused.theirs)
    decided = next(one for one in sending.log.calls if one.number == refused.call)
    assert [str(bad)] == list(decided.keys)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 99), max_size=7), st.integers(1, 100))
def test_bad_rows_are_named_and_their_siblings_delivered_wherever_they_stand(bad: set[int], most: int):
    """Promise 5, for batches."""
    sending = batching(refusing({str(one) for one in bad}), most_messages=most)

    outcomes = sending.deliver(rows(100))

    assert {str(one) for one in bad} == {key for key, outcome in outcomes.items() if outcome == "rejected"}
    assert Counter({"delivered": 100 - len(bad), "rejected": len(bad)}) == Counter(outcomes.values())


def test_a_server_that_takes_smaller_batches_than_it_says_still_gets_every_row():
    """The half that must hold the bad row, since the other was accepted, may hold none."""

    def server(request: Request) -> Response:
        return said(400, "too many") if len(carried(request)) > 10 else said(200)

    sending = batching(server)

    outcomes = sending.deliver(rows(100))

    assert {"delivered"} == set(outcomes.values())
    assert Counter(key for one in sending.log.calls if one.status == 200 for key in one.keys) == Counter(
        outcomes.keys()
    )


def test_a_batch_that_is_too_large_is_halved_by_bytes_and_later_ones_are_smaller():
    """One row of half the batch's size goes alone, not with half of the rows."""

    def server(request: Request) -> Response:
        return said(413, "too large") if len(request.body or b"") > 3_000 else said(200)

    sending = batching(server, concurrency=1)

    outcomes = sending.deliver(rows(300, r0="x" * 2_500))

    assert {"delivered"} == set(outcomes.values())
    first_refusal = next(place for place, one in enumerate(sending.log.calls) if one.status == 413)
    assert sum(one.status == 413 for one in sending.log.calls[first_refusal + 20 :]) == 0


def test_a_row_that_is_too_large_alone_is_rejected_and_says_so():
    sending = batching(lambda request: said(413 if "1" in keys_in(request) else 200, "too large"))

    outcomes = sending.deliver(rows(3))

    assert {"0": "delivered", "1": "rejected", "2": "delivered"} == outcomes
    (refused,) = [one for one in sending.log.outcomes if one.outcome == "rejected"]
    assert "for its size" in (refused.message or "")


def test_a_row_of_many_messages_that_is_too_large_is_sent_in_more_requests():
    sending = batching(lambda request: said(413 if len(request.body or b"") > 300 else 200, "too large"))

    outcomes = sending.deliver([row("1", name="20 parts")])

    assert {"1": "delivered"} == outcomes
    sent = [one["part"] for call in sending.log.calls if call.status == 200 for one in orjson.loads(call.request_body)]
    assert list(range(20)) == list(dict.fromkeys(sent))


def test_no_batch_is_larger_than_it_may_be_in_messages_and_bytes():
    sending = batching(lambda _request: said(200), most_messages=10, most_bytes=400)

    sending.deliver(rows(60))

    assert all(len(one.body or b"") <= 400 and len(carried(one)) <= 10 for _, one in sending.transport.sent)


def test_the_messages_of_a_row_stand_together_and_the_row_is_delivered_with_the_last():
    """A user of several accounts is several messages and one outcome."""
    sending = batching(lambda _request: said(200), most_messages=10, concurrency=1)

    outcomes = sending.deliver(rows(4, r1="6 parts", r2="7 parts"))

    assert ["0", *["1"] * 6] == keys_in(sending.transport.sent[0][1])
    assert [*["2"] * 7, "3"] == keys_in(sending.transport.sent[1][1])
    assert {"delivered"} == set(outcomes.values())


def test_a_row_with_more_messages_than_a_batch_takes_is_sent_in_several_and_refused_as_one():
    def server(request: Request) -> Response:
        return said(400, "part 12 is wrong") if any(one["part"] == 12 for one in carried(request)) else said(200)

    sending = batching(server, most_messages=10, concurrency=1)

    outcomes = sending.deliver(rows(3, r0="25 parts", r1="12 parts"))

    assert {"0": "rejected", "1": "delivered", "2": "delivered"} == outcomes
    parts = [one["part"] for _, request in sending.transport.sent for one in carried(request) if one["id"] == "1"]
    assert list(range(12)) == parts


def test_a_batch_without_an_answer_is_repeated_byte_for_byte():
    """Only then can the other side drop what it has seen."""
    tries: list[bytes] = []

    def server(request: Request) -> Response | NoResponse:
        tries.append(request.body or b"")
        return NoResponse("the connection broke", sent=True) if len(tries) < 3 else said(200)

    sending = batching(server)

    outcomes = sending.deliver(rows(20))

    assert {"delivered"} == set(outcomes.values())
    assert 3 == len(tries)
    assert 1 == len(set(tries))
    assert ["unknown", "unknown", "delivered"] == [one.verdict for one in sending.log.calls]


def test_a_batch_that_never_gets_an_answer_leaves_its_rows_owed_and_the_next_ones_go_on():
    def server(request: Request) -> Response:
        return said(500, "broken") if "0" in keys_in(request) else said(200)

    sending = batching(server, most_messages=5, concurrency=2)

    outcomes = sending.deliver(rows(20))

    assert {str(one) for one in range(5)} == {key for key, outcome in outcomes.items() if outcome == "owed"}
    assert 15 == sending.counts.delivered


def test_refused_credentials_stop_the_run_at_once_and_every_row_is_owed():
    sending = batching(lambda _request: said(401, "no"), concurrency=4)

    outcomes = sending.deliver(rows(1000))

    assert "credentials_refused" == sending.failure.code
    assert {"owed"} == set(outcomes.values())
    assert 1000 == len(outcomes)
    assert sending.counts.requests <= 4


def test_what_is_refused_alike_for_every_row_stops_the_run_with_those_words():
    """A workspace that blocks a type of message refuses a million rows; nobody needs two million requests for that."""
    sending = batching(lambda _request: said(400, "this type is blocked"), concurrency=1)

    outcomes = sending.deliver(rows(1000))

    assert "this type is blocked" in sending.failure.message
    assert {"rejected": 8, "owed": 992} == Counter(outcomes.values())
    assert sending.counts.requests <= 25


def test_a_hundred_bad_rows_do_not_stop_a_run_that_delivers_others():
    bad = {str(one) for one in range(100, 200)}
    sending = batching(refusing(bad), concurrency=1)

    outcomes = sending.deliver(rows(300))

    assert sending.failure is None
    assert {"delivered": 200, "rejected": 100} == Counter(outcomes.values())


def test_a_row_that_does_not_map_is_invalid_and_its_siblings_go_on():
    sending = batching(lambda _request: said(200))

    outcomes = sending.deliver([row("1", name=None), row("2")])

    assert {"1": "invalid", "2": "delivered"} == outcomes
    assert ["2"] == keys_in(sending.transport.sent[0][1])


def test_a_removed_row_that_asks_for_nothing_ends_without_a_request():
    sending = batching(lambda _request: said(200))

    outcomes = sending.deliver([row("1", Change.REMOVED)])

    assert {"1": "delivered"} == outcomes
    assert [] == sending.transport.sent


def test_a_cancel_stops_sending_keeps_what_was_acknowledged_and_owes_the_rest():
    sending = batching(lambda _request: said(200), most_messages=10, concurrency=1, latency_s=1.0)
    sending.stop_after_s = 2.5

    outcomes = sending.deliver(rows(100))

    assert {"delivered": 30, "owed": 70} == Counter(outcomes.values())


def test_no_more_batches_are_under_way_than_allowed():
    sending = batching(lambda _request: said(200), most_messages=1, concurrency=4)

    sending.deliver(rows(40))

    assert 4 == sending.transport.most_under_way
    assert all(before <= after for (before, _), (after, _) in pairwise(sending.transport.sent))


def test_the_fake_destination_refuses_as_its_server_does():
    """A fake is a real class: its verdicts are what these tests stand on."""
    destination = BatchingDestination()
    request = destination.batch([b"{}"])

    verdicts = [type(destination.judge_batch(request, said(status, "no"))).__name__ for status in (200, 400, 413, 500)]

    assert ["Accepted", "Refused", "TooLarge", "Retry"] == verdicts

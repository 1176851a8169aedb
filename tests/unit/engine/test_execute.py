"""The plan's second reader: every row gets one outcome of its own, whatever its siblings and the world do."""

from __future__ import annotations

from collections import Counter

import pytest

from headrace.destinations import RateLimit
from headrace.domain.outcome import Change
from headrace.domain.request import NoResponse, Request, Response

from .fakes import HOST, TOKEN, PlainDestination, said
from .sending import Sending, row, sync_of


def always(answer: Response | NoResponse):
    return lambda _request: answer


def rows(count: int):
    return [row(str(number)) for number in range(count)]


def test_one_bad_row_never_stops_its_siblings():
    """Promise 5."""

    def server(request: Request) -> Response:
        return said(400, "name too long") if request.url.endswith("/7") else said(200)

    sending = Sending(server)

    outcomes = sending.deliver(rows(30))

    assert {"7"} == {key for key, outcome in outcomes.items() if outcome == "rejected"}
    assert (29, 1) == (sending.counts.delivered, sending.counts.rejected)
    (refused,) = [one for one in sending.log.outcomes if one.outcome == "rejected"]
    assert ("destination_rejected", "name too long") == (refused.code, refused.theirs)


def test_a_row_that_does_not_map_is_invalid_and_never_sent():
    sending = Sending(always(said(200)))

    outcomes = sending.deliver([row("1", name=None), row("2")])

    assert {"1": "invalid", "2": "delivered"} == outcomes
    assert ["PUT /records/2"] == sending.transport.urls


def test_the_outcome_names_the_call_that_decided():
    """The debugger goes from a row to its call."""
    sending = Sending(always(said(200)))

    sending.deliver(rows(5))

    calls = {call.number: call for call in sending.log.calls}
    assert [[one.key] for one in sending.log.outcomes] == [
        list(calls[one.call or 0].keys) for one in sending.log.outcomes
    ]


def test_the_first_twenty_rows_refused_alike_stop_the_run():
    """A mapping that can't work is told once; ten thousand refusals would use up somebody's rate limit."""
    sending = Sending(always(said(400, "unknown field")))

    outcomes = sending.deliver(rows(200))

    found = Counter(outcomes.values())
    assert 200 == sum(found.values())
    assert 20 <= found["rejected"] <= 20 + sending.concurrency
    assert "destination_rejected" == sending.failure.code
    assert "unknown field" in sending.failure.message


def test_twenty_rows_refused_after_one_was_delivered_stop_nothing():
    def server(request: Request) -> Response:
        return said(200) if request.url.endswith("/0") else said(400, "no")

    sending = Sending(server, concurrency=1)

    assert 99 == Counter(sending.deliver(rows(100)).values())["rejected"]
    assert None is sending.failure


@pytest.mark.parametrize("status", [401])
def test_credentials_refused_stop_the_run_at_once_with_one_error(status: int):
    sending = Sending(always(said(status, "bad token")))

    outcomes = sending.deliver(rows(100))

    assert {"owed": 100} == Counter(outcomes.values())
    assert len(sending.transport.sent) <= sending.concurrency
    assert "credentials_refused" == sending.failure.code


def test_cancel_stops_sending_and_every_row_still_gets_its_outcome():
    """Promise 7: what was acknowledged stays, the rest is owed."""
    sending = Sending(always(said(200)), latency_s=1.0, concurrency=4)
    sending.stop_after_s = 2.5

    found = Counter(sending.deliver(rows(100)).values())

    assert {"delivered": 12, "owed": 88} == found
    assert all(when <= 1002.5 for when, _ in sending.transport.sent)
    assert (12, 88) == (sending.counts.delivered, sending.counts.owed)


def test_cancel_does_not_wait_for_the_end_of_a_pause():
    """Vitally asked for a quarter of an hour; nobody waits so long for a run that is to end."""
    destination = PlainDestination(rate=RateLimit(100, 60.0))
    sending = Sending(always(said(429, retry_after="900")), destination)
    sending.stop_after_s = 3.0

    found = Counter(sending.deliver(rows(50)).values())

    assert {"owed": 50} == found
    assert sending.seconds < 8


def test_a_create_without_an_answer_is_not_repeated_blindly():
    """The record may be there already: it is asked for before it is created again."""
    answers = iter([NoResponse("no answer within 30 s", sent=True), said(200)])
    sending = Sending(lambda _request: next(answers), PlainDestination(creates=True))

    outcomes = sending.deliver([row("1")])

    assert {"1": "delivered"} == outcomes
    assert ["POST /records", "GET /records/1"] == sending.transport.urls


def test_a_create_that_did_not_arrive_is_sent_again():
    """A connection that was never made had no effect."""
    answers = iter([NoResponse("no connection", sent=False), said(200)])
    sending = Sending(lambda _request: next(answers), PlainDestination(creates=True))

    assert {"1": "delivered"} == sending.deliver([row("1")])
    assert ["POST /records", "POST /records"] == sending.transport.urls


def test_a_row_whose_create_is_never_answered_is_owed_and_its_siblings_are_delivered():
    """A poison row: it must neither end the run nor keep it for ever."""

    def server(request: Request) -> Response | NoResponse:
        poison = b'"id":"1"' in (request.body or b"") or request.url.endswith("/1")
        if not poison:
            return said(200)
        return said(404) if request.method == "GET" else NoResponse("no answer within 30 s", sent=True)

    sending = Sending(server, PlainDestination(creates=True))

    assert {"1": "owed", "2": "delivered", "3": "delivered"} == sending.deliver([row("1"), row("2"), row("3")])
    assert None is sending.failure
    assert 3 == sum(url == "POST /records" for url in sending.transport.urls) - 2


def test_a_removed_row_is_answered_by_the_rule_and_looks_at_what_it_was():
    sending = Sending(always(said(200)), sync=sync_of(removed="delete"))

    assert {"1": "delivered"} == sending.deliver([row("1", Change.REMOVED)])
    assert ["DELETE /records/1"] == sending.transport.urls


def test_no_more_requests_are_under_way_than_allowed():
    sending = Sending(always(said(200)), latency_s=0.5, concurrency=3)

    sending.deliver(rows(30))

    assert 3 == sending.transport.most_under_way


# Parents ---------------------------------------------------------------------------------------------------------


def test_fifty_rows_that_want_one_parent_ask_for_it_once():
    sending = Sending(always(said(200)), concurrency=50)

    outcomes = sending.deliver([row(str(number), org="o1") for number in range(50)])

    assert {"delivered": 50} == Counter(outcomes.values())
    assert 1 == sending.transport.urls.count("GET /organization/o1")
    assert [("organization", "o1", "v")] == _learned(sending, "organization")


def _learned(sending: Sending, kind: str):
    return [(one.kind, one.external_id, one.record_id) for one in sending.log.learned if one.kind == kind]


def test_a_parent_that_is_remembered_is_not_asked_for():
    sending = Sending(always(said(200)), known={("organization", "o1"): "v1"})

    sending.deliver([row("1", org="o1")])

    assert ["PUT /records/1"] == sending.transport.urls


def test_a_parent_that_does_not_exist_is_asked_for_once_and_its_rows_are_told():
    def server(request: Request) -> Response:
        return said(404) if "/organization/" in request.url else said(200)

    sending = Sending(server)

    outcomes = sending.deliver([row(str(number), org="o9") for number in range(10)] + [row("10")])

    assert {"invalid": 10, "delivered": 1} == Counter(outcomes.values())
    assert 1 == sending.transport.urls.count("GET /organization/o9")


def test_a_parent_that_an_answer_blames_is_forgotten_and_asked_anew_once():
    """It was deleted in Vitally and made again: the remembered id is of the old one."""
    answers = iter([said(400, "no such parent"), said(200), said(200)])
    sending = Sending(lambda _request: next(answers), known={("organization", "o1"): "old"})

    outcomes = sending.deliver([row("1", org="o1")])

    assert {"1": "delivered"} == outcomes
    assert ["PUT /records/1", "GET /organization/o1", "PUT /records/1"] == sending.transport.urls
    assert [("organization", "o1", None), ("organization", "o1", "v")] == _learned(sending, "organization")


def test_a_parent_that_is_blamed_again_rejects_the_row():
    def server(request: Request) -> Response:
        return said(400, "no such parent") if request.method == "PUT" else said(200)

    sending = Sending(server)

    assert {"1": "rejected"} == sending.deliver([row("1", org="o1")])
    assert 2 == sending.transport.urls.count("PUT /records/1")


def test_a_look_up_that_fails_owes_the_rows_that_wait_for_it():
    def server(request: Request) -> Response:
        return said(503) if "/organization/" in request.url else said(200)

    sending = Sending(server, concurrency=4)

    outcomes = sending.deliver([row("1"), row("2", org="o1"), row("3", org="o1"), row("4")])

    assert {"1": "delivered", "2": "owed", "3": "owed", "4": "delivered"} == outcomes


# Secrets ---------------------------------------------------------------------------------------------------------


def test_no_record_of_a_call_holds_the_credential_even_where_the_answer_repeats_it():
    """Promise 9. Proxies and error pages like to show what they did not understand."""
    echo = Response(400, {"x-seen": TOKEN}, f'{{"error": "can not read {TOKEN} or {TOKEN[6:]}"}}'.encode())
    sending = Sending(always(echo))

    sending.deliver([row("1")])

    kept = repr((sending.log.calls, sending.log.outcomes))
    assert TOKEN[6:] not in kept
    assert {"Authorization": "***", "Accept": "application/json"} == dict(sending.log.calls[0].request_headers)


def test_an_error_that_stops_the_run_does_not_tell_the_credential():
    sending = Sending(always(Response(401, {}, f"{HOST} refused {TOKEN}".encode())))

    sending.deliver([row("1")])

    assert TOKEN[6:] not in sending.failure.message

"""A request and its answer, with what stands between: tries, pauses, the record of every call, groups on the disk."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from headrace.domain.errors import WorldError
from headrace.domain.outcome import Counts, RowOutcome, VerdictWord
from headrace.domain.request import NoResponse, Request, Response
from headrace.engine.ports import OutcomeRecord
from headrace.engine.recorder import GROUP_ROWS, Recorder

from .fakes import AtOnce, MemoryLog, PlainDestination, quickly, said
from .sending import Sending, row

DOWN = NoResponse("no connection to api.example:443", sent=False)


def in_turn(*answers: Response | NoResponse):
    """The answers one after the other, the last for ever."""
    left = list(answers)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def tries(sending: Sending) -> list[tuple[int, str]]:
    return [(call.attempt, call.verdict.value) for call in sending.log.calls]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_what_fails_on_their_side_is_tried_again_and_every_try_is_a_call(status: int):
    """I10: the log of requests has one entry a try."""
    sending = Sending(in_turn(said(status), said(status), said(200)))

    assert {"1": "delivered"} == sending.deliver([row("1")])
    assert [(1, "retry"), (2, "retry"), (3, "delivered")] == tries(sending)
    assert [1, 2, 3] == [call.number for call in sending.log.calls]
    assert 3 == sending.counts.requests


def test_an_answer_that_asks_for_time_gets_it():
    sending = Sending(in_turn(said(503, retry_after="30"), said(200)))

    sending.deliver([row("1")])

    first, second = (when for when, _ in sending.transport.sent)
    assert second - first >= 30


def test_after_eight_tries_a_row_is_owed():
    """Other rows are well, so the run goes on; this one is planned again."""

    def server(request: Request) -> Response:
        return said(500) if request.url.endswith("/1") else said(200)

    sending = Sending(server)

    assert {"1": "owed", "2": "delivered"} == sending.deliver([row("1"), row("2")])
    assert 8 == sending.transport.urls.count("PUT /records/1")
    (owed,) = [one for one in sending.log.outcomes if one.outcome == "owed"]
    assert "destination_unavailable" == owed.code


def test_a_refusal_for_the_rate_costs_no_try_and_holds_everyone():
    sending = Sending(in_turn(*[said(429, retry_after="5")] * 12, said(200)), concurrency=1)

    assert {"1": "delivered"} == sending.deliver([row("1")])
    gaps = [
        after[0] - before[0] for before, after in zip(sending.transport.sent, sending.transport.sent[1:], strict=False)
    ]
    assert min(gaps) >= 4.99


def test_refusals_for_the_rate_that_never_end_owe_the_row():
    sending = Sending(in_turn(said(429, retry_after="1")))

    sending.deliver([row("1")])

    assert ["rate_limited"] == [one.code for one in sending.log.outcomes]


def test_a_host_that_can_not_be_reached_stops_the_run_and_says_which():
    sending = Sending(in_turn(DOWN))

    assert {"owed"} == set(sending.deliver([row(str(number)) for number in range(50)]).values())
    assert "destination_unavailable" == sending.failure.code
    assert "https://api.example can't be reached" in sending.failure.message
    assert len(sending.transport.sent) <= 3 * sending.concurrency


def test_an_outage_in_mid_run_is_ridden_out():
    """A deployment on their side: nothing is lost and nobody is called."""
    loop_time = lambda: asyncio.get_running_loop().time()  # noqa: E731

    def server(_request: Request) -> Response:
        return said(503) if 1000.5 < loop_time() < 1005.5 else said(200)

    sending = Sending(server, latency_s=0.1)

    outcomes = sending.deliver([row(str(number)) for number in range(100)])

    assert {"delivered"} == set(outcomes.values())


def test_an_outcome_that_is_not_known_is_told_apart_from_a_refusal():
    sending = Sending(in_turn(NoResponse("no answer within 30 s", sent=True), said(200)))

    sending.deliver([row("1")])

    assert [VerdictWord.UNKNOWN, VerdictWord.DELIVERED] == [call.verdict for call in sending.log.calls]


def test_a_header_that_is_nonsense_harms_nobody():
    answer = said(200, ratelimit_remaining="inf", ratelimit_reset="nan", retry_after="soon")
    sending = Sending(in_turn(answer))

    assert {"1": "delivered"} == sending.deliver([row("1")])


def test_only_the_beginning_of_a_huge_body_is_kept():
    sending = Sending(in_turn(Response(200, {}, b'{"x":"' + b"y" * 500_000 + b'"}')))

    sending.deliver([row("1")])

    assert 64 * 1024 == len(sending.log.calls[0].response_body or b"")


# Groups ----------------------------------------------------------------------------------------------------------


def outcome(number: int, word: RowOutcome = RowOutcome.DELIVERED) -> OutcomeRecord:
    return OutcomeRecord(str(number), number, None, "upsert", word)


def record(log: MemoryLog, work) -> Counts:
    counts = Counts()

    async def go() -> None:
        recorder = Recorder(log, counts, AtOnce())
        try:
            await work(recorder)
        finally:
            recorder.close()

    quickly(go())
    return counts


def test_what_happened_is_on_the_disk_after_twenty_milliseconds():
    """A crash re-sends what was in flight and one group, not the last minute."""
    log = MemoryLog()

    async def work(recorder: Recorder) -> None:
        recorder.outcomes([outcome(1)])
        assert [] == log.outcomes
        await asyncio.sleep(0.021)
        assert 1 == len(log.outcomes)

    record(log, work)


def test_a_group_is_closed_at_64_without_waiting():
    sending = Sending(lambda _request: said(200), PlainDestination(), latency_s=0.0001, concurrency=32)

    sending.deliver([row(str(number)) for number in range(640)])

    assert 640 == sum(sending.log.groups)
    assert len(sending.log.groups) >= 2


class SlowLog(MemoryLog):
    """Writes no group before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let = threading.Event(), threading.Event()

    def append(self, calls: Any, outcomes: Any, learned: Any = ()) -> None:
        self.begun.set()
        assert self.let.wait(10)
        super().append(calls, outcomes, learned)


def test_the_loop_goes_on_while_a_group_is_written_until_too_much_would_be_lost():
    """A disk that takes 50 ms must not hold up the requests of these 50 ms; one that hangs must."""
    log, counts = SlowLog(), Counts()
    recorder = Recorder(log, counts)
    for number in range(GROUP_ROWS):
        recorder.outcomes([outcome(number)])
    assert log.begun.wait(10)
    for number in range(GROUP_ROWS, 9 * GROUP_ROWS - 1):
        recorder.outcomes([outcome(number)])
    assert [] == log.outcomes

    held_up = threading.Thread(target=recorder.outcomes, args=([outcome(9 * GROUP_ROWS - 1)],))
    held_up.start()
    held_up.join(0.05)
    assert held_up.is_alive()
    log.let.set()
    held_up.join(10)
    recorder.flush()
    recorder.close()

    assert [str(number) for number in range(9 * GROUP_ROWS)] == [one.key for one in log.outcomes]


def test_each_outcome_is_counted_once_and_the_unusable_not_again():
    async def work(recorder: Recorder) -> None:
        for word in RowOutcome:
            recorder.outcomes([outcome(1, word)])
        recorder.outcomes([outcome(2, RowOutcome.INVALID)], counted=False)
        recorder.flush()

    counts = record(log := MemoryLog(), work)

    assert (1, 1, 1, 1, 1) == (counts.delivered, counts.skipped, counts.invalid, counts.rejected, counts.owed)
    assert 6 == len(log.outcomes)


def test_the_first_failure_to_write_is_raised_to_whoever_adds_next():
    """A full disk: not one further request may be sent whose answer could not be kept."""
    log = MemoryLog()
    log.fails = WorldError("the disk is full", code="store_write_failed")

    async def work(recorder: Recorder) -> None:
        recorder.outcomes([outcome(1)])
        await asyncio.sleep(0.05)
        with pytest.raises(WorldError, match="the disk is full"):
            recorder.outcomes([outcome(2)])

    record(log, work)


def test_a_log_that_fails_stops_the_run():
    sending = Sending(lambda _request: said(200), latency_s=0.1)
    sending.log.fails = WorldError("the disk is full", code="store_write_failed")

    with pytest.raises(ExceptionGroup):
        sending.deliver([row(str(number)) for number in range(1000)])

    assert len(sending.transport.sent) < 20

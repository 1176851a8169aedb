"""What an answer means, as a table; how long it asks us to stay away; Vitally's words out of its body."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.destinations import Retry, Stop
from headrace.destinations.answers import retry_floor, words
from headrace.destinations.vitally.responses import common_verdict, rejected
from headrace.domain.request import NoResponse, Request, Response

REQUEST = Request("PUT", "https://rest.vitally.io/resources/accounts/a", "rest")


def answer(status: int, body: bytes = b'{"error":"said"}', **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 400, 404, 405, 409, 410, 413, 415, 422, 451])
def test_these_speak_about_the_record(status: int):
    assert common_verdict(REQUEST, answer(status)) is None


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
def test_these_are_tried_again_and_429_alone_pauses_everyone(status: int):
    verdict = common_verdict(REQUEST, answer(status))
    assert isinstance(verdict, Retry)
    assert (status == 429) is verdict.pause
    assert f"{status}: said" == verdict.why


STOPS = dict.fromkeys((401, 403), "credentials_refused")
STOPS |= dict.fromkeys((301, 302, 303, 304, 307, 308), "destination_misconfigured")


@pytest.mark.parametrize(("status", "code"), STOPS.items())
def test_these_stop_the_run(status: int, code: str):
    verdict = common_verdict(REQUEST, answer(status, location="https://elsewhere.test/"))
    assert isinstance(verdict, Stop)
    assert code == verdict.code
    assert "said" in verdict.message or "elsewhere" in verdict.message


def test_a_refused_token_is_said_with_the_region_as_a_possible_cause():
    verdict = common_verdict(REQUEST, answer(401))
    assert isinstance(verdict, Stop)
    assert "REST API token" in verdict.message
    assert "region" in verdict.message


@pytest.mark.parametrize("sent", [True, False])
def test_no_answer_is_tried_again(sent: bool):
    assert Retry("gone") == common_verdict(REQUEST, NoResponse("gone", sent=sent))


@pytest.mark.parametrize(
    ("status", "headers", "floor"),
    [
        (429, {}, 1),
        (429, {"ratelimit_reset": "7"}, 7),
        (429, {"ratelimit_reset": "0"}, 1),
        (429, {"ratelimit_reset": "soon"}, 1),
        (429, {"retry_after": "3", "ratelimit_reset": "7"}, 3),
        (429, {"retry_after": "0.5"}, 0.5),
        (429, {"retry_after": "garbage", "ratelimit_reset": "7"}, 7),
        (429, {"retry_after": "nan", "ratelimit_reset": "7"}, 7),
        (429, {"retry_after": "1000000000"}, 900),
        (429, {"retry_after": "inf"}, 900),
        (503, {"retry_after": "12"}, 12),
        (503, {"retry_after": "-12"}, 0),
        (503, {"ratelimit_reset": "12"}, 0),
        (500, {}, 0),
    ],
)
def test_the_floor_below_which_nobody_comes_back(status: int, headers: dict[str, str], floor: float):
    assert floor == retry_floor(answer(status, **headers))


@pytest.mark.parametrize("skew_s", [0, -3600, 86_400], ids=["right", "behind", "ahead"])
def test_a_date_is_read_against_the_clock_of_the_one_who_wrote_it(skew_s: int):
    """Ours and theirs may differ by hours. Both stand in the answer, so the wait is their difference."""
    theirs = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=skew_s)
    later = theirs + timedelta(seconds=30)
    headers = {"date": format_datetime(theirs, usegmt=True), "retry_after": format_datetime(later, usegmt=True)}

    assert 30 == retry_floor(answer(429, **headers))


def test_a_date_without_their_clock_is_read_against_ours():
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert 28 <= retry_floor(answer(429, retry_after=format_datetime(later, usegmt=True))) <= 30


@given(text=st.text(max_size=40), status=st.sampled_from([429, 503]))
def test_no_header_breaks_the_floor_or_makes_it_absurd(text: str, status: int):
    assert 0 <= retry_floor(answer(status, retry_after=text, ratelimit_reset=text, date=text)) <= 900


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":"name is required"}', "name is required"),
        (b'{"message":"name is required"}', "name is required"),
        (b'{"error":"short","message":"long"}', "short"),
        (b'{"error":{"field":"name"}}', '{"field":"name"}'),
        (b'{"errors":[1]}', '{"errors":[1]}'),
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        (b'["a"]', '["a"]'),
        (b"", "no body"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_vitallys_own_words_are_found_in_any_body(body: bytes, said: str):
    assert said == words(answer(400, body))
    assert said == rejected(answer(400, body)).theirs


def test_words_are_cut_where_they_are_a_document():
    assert 500 == len(words(answer(400, b'{"error":"' + b"x" * 5000 + b'"}')))

"""The table of answers: one meaning for each status, the person's own before the defaults."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.destinations import Retry, Stop
from headrace.destinations.http.statuses import BatchAnswers, RecordAnswers, common_verdict, meaning_of
from headrace.domain.request import NoResponse, Request, Response

REQUEST = Request("POST", "https://api.test/rows?key=1", "http")


@pytest.mark.parametrize(
    ("written", "status", "meaning"),
    [
        ({}, 200, "delivered"),
        ({}, 304, "stopped"),
        ({}, 401, "stopped"),
        ({}, 404, "not_found"),
        ({}, 418, "rejected"),
        ({}, 429, "retried"),
        ({}, 599, "retried"),
        ({"retried": [429]}, 500, "rejected"),
        ({"rejected": ["4xx"]}, 404, "not_found"),
        ({"rejected": ["4XX", 404]}, 404, "rejected"),
        ({"delivered": [200], "retried": ["2xx"]}, 200, "delivered"),
        ({"delivered": [200], "retried": ["2xx"]}, 202, "retried"),
        ({"delivered": 204}, 204, "delivered"),
    ],
)
def test_a_single_status_goes_before_its_hundred_and_what_is_written_before_the_default(
    written: dict[str, Any], status: int, meaning: str
) -> None:
    assert meaning == meaning_of(RecordAnswers.model_validate(written).table(), status)


@given(st.integers(200, 599))
def test_every_status_has_a_meaning_of_its_own_list(status: int) -> None:
    for answers in (RecordAnswers(), BatchAnswers()):
        assert meaning_of(answers.table(), status) in type(answers).model_fields


@pytest.mark.parametrize("raw", [[100], ["6xx"], ["abc"], [True], [4], [None], "4x", {"a": 1}])
def test_what_is_no_status_is_refused(raw: Any) -> None:
    with pytest.raises(ValidationError, match="no status"):
        RecordAnswers.model_validate({"delivered": raw})


def verdict(status: int, **headers: str) -> Retry | Stop | None:
    return common_verdict(RecordAnswers().table(), REQUEST, Response(status, headers, b'{"error": "busy"}'))


def test_a_retry_waits_as_the_answer_asks_and_only_a_429_holds_everybody() -> None:
    assert Retry("503: busy", 12.0) == verdict(503, **{"retry-after": "12"})
    assert Retry("429: busy", 1.0, pause=True) == verdict(429)
    assert Retry("gone quiet") == common_verdict({}, REQUEST, NoResponse("gone quiet", sent=True))


def test_a_stop_names_the_address_without_its_query_and_the_mend() -> None:
    """What stands in a query may be personal; the message goes to logs and alerts."""
    for status in (302, 401, 403):
        stop = verdict(status)
        assert isinstance(stop, Stop)
        assert "https://api.test/rows" in stop.message
        assert "key=1" not in stop.message
        assert "Check" in stop.message

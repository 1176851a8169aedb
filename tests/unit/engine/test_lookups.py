"""Listing instead of asking: one request for a hundred records, as long as it is the cheaper way."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from headrace.destinations import Listed
from headrace.domain.mapping import Reference
from headrace.domain.outcome import Counts
from headrace.engine.exchange import Exchange
from headrace.engine.lookups import Existing, Lookups
from headrace.engine.recorder import Recorder
from headrace.engine.throttle import Throttle

from .fakes import (
    AtOnce,
    LoopClock,
    MemoryIdentities,
    MemoryLog,
    PlainDestination,
    ServerTransport,
    pages_of,
    quickly,
    said,
)


class Listing:
    """A destination that has these records; `asked` are the requests it got. `kept` are ids of earlier runs."""

    def __init__(
        self, records: Sequence[Listed], page: int = 100, kept: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self.kept = kept or {}
        self.destination = PlainDestination(pages=pages_of(records, page))
        self.transport = ServerTransport(lambda _request: said(200))
        self.log = MemoryLog()
        self.told: list[tuple[str, int, int]] = []

    def do(self, work: Callable[[Lookups], Coroutine[Any, Any, Any]]) -> Any:
        async def go() -> Any:
            with tempfile.TemporaryDirectory() as folder:
                clock = LoopClock()
                throttle = Throttle(self.destination.limits("rest"), folder, clock)
                recorder = Recorder(self.log, Counts(), AtOnce())
                exchange = Exchange(
                    self.destination, self.transport, lambda _api: throttle, recorder, clock, asyncio.Event()
                )
                identities = MemoryIdentities(self.kept, self.log)
                listed = lambda kind, records, requests: self.told.append((kind, records, requests))  # noqa: E731
                try:
                    return await work(Lookups(self.destination, exchange, identities, recorder, listed))
                finally:
                    recorder.flush()
                    recorder.close()

        return quickly(go())

    @property
    def asked(self) -> list[str]:
        return self.transport.urls


def record(number: int, email: str | None = None) -> Listed:
    return Listed(f"v{number}", f"e{number}", {"email": email} if email else {})


def ids(count: int) -> list[str]:
    return [f"e{number}" for number in range(count)]


def test_a_complete_listing_proves_what_is_there_and_what_is_not():
    listing = Listing([record(number) for number in range(250)])

    found: Existing = listing.do(lambda lookups: lookups.list_existing("account", [*ids(40), "nobody"], "externalId"))

    assert 3 == len(listing.asked)
    assert (True, False) == (found.exists("e7"), found.exists("nobody"))
    assert "v7" == found.ids["e7"]
    assert [("account", 100, 1), ("account", 200, 2), ("account", 250, 3)] == listing.told


@pytest.mark.parametrize(("wanted", "most"), [(20, 2), (50, 5), (300, 30)])
def test_a_listing_costs_at_most_one_request_for_ten_records_wanted(wanted: int, most: int):
    """A workspace of a million users is not read for fifty new ones."""
    listing = Listing([record(number) for number in range(10_000, 14_000)])

    found: Existing = listing.do(lambda lookups: lookups.list_existing("account", ids(wanted), "externalId"))

    assert most == len(listing.asked)
    assert None is found.exists("e1")  # not proved: it may stand on a page that was not read


def test_emails_are_found_without_case_and_an_ambiguous_one_is_not_decided():
    records = [record(1, "Ann@Example.com"), record(2, "bob@example.com"), record(3, "BOB@example.com ")]
    listing = Listing(records)

    found: Existing = listing.do(
        lambda lookups: lookups.list_existing("user", [" ann@example.com", "bob@example.com", "new@x.com"], "email")
    )

    assert "v1" == found.ids[" ann@example.com"]
    assert (True, None, False) == tuple(map(found.exists, [" ann@example.com", "bob@example.com", "new@x.com"]))


def test_parents_that_many_rows_want_are_listed_and_then_asked_for_no_more():
    listing = Listing([record(number) for number in range(150)])

    async def work(lookups: Lookups) -> Any:
        await lookups.prime("account", [*ids(30), "nobody"])
        return await lookups.parents(
            [Reference("account", ("e3", "nobody"), "external_id", many=True)],
            "1",
        )

    parents = listing.do(work)

    assert {("account", "e3"): "v3", ("account", "nobody"): None} == parents
    assert ["GET /account?page=0", "GET /account?page=1"] == listing.asked
    assert ("account", "e3", "v3") in [(one.kind, one.external_id, one.record_id) for one in listing.log.learned]


def test_a_listing_ends_when_all_that_is_wanted_was_found():
    listing = Listing([record(number) for number in range(5000)])

    listing.do(lambda lookups: lookups.prime("account", ids(90)))

    assert 1 == len(listing.asked)


def test_a_few_parents_are_not_listed():
    listing = Listing([record(number) for number in range(50)])

    listing.do(lambda lookups: lookups.prime("account", ids(19)))

    assert [] == listing.asked


def test_a_kind_of_which_a_list_saves_nothing_is_not_listed():
    """A task is created and updated by one request, whether it exists or not: to know would not make it fewer."""
    listing = Listing([record(number) for number in range(50)])

    found: Existing = listing.do(lambda lookups: lookups.list_existing("task", ids(40), "externalId"))

    assert [] == listing.asked
    assert (None, False) == (found.exists("e1"), found.complete)


def test_an_own_id_that_an_earlier_run_learned_is_known_without_a_request_until_it_is_forgotten():
    """Only its own id surely names a note. Of what other things name, nothing is looked up for every row."""
    kept = {("note", "e1"): "v1", ("account", "e1"): "v2"}
    listing = Listing([], kept=kept)

    async def work(lookups: Lookups) -> Any:
        before = [
            lookups.remembered("note", "e1"),
            lookups.remembered("note", "e2"),
            lookups.remembered("account", "e1"),
        ]
        lookups.forget("note", "e1")
        return before, lookups.remembered("note", "e1")

    before, after = listing.do(work)

    assert ["v1", None, None] == before
    assert after is None
    assert [] == listing.asked

"""A request arrived and its answer did not: whatever the row does next, Vitally ends up as the row is."""

from __future__ import annotations

from typing import Any

import pytest

from .world import Ran, World

SYNCS: dict[str, dict[str, Any]] = {
    "rest": {"fields": {"name": {"column": "name"}}, "mode": "upsert", "removed": "delete"},
    "analytics": {"fields": {"name": {"column": "name"}}, "type": "analytics_objects", "match": ("ref", "externalId")},
}
BOTH = pytest.mark.parametrize("sync", SYNCS.values(), ids=SYNCS)


def rows(name: str, *keys: str) -> list[dict[str, Any]]:
    return [{"key": key, "ref": f"r-{key}", "name": name} for key in keys]


def lose_the_answer(world: World) -> Ran:
    """A run whose first request arrives and gets no answer; the second is told to stop."""
    world.vitally.add_fault(action="drop_after", times=1)
    world.vitally.add_fault(status=401, times=1)
    ran = world.run_that_fails()
    assert "credentials_refused" == ran.report.error.code
    assert {"owed"} == {outcome for outcome, _ in ran.outcomes.values()}
    return ran


@BOTH
def test_a_row_that_returns_to_what_it_was_is_sent_again(sync: dict[str, Any], world: World):
    """Vitally has B and the ledger A: nothing would ever mend that if the row counted as unchanged."""
    world.rows(*rows("A", "1"))
    world.sync("account", **sync)
    world.run()
    world.rows(*rows("B", "1"))
    lose_the_answer(world)
    assert "B" == world.held("account")["r-1"]["name"]
    world.rows(*rows("A", "1"))

    ran = world.run()

    assert {"1": ("delivered", None)} == ran.outcomes
    assert "A" == world.held("account")["r-1"]["name"]
    assert [] == world.run().lines


def test_a_row_that_returns_after_a_deletion_without_an_answer_is_made_again(world: World):
    world.rows(*rows("A", "1", "2"))
    world.sync("account", **SYNCS["rest"])
    world.run()
    world.rows(*rows("A", "2"))
    lose_the_answer(world)
    assert {"r-2"} == set(world.held("account"))
    world.rows(*rows("A", "1", "2"))

    world.run()

    assert {"r-1", "r-2"} == set(world.held("account"))
    assert [] == world.run().lines


def test_a_row_that_was_refused_and_returns_to_what_it_was_is_not_sent_again(world: World):
    """What is surely not taken needs no mending, and what was acknowledged is not sent twice."""
    world.rows(*rows("A", "1", "2"))
    world.sync("account", **SYNCS["rest"])
    world.run()
    world.rows(*rows("B", "1"), *rows("C", "2"))
    world.vitally.add_fault(match={"body": '"B"'}, status=400, body={"error": "no"}, times=1)
    assert ("rejected", "destination_rejected") == world.run().outcomes["1"]
    world.rows(*rows("A", "1"), *rows("C", "2"))

    assert [] == world.run().lines


def test_the_plan_says_why_such_a_row_is_sent(world: World):
    world.rows(*rows("A", "1"))
    world.sync("account", **SYNCS["rest"])
    world.run()
    world.rows(*rows("B", "1"))
    lose_the_answer(world)
    world.rows(*rows("A", "1"))

    (sample,) = world.explain().samples

    assert "the last change was not acknowledged" == sample.reason

"""A first sync of many rows lists what is there, 100 at a time, instead of asking for each."""

from __future__ import annotations

import pytest

from headrace.domain.spec import ObjectSpec

from .world import CREATED_OBJECTS, REST, SHELVES, World, seed, some_fields, text_of


def rows_of(spec: ObjectSpec, count: int, *names: str) -> tuple[list[dict[str, object]], dict[str, object]]:
    text = text_of(spec)
    columns, rules = some_fields(spec, text, *names)
    return [{"key": n, "ref": f"r-{n}", **columns, text: f"Row {n}"} for n in range(count)], rules


@CREATED_OBJECTS
def test_a_first_sync_of_which_half_exists_costs_hardly_more_than_a_request_a_row(spec: ObjectSpec, world: World):
    world.arrange(spec)
    rows, rules = rows_of(spec, 300)
    world.there(spec, *(f"r-{n}" for n in range(0, 300, 2)))
    world.rows(*rows)
    world.sync(spec.name, rules)

    ran = world.run()

    assert 300 == ran.counts.delivered
    assert ran.counts.requests == len(ran.requests) <= 1.03 * 300
    assert {f"Row {n}" for n in range(300)} <= {one[text_of(spec)] for one in world.held(spec.name).values()}


def test_users_matched_by_email_are_listed_too(world: World):
    world.parents()
    rows, rules = rows_of(REST["user"], 300)
    seeds = [
        {"externalId": f"old-{n}", "email": f"U{n}@acme.test", "accountIds": ["account-1"]} for n in range(0, 300, 2)
    ]
    world.vitally.seed("users", seeds)
    world.rows(*({**row, "email": f"u{row['key']}@ACME.test"} for row in rows))
    world.sync("user", {**rules, "externalId": {"column": "ref"}}, match=("email", "email"))

    ran = world.run()

    assert 300 == ran.counts.delivered
    assert len(ran.requests) <= 1.03 * 300
    assert 300 == len(world.held("user"))


@pytest.mark.parametrize("switch", [{}, {"emit_at_end": True}, {"limit_over_100": "400"}], ids=str)
def test_churned_accounts_are_seen(switch: dict[str, object], world: World):
    """Vitally's list hides them unless asked. Making them anew would be refused, or overwrite their history."""
    world.vitally.configure(post_on_existing={"accounts": "409"}, **switch)
    rows, rules = rows_of(REST["account"], 30)
    world.vitally.seed(
        "accounts", seed(REST["account"], *(f"r-{n}" for n in range(30)), churnedAt="2025-01-01T00:00:00.000Z")
    )
    world.rows(*rows)
    world.sync("account", rules)

    ran = world.run()

    assert 30 == ran.counts.delivered
    assert [] == [line for line in ran.lines if line.startswith("POST")]
    assert 31 == len(ran.requests)


@CREATED_OBJECTS
def test_a_small_sync_into_a_big_workspace_does_not_read_all_of_it(spec: ObjectSpec, world: World):
    """The list is left as soon as it costs more than asking."""
    world.arrange(spec)
    rows, rules = rows_of(spec, 25)
    world.there(spec, *(f"other-{n}" for n in range(1500)))
    world.there(spec, "r-3")
    world.rows(*rows)
    world.sync(spec.name, rules)

    ran = world.run()

    assert 25 == ran.counts.delivered
    assert len([one for one in ran.requests if "limit" in one.query]) <= 4
    assert "Row 3" == world.held(spec.name)["r-3"][text_of(spec)]


@CREATED_OBJECTS
def test_a_listing_that_fails_only_costs_requests(spec: ObjectSpec, world: World):
    world.arrange(spec)
    rows, rules = rows_of(spec, 25)
    world.vitally.add_fault(match={"method": "GET", "path": f"/{SHELVES[spec.name]}$"}, status=400)
    world.there(spec, "r-3")
    world.rows(*rows)
    world.sync(spec.name, rules)

    ran = world.run_that_fails()

    assert 25 == ran.counts.delivered or "destination_misconfigured" == ran.report.error.code  # type: ignore[union-attr]
    assert 0 == ran.counts.rejected

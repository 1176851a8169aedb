"""A day at the sample company: changes a few rows of a warehouse and tells what it did."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import duckdb

from headrace.sample import words
from headrace.sample.rows import make_account, make_product_event, make_user, monthly_revenue
from headrace.sample.warehouse import insert_rows

UPGRADES, RENAMES, NEW_ROLES, NEW_USERS, NEW_EVENTS = 5, 2, 7, 3, 12


def change_some(path: str, seed: int = 8) -> dict[str, Any]:
    """Changes a few rows of a sample warehouse in one transaction and tells what it did.

    Five accounts upgrade, two organizations are renamed, seven users get a new title; one account with three users
    is new; users do a dozen things more, and what was done longest ago leaves the warehouse. Fewer where the warehouse
    is too small. The answer holds, by sync of the demo, how many rows `changed` and were `added`, and a `story` of
    sentences for a person:
    `{"organizations": {"changed": 2, "added": 0}, "accounts": {...}, "users": {...}, ..., "story": ["...", ...]}`.
    No row is changed twice, and each changed row differs from what it was.
    """
    random = Random(seed)
    with duckdb.connect(path) as connection:
        connection.execute("BEGIN")
        upgrades = _upgrade_accounts(connection, random)
        renames = _rename_organizations(connection, random)
        titles = _retitle_users(connection, random)
        before = _usage(connection)
        arrivals, newcomers = _add_account_with_users(connection, random)
        happened, events = _add_events(connection, random)
        after = _usage(connection)
        moved = sum(after[account] != usage for account, usage in before.items())
        connection.execute("COMMIT")
    return {
        "organizations": {"changed": len(renames), "added": 0},
        "accounts": {"changed": len(upgrades), "added": 1},
        "users": {"changed": len(titles), "added": newcomers},
        "usage": {"changed": moved, "added": 1},
        "events": {"changed": 0, "added": events},
        "story": [*upgrades, *renames, *titles, *happened, *arrivals],
    }


def _upgrade_accounts(connection: duckdb.DuckDBPyConnection, random: Random) -> list[str]:
    story = []
    rows = connection.execute(
        "SELECT account_id, name, plan, seats FROM accounts WHERE plan <> 'enterprise' ORDER BY 1"
    )
    for account_id, name, plan, seats in _some(random, rows.fetchall(), UPGRADES):
        better = words.PLANS[words.PLANS.index(plan) + 1]
        more = seats + random.choice((2, 5, 10, 25))
        revenue = monthly_revenue(better, more)
        connection.execute(
            "UPDATE accounts SET plan = ?, seats = ?, mrr = ?, is_trial = false WHERE account_id = ?",
            [better, more, revenue, account_id],
        )
        story.append(f"{_short(name)} upgrades from {plan} to {better}: {more} seats, {revenue} a month.")
    return story


def _rename_organizations(connection: duckdb.DuckDBPyConnection, random: Random) -> list[str]:
    story = []
    rows = connection.execute("SELECT org_id, name FROM organizations ORDER BY 1").fetchall()
    for org_id, name in _some(random, rows, RENAMES):
        new_name = f"{name} {random.choice(('Worldwide', 'Europe', '& Daughters', 'N.V.'))}"
        connection.execute("UPDATE organizations SET name = ? WHERE org_id = ?", [new_name, org_id])
        story.append(f"{name} is now {new_name}.")
    return story


def _retitle_users(connection: duckdb.DuckDBPyConnection, random: Random) -> list[str]:
    story = []
    rows = connection.execute("SELECT user_id, full_name, title FROM users ORDER BY 1").fetchall()
    for user_id, full_name, title in _some(random, rows, NEW_ROLES):
        new_title = random.choice([choice for choice in words.NEW_TITLES if choice != title])
        connection.execute("UPDATE users SET title = ? WHERE user_id = ?", [new_title, user_id])
        story.append(f"{full_name} becomes {new_title}.")
    return story


def _add_account_with_users(connection: duckdb.DuckDBPyConnection, random: Random) -> tuple[list[str], int]:
    organizations = [{"org_id": key} for key in _keys(connection, "organizations", "org_id")]
    account = make_account(random, _next_number(connection, "accounts", "account_id"), organizations)
    insert_rows(connection, "accounts", [account])
    first = _next_number(connection, "users", "user_id")
    numbers = range(first, first + NEW_USERS)
    users = [make_user(random, number, account["account_id"], account["name"]) for number in numbers]
    insert_rows(connection, "users", users)
    names = ", ".join(user["full_name"] for user in users)
    return [f"{_short(account['name'])} signs up, with {names}."], len(users)


def _add_events(connection: duckdb.DuckDBPyConnection, random: Random) -> tuple[list[str], int]:
    """A dozen new events; the oldest ones leave, as they do from a table that holds the last days only."""
    users = connection.execute("SELECT user_id, account_id, full_name FROM users ORDER BY 1").fetchall()
    first = _next_number(connection, "product_events", "event_id")
    latest = connection.execute("SELECT max(occurred_at) FROM product_events").fetchall()[0][0]
    connection.execute(
        "DELETE FROM product_events WHERE event_id IN "
        f"(SELECT event_id FROM product_events ORDER BY occurred_at, event_id LIMIT {NEW_EVENTS})"
    )
    chosen = _some(random, users, NEW_EVENTS)
    events = [
        make_product_event(random, number, latest + timedelta(minutes=number - first + 1), user_id, account_id)
        for number, (user_id, account_id, _) in enumerate(chosen, first)
    ]
    insert_rows(connection, "product_events", events)
    names = ", ".join(name for _, _, name in chosen[:2])
    told = f"{names} and others do {len(events)} things in the product; what was done longest ago leaves the table."
    return [told], len(events)


def _usage(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[Any, ...]]:
    """What the demo's model of usage says of each account."""
    rows = connection.execute(
        "SELECT a.account_id, count(e.event_id), count(DISTINCT e.user_id), max(e.occurred_at) FROM accounts a "
        "LEFT JOIN product_events e USING (account_id) GROUP BY ALL"
    )
    return {row[0]: row[1:] for row in rows.fetchall()}


def _some(random: Random, rows: list[tuple[Any, ...]], count: int) -> list[tuple[Any, ...]]:
    return random.sample(rows, min(count, len(rows)))


def _keys(connection: duckdb.DuckDBPyConnection, table: str, key: str) -> list[str]:
    return [value for (value,) in connection.execute(f"SELECT {key} FROM {table} ORDER BY 1").fetchall()]


def _next_number(connection: duckdb.DuckDBPyConnection, table: str, key: str) -> int:
    """One more than the greatest number in the ids of a table: `acc_00400` -> 401."""
    greatest = _keys(connection, table, key)[-1]
    return int(greatest.rpartition("_")[2]) + 1


def _short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"

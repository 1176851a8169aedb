"""Makes the rows of the sample warehouse, in memory, from one seeded random generator.

Each function gives one table as dicts by column; parents come in as rows already made, so every foreign key resolves.
"""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from headrace.sample import words

Row = dict[str, Any]

# The present of the sample world. Fixed, so that the same seed gives the same rows on any day.
PRESENT_UTC = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def make_organizations(random: Random, count: int) -> list[Row]:
    """Parent companies. Every fifth has no owner yet; headquarters is a struct with a null city here and there."""
    return [_organization(random, number) for number in range(1, count + 1)]


def make_accounts(random: Random, count: int, organizations: list[Row]) -> list[Row]:
    """Workspaces of customers. About one in twelve belongs to no organization; trials pay nothing and renew never."""
    return [make_account(random, number, organizations) for number in range(1, count + 1)]


def make_users(random: Random, count: int, accounts: list[Row]) -> list[Row]:
    """People. Every account has one at least while there are enough to go round; big accounts have more."""
    homes = [account["account_id"] for account in accounts[:count]]
    weights = [1 + account["seats"] for account in accounts]
    homes += [account["account_id"] for account in random.choices(accounts, weights, k=count - len(homes))]
    names = {account["account_id"]: account["name"] for account in accounts}
    return [make_user(random, number, home, names[home]) for number, home in enumerate(homes, start=1)]


def make_product_events(random: Random, count: int, users: list[Row]) -> list[Row]:
    """What people did in the product in the last 60 days, oldest first. A few events are by nobody, of an account."""
    instants = sorted(PRESENT_UTC - timedelta(seconds=random.randrange(60 * 86_400)) for _ in range(count))
    events = []
    for number, at in enumerate(instants, start=1):
        user = random.choice(users)
        events.append(make_product_event(random, number, at, user["user_id"], user["account_id"]))
    return events


def make_product_event(random: Random, number: int, occurred_at: datetime, user_id: str, account_id: str) -> Row:
    """Something that a user did; now and then nobody knows who it was."""
    name, properties = random.choice(words.EVENTS)
    by_nobody = random.random() < 0.02
    return {
        "event_id": f"evt_{number:07d}",
        "event_name": name,
        "occurred_at": occurred_at,
        "user_id": None if by_nobody else user_id,
        "account_id": account_id,
        "properties": _json({key: random.choice(words.EVENT_VALUES[key]) for key in properties}),
    }


def make_account(random: Random, number: int, organizations: list[Row]) -> Row:
    """One account. The first few carry the odd names, so that even a small warehouse has them."""
    locale = random.choice(words.LOCALES)
    is_trial = random.random() < 0.12
    plan = "free" if is_trial else random.choices(words.PLANS, (10, 30, 30, 20, 10))[0]
    seats = random.randint(1, 12) if is_trial else random.choice((1, 3, 8, 15, 40, 75, 120, 400))
    renews = not is_trial and plan != "free"
    return {
        "account_id": f"acc_{number:05d}",
        "org_id": random.choice(organizations)["org_id"] if random.random() < 0.92 else None,
        "name": _account_name(random, number),
        "plan": plan,
        "seats": seats,
        "mrr": Decimal(0) if is_trial else monthly_revenue(plan, seats),
        "health": _health(random),
        "renewal_at": (PRESENT_UTC + timedelta(days=random.randint(-20, 400))).date() if renews else None,
        "is_trial": is_trial,
        "industry": random.choice(words.INDUSTRIES) if random.random() < 0.9 else None,
        "country": locale.country,
    }


def make_user(random: Random, number: int, account_id: str, account_name: str) -> Row:
    """One person. E-mail addresses are unique; a few people have none, many never answered a survey or signed in."""
    locale = random.choice(words.LOCALES)
    given, family = random.choice(locale.given), random.choice(locale.family)
    full_name = f"{family} {given}" if locale.family_first else f"{given} {family}"
    mailbox = f"{_ascii(given) or 'user'}.{number}@{_ascii(account_name)[:40] or 'customer'}.example"
    seen = PRESENT_UTC - timedelta(seconds=random.randrange(90 * 86_400), milliseconds=random.randrange(1000))
    return {
        "user_id": f"usr_{number:06d}",
        "account_id": account_id,
        "full_name": full_name,
        "email": mailbox if random.random() < 0.97 else None,
        "title": random.choice(words.TITLES) if random.random() < 0.93 else None,
        "role": random.choice(words.ROLES),
        "seats": random.randint(1, 5),
        "logins": int(random.expovariate(1 / 40)),
        "nps": random.randint(0, 10) if random.random() < 0.35 else None,
        "tags": random.sample(words.TAGS, random.choice((0, 0, 1, 1, 2, 3))),
        "last_seen": seen if random.random() < 0.9 else None,
    }


def monthly_revenue(plan: str, seats: int) -> Decimal:
    """What an account pays a month: the plan's price of a seat times its seats, exact to the cent."""
    return Decimal(words.SEAT_PRICE[plan]) * seats


def _organization(random: Random, number: int) -> Row:
    locale = random.choice(words.LOCALES)
    stem = words.ORGANIZATION_STEMS[(number - 1) % len(words.ORGANIZATION_STEMS)]
    kind = words.ORGANIZATION_KINDS[(number - 1) // len(words.ORGANIZATION_STEMS) % len(words.ORGANIZATION_KINDS)]
    owner = random.choice(words.LOCALES)
    return {
        "org_id": f"org_{number:04d}",
        "name": f"{stem} {kind}",
        "industry": random.choice(words.INDUSTRIES),
        "tier": random.choice(("strategic", "core", "core", "long tail")),
        "owner": f"{random.choice(owner.given)} {random.choice(owner.family)}" if number % 5 else None,
        "headquarters": {"city": locale.city if random.random() < 0.85 else None, "country": locale.country},
        "customer_since": (PRESENT_UTC - timedelta(days=random.randint(30, 3_000))).date(),
        "is_public": random.random() < 0.3,
    }


def _account_name(random: Random, number: int) -> str:
    if number <= len(words.ODD_ACCOUNT_NAMES):
        return words.ODD_ACCOUNT_NAMES[number - 1]
    name = f"{random.choice(words.ACCOUNT_STEMS)} {random.choice(words.ACCOUNT_KINDS)}"
    return f"{name} {random.choice(words.LEGAL_FORMS)}".rstrip()


def _health(random: Random) -> str | None:
    """JSON text as an upstream scoring job would leave it; None where the job has not been yet."""
    if random.random() < 0.06:
        return None
    score = round(random.triangular(0, 10, 7), 1)
    risks = random.sample(words.RISKS, random.randint(1, 3)) if score < 5 else []
    return _json({"score": score, "trend": random.choice(("up", "flat", "down", None)), "risks": risks})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _ascii(text: str) -> str:
    """The letters of a name that an address can hold: `Ó Súilleabháin` -> `osuilleabhain`, `渡邊` -> ``."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in bare if letter.isalnum())

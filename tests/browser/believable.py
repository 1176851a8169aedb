"""A workspace as it looks after a week of use: the sample project, runs of every kind, faults of the other side.

For the tests of pages and for `make screenshots`. Runs of today are real ones, against the emulator; those of the days
before are written into the store, since nobody waits a week.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import uvloop

from headrace.app import App, Settings
from headrace.domain.access import Role, whole
from headrace.domain.errors import HeadraceError, WorldError
from headrace.domain.outcome import Counts, RunStatus
from headrace.emulator import Emulator, EmulatorSettings
from headrace.engine.job import RunOptions
from headrace.sample import change_some, demo_project, write_warehouse
from headrace.service.verbs import acting_as
from headrace.store.runs import NewRun
from headrace.store.workspace import Workspace

EMAIL, PASSWORD = "ada@example.com", "a wheel turned by water"
SCHEDULES = {"organizations": "1d", "accounts": "1h", "users": "1h", "usage": "4h"}
ROWS = {"organizations": 400, "accounts": 4_000, "users": 12_000, "usage": 4_000, "events": 20_000}
DAYS = 7


@contextmanager
def believable_workspace(folder: Path, scale: float = 0.5) -> Iterator[App]:
    """An open workspace in `folder`, and an emulator for as long as the context lasts."""
    write_warehouse(str(folder / "warehouse.duckdb"), scale=scale)
    with Emulator(EmulatorSettings(rate_limit=None)) as emulator:
        demo_project(folder, emulator.url)
        _add_to_project(folder)
        tokens = {"VITALLY_REST_TOKEN": "sk_live_test", "VITALLY_ANALYTICS_TOKEN": "analytics_test"}
        environment = {**tokens, "HEADRACE_WORKSPACE": str(folder / ".headrace")}
        with App.open(Settings.read(environment), create=True) as app, acting_as(whole("cli:ada")):
            app.catalog.apply(app.catalog.check(folder / "headrace.yaml"))
            _write_past(folder / ".headrace")
            _live_a_day(app, emulator, folder)
            token = app.access.first_link()
            assert token is not None
            app.access.accept(token, EMAIL, "Ada Lovelace", PASSWORD)
            yield app


def with_viewer(app: App) -> tuple[str, str]:
    """Address and password of somebody who may only look."""
    token = app.access.invite("viewer@example.com", Role.VIEWER)
    app.access.accept(token, "", "Vera", PASSWORD)
    return "viewer@example.com", PASSWORD


def _add_to_project(folder: Path) -> None:
    """Schedules, a sync that deletes, and a destination whose token is refused."""
    path = folder / "headrace.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    with_schedules: list[str] = []
    inside = False
    for line in lines:
        with_schedules.append(line)
        inside = inside or line == "syncs:"
        name = line.strip().rstrip(":")
        if inside and line.startswith("  ") and not line.startswith("   ") and name in SCHEDULES:
            with_schedules.append(f"    schedule: {{every: {SCHEDULES[name]}}}")
    url = next(line.split()[1] for line in lines if line.strip().startswith("rest_url:"))
    at = with_schedules.index("syncs:")
    with_schedules[at:at] = [
        "  vitally-eu:",
        "    type: vitally",
        "    region: eu",
        "    rest_api_token: {env: VITALLY_EU_TOKEN}",
        f"    rest_url: {url}",
        "",
    ]
    with_schedules += [
        "  trials:",
        "    model: accounts",
        "    destination: vitally",
        "    type: rest_objects",
        "    object: account",
        "    mode: upsert",
        "    match: {column: account_id, field: externalId}",
        "    fields: {name: {column: name}}",
        "    removed: delete",
        "    schedule: {cron: '0 6 * * *', timezone: Europe/Berlin}",
        "  organizations-eu:",
        "    model: organizations",
        "    destination: vitally-eu",
        "    type: rest_objects",
        "    object: organization",
        "    mode: upsert",
        "    match: {column: org_id, field: externalId}",
        "    fields: {name: {column: name}}",
    ]
    path.write_text("\n".join(with_schedules) + "\n", encoding="utf-8")
    with (folder / ".env").open("a", encoding="utf-8") as file:
        file.write("VITALLY_EU_TOKEN=sk_live_refused\n")


def _write_past(workspace: Path) -> None:
    """Runs of the last week, every few hours, with numbers that a company would have."""
    chance = random.Random(11)
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    moment = [today]
    with Workspace.open(workspace, now=lambda: moment[0]) as opened:
        for hours_ago in range(DAYS * 24, 0, -3):
            for name, usual in ROWS.items():
                moment[0] = today - timedelta(hours=hours_ago) + timedelta(minutes=chance.randint(0, 40))
                is_day = 7 <= moment[0].hour <= 19
                changed = chance.randint(0, usual // (12 if is_day else 60) + 1)
                bad = chance.choice((0, 0, 0, 0, 1, 3)) if name in ("accounts", "users") else 0
                run = opened.runs.create(NewRun(name, name, reason="schedule", requested_by="scheduler"))
                counts = Counts(rows=usual, changed=changed, unchanged=usual - changed, requests=changed + 2)
                counts.rejected = min(bad, changed)
                counts.delivered = changed - counts.rejected
                moment[0] += timedelta(seconds=2 + changed / 15)
                status = RunStatus.SUCCEEDED_WITH_REJECTIONS if counts.rejected else RunStatus.SUCCEEDED
                error: HeadraceError | None = None
                if name == "usage" and hours_ago == 51:
                    status, counts.delivered, counts.rejected = RunStatus.FAILED, 0, 0
                    error = WorldError("The destination did not answer for 5 min.", code="destination_unavailable")
                opened.runs.finish(run.id, status, counts, error)


def _live_a_day(app: App, emulator: Emulator, folder: Path) -> None:
    """Real runs: all rows, then changes with faults of every kind, a refused token, a held removal."""
    _run(app, "organizations", "accounts", "users", "usage", "events", "trials")
    change_some(str(folder / "warehouse.duckdb"))
    for parts in (
        {
            "match": {"method": "PUT", "path": "/resources/accounts"},
            "status": 503,
            "body": {"error": "busy"},
            "times": 2,
        },
        {
            "match": {"method": "PUT", "path": "/resources/accounts"},
            "status": 400,
            "body": {"error": "traits.plan is not one of the allowed values"},
            "skip": 4,
            "times": 6,
        },
        {"match": {"method": "PUT", "path": "/resources/users"}, "action": "drop_before", "times": 1},
        {
            "match": {"method": "PUT", "path": "/resources/users"},
            "status": 422,
            "body": {"error": "Unprocessable: email belongs to another user"},
            "skip": 2,
            "times": 3,
        },
    ):
        emulator.add_fault(**parts)
    _run(app, "accounts", "users", "usage", "events", "organizations-eu")
    emulator.clear_faults()
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute("DELETE FROM accounts WHERE hash(account_id) % 3 = 0")
    _run(app, "trials")


def _run(app: App, *names: str) -> None:
    async def go() -> None:
        for name in names:
            await app.runs.run(name, RunOptions(), lambda event: None, lambda told: None)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(go())

"""Runs as a person asks for them: the second waits, the third is refused, the dead are settled, the held approved."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.app import App
from headrace.domain.errors import UserError
from headrace.domain.outcome import RunStatus
from headrace.engine.job import RunOptions
from headrace.service.running import Runner
from headrace.service.runs import RunService
from headrace.store.runs import Hold, NewRun
from headrace.store.workspace import Workspace

from .world import SYNC, dead_run


class PatientClock:
    """Time that passes when somebody waits; `on_wait` is what happens meanwhile."""

    def __init__(self) -> None:
        self.waits = 0
        self.on_wait: dict[int, Any] = {}

    def now(self) -> datetime:
        return datetime(2026, 1, 31, tzinfo=UTC)

    def monotonic(self) -> float:
        return float(self.waits)

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        assert self.waits < 50, "nobody ever lets go"
        if self.waits in self.on_wait:
            await self.on_wait[self.waits]()
        await asyncio.sleep(0)


def service(app: App, clock: PatientClock) -> RunService:
    runner = Runner(app.workspace, app.assembly, clock, app.runner.owners, app.runner.depots)
    return RunService(app.workspace, app.catalog, app.assembly, runner)


def start(runs: RunService, said: list[str], *, queue: bool = True) -> Any:
    return runs.run(SYNC, RunOptions(), lambda _event: None, said.append, queue=queue)


def test_a_second_run_waits_its_turn_and_a_third_is_refused(app: App):
    """Promise 7: a trigger during a run queues exactly one more."""
    clock, said = PatientClock(), []
    busy = app.runner.owners.begin(NewRun(SYNC, SYNC))
    assert busy is not None
    refused: list[UserError] = []

    async def third() -> None:
        with pytest.raises(UserError) as caught:
            await start(service(app, clock), [])
        refused.append(caught.value)
        app.workspace.runs.finish(busy.run.id, RunStatus.SUCCEEDED, busy.run.counts)
        busy.close()

    clock.on_wait[2] = third
    report = asyncio.run(start(service(app, clock), said))

    assert RunStatus.SUCCEEDED is report.status
    assert "is queued and starts when that one ends" in said[0]
    assert "sync_busy" == refused[0].code
    assert "one more run is queued" in refused[0].message
    assert [report.run_id, busy.run.id] == [one.id for one in app.workspace.runs.list().items]


def test_who_does_not_want_to_wait_is_refused_at_once(app: App):
    with app.runner.owners.begin(NewRun(SYNC, SYNC)), pytest.raises(UserError, match="is running already"):
        asyncio.run(start(service(app, PatientClock()), [], queue=False))


def test_a_queued_run_can_be_cancelled(app: App):
    clock = PatientClock()
    runs = service(app, clock)

    async def cancel() -> None:
        runs.cancel(app.workspace.runs.list(status=RunStatus.QUEUED).items[0].id)

    clock.on_wait[2] = cancel
    with app.runner.owners.begin(NewRun(SYNC, SYNC)), pytest.raises(UserError) as caught:
        asyncio.run(start(runs, []))

    assert "cancelled" == caught.value.code
    assert RunStatus.CANCELLED is app.workspace.runs.list().items[0].status


def test_a_run_whose_process_is_gone_is_settled_and_a_live_one_is_not(app: App):
    dead = dead_run(app, "gone")
    with app.runner.owners.begin(NewRun("alive", "alive")) as alive:
        service(app, PatientClock()).settle_dead()

        assert RunStatus.INTERRUPTED is app.workspace.runs.get(dead.id).status
        assert RunStatus.RUNNING is app.workspace.runs.get(alive.run.id).status


def held(workspace: Workspace, expires_at: datetime) -> int:
    run = workspace.runs.create(NewRun("s", "s"))
    workspace.runs.hold(run.id, run.counts, Hold(20, "too many", "1", expires_at))
    return run.id


def test_an_approval_is_for_a_held_run_and_expires(app: App):
    runs, later = service(app, PatientClock()), datetime.now(UTC) + timedelta(hours=24)
    fresh = held(app.workspace, later)
    old = held(app.workspace, datetime.now(UTC) - timedelta(seconds=1))
    other = app.workspace.runs.create(NewRun("t", "t"))

    approved = runs.approve(fresh)
    codes = []
    for run_id in (old, other.id):
        with pytest.raises(UserError) as caught:
            runs.approve(run_id)
        codes.append(caught.value.code)

    assert approved.hold is not None
    assert approved.hold.approved_at is not None
    assert ["approval_expired", "run_not_held"] == codes


def test_syncs_run_in_the_order_parents_before_children(app: App):
    document = app.catalog.documents("sync")[SYNC]
    parents = {"accountIds": {"column": "id"}}
    app.workspace.catalog.put("sync", "a-users", document | {"object": "user", "fields": parents})
    app.workspace.catalog.put("sync", "z-organizations", document | {"object": "organization"})

    runs = service(app, PatientClock())

    assert ["z-organizations", SYNC, "a-users"] == runs.in_order(None)
    assert ["a-users", "z-organizations"] == runs.in_order(["a-users", "z-organizations", "a-users"])

"""Runs as a person asks for them: start, queue, cancel, approve, discard, follow.

One live run a sync, decided by a lock and a unique index; a run asked for meanwhile is queued, one more is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson

from headrace.domain.access import Scope
from headrace.domain.config import SyncConfig, sync_id
from headrace.domain.errors import UserError
from headrace.domain.outcome import RunStatus
from headrace.engine.job import RunOptions
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.running import Emit, Ended, Runner, RunReport, Waiting, new_run, options_of
from headrace.service.verbs import current_actor, note, verb
from headrace.store.events import Told
from headrace.store.runs import NewRun
from headrace.store.runs import Run as StoredRun
from headrace.store.workspace import Workspace

__all__ = ["Followed", "RunReport", "RunService"]

Overlap = Literal["queue", "skip"]
MOST_CUT_IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class Followed:
    """What a run told since, and how it stands now."""

    facts: tuple[Told, ...]
    run: StoredRun


class RunService:
    """Starts and steers runs of one workspace."""

    def __init__(self, workspace: Workspace, catalog: CatalogService, assembly: Assembly, runner: Runner) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._assembly = assembly
        self.runner = runner
        self.queued: list[Callable[[int], None]] = []
        """Told of every run that waits for a worker, once it is durable."""

    @property
    def ended(self) -> list[Ended]:
        """Who is told of every run that ended in this process."""
        return self.runner.ended

    def interrupt(self) -> None:
        """Ctrl-C: ends the run under way and starts no other. Callable from a signal handler on the loop."""
        self.runner.interrupt()

    @property
    def interrupted(self) -> bool:
        return self.runner.interrupted

    def in_order(self, names: Sequence[str] | None) -> list[str]:
        """The named syncs as given; without names all of them, parents before children where no sequence says more."""
        if names is not None:
            for name in names:
                self._catalog.get("sync", name)
            return list(dict.fromkeys(names))
        order = sorted(self._catalog.names("sync"), key=lambda name: (self._assembly.rank(name), name))
        for sequence in self._catalog.documents("sequence").values():
            places = sorted(order.index(name) for name in sequence["syncs"] if name in order)
            members = [name for name in sequence["syncs"] if name in order]
            for place, name in zip(places, members, strict=True):
                order[place] = name
        return order

    @verb(Scope.READ)
    def consequence(self, name: str, options: RunOptions) -> str:
        """What a resync or a reset would do, in a sentence with its number: a person is asked before."""
        latest = self._workspace.runs.latest()
        known = next((one.counts.rows for one in latest.values() if one.sync == name), None)
        rows = f"all {known:,} rows (as of its last run)" if known is not None else "every row"
        if not options.full_resync:
            return f"{name}: {rows} will count as delivered as they are; nothing is sent."
        if self._assembly.target(name).once:
            return (
                f"{name}: {rows} will be sent again, each with the message id it had. The destination drops those that "
                "it still remembers; what it has forgotten counts twice."
            )
        return f"{name}: {rows} will be sent again, changed or not."

    # Starting -----------------------------------------------------------------------------------------------------

    @verb(Scope.RUN, changes=lambda name, options, **_: f"sync {name}")
    async def run(
        self, name: str, options: RunOptions, emit: Emit, waiting: Waiting, *, queue: bool = True
    ) -> RunReport:
        """Runs a sync to its end, in this process. Waits for a live run of it to end first, where `queue` allows.

        Raises UserError `sync_busy` when one is queued already, and what configuration or secrets lack.
        """
        new = new_run(name, self._catalog.get("sync", name), options, "manual", current_actor().name)
        return await self.runner.run(new, options, emit, waiting, queue=queue)

    @verb(Scope.RUN, changes=lambda name, **_: f"sync {name}")
    def trigger(
        self,
        name: str,
        options: RunOptions = RunOptions(),
        *,
        reason: str = "manual",
        overlap: Overlap = "queue",
        sequence_run: int | None = None,
        idempotency_key: str | None = None,
    ) -> StoredRun:
        """Queues a run for whichever worker is free. It is durable when this returns.

        Raises NotFound, and UserError `sync_busy` where one is queued already, or under `skip` where one is live.
        The same actor, key and request give the same run for 24 hours; `idempotency_key_reused` for another request.
        """
        sync: SyncConfig = self._catalog.get("sync", name)
        self.settle_dead(sync_id(name, sync))
        new = replace(
            new_run(name, sync, options, reason, current_actor().name),
            status=RunStatus.QUEUED,
            sequence_run=sequence_run,
        )
        if overlap == "skip" and (live := self._workspace.runs.live(new.sync_id)):
            message = f'Sync "{name}" has run {live[0].id} {live[0].status}, so another was not started.'
            raise UserError(message, code="sync_busy", run_id=live[0].id)
        if idempotency_key is None:
            stored = self._workspace.runs.create(new)
        else:
            asked = orjson.dumps([name, new.options, reason, overlap], option=orjson.OPT_SORT_KEYS)
            stored = self._workspace.runs.create_once(new, idempotency_key, hashlib.sha256(asked).hexdigest())
        note(f"run {stored.id}", None, {"sync": name, "reason": reason, **new.options})
        self._say_queued(stored)
        return stored

    @verb(Scope.RUN, changes=lambda run_id: f"run {run_id}")
    def retry(self, run_id: int) -> StoredRun:
        """Queues another run of the same sync: what was rejected or owed is planned again by itself, as it is now."""
        ended = self._workspace.runs.get(run_id)
        return self.trigger(ended.sync, reason="retry")

    def _say_queued(self, run: StoredRun) -> None:
        for tell in self.queued:
            tell(run.id)

    # Steering -----------------------------------------------------------------------------------------------------

    @verb(Scope.RUN, changes=lambda run_id: f"run {run_id}")
    def cancel(self, run_id: int) -> StoredRun:
        """Asks a run to stop sending. Raises NotFound, UserError `run_ended`."""
        self.settle_dead()
        return self._workspace.runs.request_cancel(run_id)

    @verb(Scope.RUN, changes=lambda run_id, queue: f"run {run_id}")
    def approve(self, run_id: int, *, queue: bool = False) -> StoredRun:
        """Releases a held run's removals for 24 hours.

        With `queue` the run that makes them is queued and returned; else the caller runs the sync with `approved`.
        Raises UserError `run_not_held`, `approval_expired`.
        """
        held = self._workspace.runs.approve(run_id)
        if not queue:
            return held
        options = replace(options_of(held), approved=True, reset_cdc=False)
        return self.trigger(held.sync, options, reason="approval")

    @verb(Scope.RUN, changes=lambda run_id: f"run {run_id}")
    def discard(self, run_id: int) -> StoredRun:
        """Gives up what the guard held: nothing of it is sent. Raises UserError `run_not_held`."""
        return self._workspace.runs.discard(run_id)

    @verb(Scope.READ)
    def follow(self, run_id: int, after: int = 0) -> Followed:
        """The facts that a run told after that number, and how it stands. Raises NotFound."""
        # The run is read first: a fact that is told meanwhile is there, and the end is never seen before its facts.
        run = self._workspace.runs.get(run_id)
        return Followed(tuple(self._workspace.events.since(run_id, after)), run)

    def settle_dead(self, sync: str | None = None) -> list[StoredRun]:
        """Ends runs as interrupted whose owner is gone, and queues those that go on by themselves. Returns the ended.

        `sync` is a sync's identity; without it all are looked at.
        """
        settled = self.runner.settle(self._follower, sync)
        for one in settled:
            if one.follower is not None:
                self._say_queued(one.follower)
        return [one.dead for one in settled]

    def go_on_after(self, interrupted: StoredRun) -> StoredRun | None:
        """Queues the run that goes on where that one stopped; None where another is queued, or nobody wants one."""
        follower = self._follower(interrupted)
        if follower is None:
            return None
        try:
            stored = self._workspace.runs.create(follower)
        except UserError as error:
            if error.code != "sync_busy":
                raise
            return None
        self._say_queued(stored)
        return stored

    def _follower(self, cut: StoredRun) -> NewRun | None:
        """The run that goes on where that one was cut, with the same options.

        None for one that a person started and watched at the command line: they run it again when they like. And none
        where so many in a row were cut without delivering a row: whatever kills them would kill the next one too.
        """
        if cut.reason == "manual" and (cut.requested_by or "").startswith("cli:"):
            return None
        if cut.sync not in self._catalog.names("sync") or self._workspace.runs.cut_in_a_row(cut) >= MOST_CUT_IN_A_ROW:
            return None
        sync: SyncConfig = self._catalog.get("sync", cut.sync)
        new = new_run(cut.sync, sync, options_of(cut), "takeover", cut.requested_by or current_actor().name)
        return replace(new, status=RunStatus.QUEUED, follows=cut.id, sequence_run=cut.sequence_run)

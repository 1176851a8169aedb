"""The plan's second reader: does what was planned, row by row, several at once, until every row has one outcome.

In: planned rows. Out: outcomes and calls in the record. It knows no vendor: the destination says what to send and what
an answer means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from headrace.destinations import Known, NeedParents, RecordDestination, Send, Settled, Task
from headrace.destinations import Learned as LearnedVerdict
from headrace.domain.errors import Bug, HeadraceError
from headrace.domain.outcome import Change, RowFault, RowOutcome
from headrace.domain.plan import Operation, PlannedRow
from headrace.domain.request import NoResponse, Response
from headrace.domain.spec import Mode
from headrace.engine.delivery import Delivery, End
from headrace.engine.exchange import Cancelled, Exchange, GaveUp, RunStopped, Unknown, refused_alike
from headrace.engine.lookups import LISTING_PAYS_FROM, Existing, Lookups
from headrace.engine.planned import Plan
from headrace.engine.recorder import Recorder

_NOTHING = Known()
MOST_STEPS = 16
"""A row that needs more exchanges than this is going round in circles."""
MOST_UNKNOWN = 3
"""So many creates of one row without an answer: it waits for the next run."""


class Executor:
    """Delivers the rows of one plan."""

    def __init__(
        self,
        delivery: Delivery,
        destination: RecordDestination,
        exchange: Exchange,
        lookups: Lookups,
        recorder: Recorder,
        stop: asyncio.Event,
    ) -> None:
        self._delivery = delivery
        self._destination = destination
        self._exchange = exchange
        self._lookups = lookups
        self._recorder = recorder
        self._existing = Existing()
        self._stop = stop
        self.failure: HeadraceError | None = None

    async def run(self, rows: Iterator[PlannedRow], concurrency: int) -> None:
        """Delivers all rows, or as many as there are until `stop` is set or the run can't go on.

        What stopped it is in `failure`; rows that were not reached are recorded as owed.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(rows))
        for row in rows:
            self._settle(row, End(RowOutcome.OWED))
        self._recorder.flush()

    async def list_first(self, plan: Plan) -> None:
        """Lists existing records, and parents, where that is cheaper than asking for them one by one."""
        delivery = self._delivery
        asks = delivery.mode is not Mode.UPDATE or delivery.match_field == "email"
        try:
            # What is matched by nothing is not looked for: the primary key alone tells its records apart.
            if asks and delivery.match_field not in ("", "id") and plan.counts.added >= LISTING_PAYS_FROM:
                wanted = plan.match_values(Change.ADDED)
                if len(wanted) >= LISTING_PAYS_FROM:
                    self._existing = await self._lookups.list_existing(delivery.kind, wanted, delivery.match_field)
            for kind, columns in delivery.mapping.parent_kinds.items():
                if wanted := [one for column in columns for one in plan.distinct(column)]:
                    await self._lookups.prime(kind, wanted)
        except RunStopped as stopped:
            self._halt(stopped)
        except (GaveUp, Cancelled):
            return  # a listing only saves requests; without it every row asks for itself

    async def _work(self, rows: Iterator[PlannedRow]) -> None:
        for row in rows:
            if self._stop.is_set():
                self._settle(row, End(RowOutcome.OWED))
                return
            try:
                end = await self._deliver(row)
            except Cancelled:
                end = End(RowOutcome.OWED)
            except RunStopped as stopped:
                self._halt(stopped)
                end = End(RowOutcome.OWED, RowFault(stopped.code, stopped.message))
            self._settle(row, end)

    def _halt(self, failure: HeadraceError) -> None:
        self.failure = self.failure or failure
        self._stop.set()

    async def _deliver(self, row: PlannedRow) -> End:
        work = self._delivery.work(row)
        if isinstance(work, End):
            return work
        record, operations = work
        end = End(RowOutcome.DELIVERED)
        for operation in operations:
            end = await self._perform(self._delivery.task(operation, row, record))
            if end.outcome is not RowOutcome.DELIVERED and operation is not operations[-1]:
                if end.outcome is RowOutcome.SKIPPED:
                    continue  # the old record is not there to be cleared
                return end
        return end

    async def _perform(self, task: Task) -> End:
        operation, key = task.operation, task.key
        known = self._first_known(operation)
        call: int | None = None
        unknowns = 0
        for _ in range(MOST_STEPS):
            step = self._destination.next_step(task, known)
            if isinstance(step, Settled):
                return self._ended(task, step, call)
            try:
                if isinstance(step, NeedParents):
                    parents = await self._lookups.parents(step.references, key)
                    if isinstance(parents, RowFault):
                        return End(RowOutcome.REJECTED, parents)
                    known = known.but(parents={**known.parents, **parents})
                    continue
                verdict, call = await self._send(task, known, step)
            except GaveUp as gave_up:
                return End(RowOutcome.OWED, gave_up.fault, gave_up.call or call)
            except Unknown as unknown:
                known, call = known.but(exists=None, unknown_outcome=True), unknown.call
                unknowns += 1
                if unknowns == MOST_UNKNOWN:
                    message = f"The record was sent {unknowns} times to be created, and no answer came: "
                    message += f"{unknown.reason}. The row is planned again on the next run."
                    return End(RowOutcome.OWED, RowFault("destination_unavailable", message), call)
                continue
            if isinstance(verdict, Settled):
                return self._ended(task, verdict, call)
            for kind, external_id in verdict.forget:
                self._lookups.forget(kind, external_id)
            known = verdict.known
        raise Bug("a row went round in circles", key=key, operation=operation.kind)

    def _first_known(self, operation: Operation) -> Known:
        if self._delivery.match_field == "externalId":
            remembered = self._lookups.remembered(self._delivery.kind, operation.match)
            if remembered is not None:
                return Known(record_id=remembered)
        if not self._existing.ids and not self._existing.complete:
            return _NOTHING
        exists = self._existing.exists(operation.match) if operation.kind not in ("clear", "delete") else None
        return Known(exists=exists, record_id=self._existing.ids.get(operation.match))

    async def _send(self, task: Task, known: Known, step: Send) -> tuple[Settled | LearnedVerdict, int]:
        def read(answer: Response | NoResponse) -> object:
            return self._destination.judge(task, known, step.request, answer)

        verdict, call = await self._exchange.ask(step.request, [task.key], read, once=step.creates)
        assert isinstance(verdict, (Settled, LearnedVerdict))
        return verdict, call

    def _ended(self, task: Task, settled: Settled, call: int | None) -> End:
        if self._delivery.match_field == "externalId" and self._delivery.is_parent:
            if task.operation.kind == "delete":
                self._lookups.forget(self._delivery.kind, task.operation.match)
            elif settled.record_id and (task.operation.parents or self._lookups.lacks(self._delivery.kind, task)):
                # A row that only changed was learned when it was added, unless its record was made anew since.
                self._lookups.learn(self._delivery.kind, task.operation.match, settled.record_id)
        fault = settled.fault
        if settled.outcome is RowOutcome.REJECTED and fault is not None:
            any_delivered = self._recorder.counts.delivered > 0
            if self._exchange.health.row_refused(fault.theirs or fault.message, any_delivered=any_delivered):
                self._halt(refused_alike("The first rows of the run were all refused alike", fault))
        return End(settled.outcome, fault, call)

    def _settle(self, row: PlannedRow, end: End) -> None:
        self._recorder.outcomes(self._delivery.outcomes((row,), end))


async def watch(stop: asyncio.Event, asked: Callable[[], bool], tick: Callable[[], None], every_s: float) -> None:
    """Looks now and then whether somebody asked the run to end, and shows its progress. Ends when cancelled."""
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(every_s)
            tick()
            if not stop.is_set() and asked():
                stop.set()

"""The plan's second reader where one request carries many rows: packs their messages, and names the rows at fault.

In: planned rows. Out: outcomes and calls in the record. A batch that is refused is halved until each bad row is known
and its siblings are delivered; one that is too large is halved by bytes; one without an answer is sent again as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headrace.destinations import Accepted, BatchDestination, Batching, BatchVerdict, Refused, Task, TooLarge
from headrace.domain.errors import HeadraceError
from headrace.domain.outcome import Change, RowFault, RowOutcome
from headrace.domain.plan import PlannedRow
from headrace.domain.request import NoResponse, Response
from headrace.engine.delivery import Delivery, End, Settle
from headrace.engine.exchange import Cancelled, Exchange, GaveUp, RunStopped, refused_alike
from headrace.engine.planned import Plan
from headrace.engine.recorder import Recorder

REFUSED_ALIKE = 8
"""So many single rows refused with the same words, and none delivered: it is not the rows."""


class Packed(NamedTuple):
    """A row and its messages, encoded."""

    row: PlannedRow
    messages: Sequence[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.messages))


class Packer:
    """Draws rows and packs them into batches, in order. Rows that can't be sent are handed to `settle`.

    A row whose messages are more than a batch takes is packed alone, and sent in several requests.
    """

    def __init__(
        self, rows: Iterator[PlannedRow], delivery: Delivery, destination: BatchDestination, settle: Settle
    ) -> None:
        self._rows = rows
        self._delivery = delivery
        self._destination = destination
        self._settle = settle
        self._waiting: Packed | None = None
        self.most_bytes = destination.batching.most_bytes

    def pack(self) -> list[Packed]:
        """The next batch; empty at the end of the rows."""
        batching, most_bytes, pack_row = self._destination.batching, self.most_bytes, self._pack_row
        found: list[Packed] = []
        messages, size = 0, batching.frame
        if self._waiting is not None:
            found.append(self._waiting)
            messages, size = len(self._waiting.messages), size + self._size_of(self._waiting)
            self._waiting = None
        for row in self._rows:
            packed = pack_row(row)
            if isinstance(packed, End):
                self._settle(row, packed)
                continue
            messages += len(packed.messages)
            size += self._size_of(packed)
            if found and (messages > batching.most_messages or size > most_bytes):
                self._waiting = packed
                break
            found.append(packed)
            if messages == batching.most_messages:
                break  # the next row can wait in the plan
        return found

    def _size_of(self, packed: Packed) -> int:
        """The bytes that a row adds to the body of a batch."""
        messages = packed.messages
        own = len(messages[0]) if len(messages) == 1 else packed.size
        return own + self._destination.batching.gap * len(messages)

    def rest(self) -> Iterator[PlannedRow]:
        """The rows that were not packed."""
        if self._waiting is not None:
            yield self._waiting.row
            self._waiting = None
        yield from self._rows

    def _pack_row(self, row: PlannedRow) -> Packed | End:
        work = self._delivery.work(row)
        if isinstance(work, End):
            return work
        record, operations = work
        if not operations:
            return End(RowOutcome.DELIVERED)
        before = None
        if row.change is Change.CHANGED and row.old is not None and self._destination.batching.reads_before:
            before = self._delivery.mapping.last_record(row.old, row.old_match or "")
        task = Task(operations[-1], record, row.key, before, row.generation, row.row_hash)
        return Packed(row, self._destination.messages(task))


def chunks(messages: Sequence[bytes], batching: Batching, most_bytes: int) -> Iterator[Sequence[bytes]]:
    """The messages in order, in as few requests as carry them."""
    found: list[bytes] = []
    size = batching.frame
    for one in messages:
        size += len(one) + batching.gap
        if found and (len(found) == batching.most_messages or size > most_bytes):
            yield found
            found, size = [], batching.frame + len(one) + batching.gap
        found.append(one)
    if found:
        yield found


class BatchExecutor:
    """Delivers the rows of one plan, many a request."""

    def __init__(
        self,
        delivery: Delivery,
        destination: BatchDestination,
        exchange: Exchange,
        recorder: Recorder,
        stop: asyncio.Event,
    ) -> None:
        self._delivery = delivery
        self._destination = destination
        self._exchange = exchange
        self._recorder = recorder
        self._stop = stop
        self._alike: tuple[str, int] = ("", 0)
        self.failure: HeadraceError | None = None

    async def list_first(self, plan: Plan) -> None:
        """Nothing has to be known of the records beforehand."""

    async def run(self, rows: Iterator[PlannedRow], concurrency: int) -> None:
        """Delivers all rows, or as many as there are until `stop` is set or the run can't go on.

        What stopped it is in `failure`; rows that were not reached are recorded as owed.
        """
        packer = Packer(rows, self._delivery, self._destination, self._settle)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(packer))
        for row in packer.rest():
            self._settle(row, End(RowOutcome.OWED))
        self._recorder.flush()

    async def _work(self, packer: Packer) -> None:
        while not self._stop.is_set() and (batch := packer.pack()):
            await self._deliver(batch, packer)

    async def _deliver(self, batch: Sequence[Packed], packer: Packer, *, surely_bad: bool = False) -> bool:
        """Gives each row of the batch its end. Whether any of them was refused.

        `surely_bad`: one half of a refused batch was accepted, so this other half need not be tried whole.
        """
        if self._stop.is_set():
            self._settle_all(batch, End(RowOutcome.OWED))
            return True
        if surely_bad and len(batch) > 1:
            return await self._halve(batch, len(batch) // 2, packer)
        try:
            verdict, call = await self._send(batch, packer.most_bytes)
        except GaveUp as gave_up:
            self._settle_all(batch, End(RowOutcome.OWED, gave_up.fault, gave_up.call))
            return True
        except Cancelled:
            self._settle_all(batch, End(RowOutcome.OWED))
            return True
        except RunStopped as stopped:
            self._halt(stopped)
            self._settle_all(batch, End(RowOutcome.OWED, RowFault(stopped.code, stopped.message)))
            return True
        if isinstance(verdict, Accepted):
            self._settle_all(batch, End(RowOutcome.DELIVERED, call=call))
            return False
        size = sum(one.size for one in batch)
        if isinstance(verdict, TooLarge):
            # No later batch needs to find that out again.
            packer.most_bytes = max(min(packer.most_bytes, size) // 2, 1)
            if len(batch) == 1 and any(len(one) < packer.most_bytes for one in batch[0].messages[1:]):
                return await self._deliver(batch, packer)  # in more requests than before
        if len(batch) > 1:
            at = _half_by_bytes(batch, size) if isinstance(verdict, TooLarge) else len(batch) // 2
            return await self._halve(batch, at, packer)
        self._refuse(batch[0].row, verdict, call)
        return True

    async def _halve(self, batch: Sequence[Packed], at: int, packer: Packer) -> bool:
        first_bad = await self._deliver(batch[:at], packer)
        second_bad = await self._deliver(batch[at:], packer, surely_bad=not first_bad)
        return first_bad or second_bad

    async def _send(self, batch: Sequence[Packed], most_bytes: int) -> tuple[Accepted | Refused | TooLarge, int]:
        messages = [message for one in batch for message in one.messages]
        keys = [one.row.key for one in batch]
        verdict: BatchVerdict = Accepted()
        call = 0
        # A batch was packed to fit; only a single row may need more than one request.
        parts = chunks(messages, self._destination.batching, most_bytes) if len(batch) == 1 else (messages,)
        for part in parts:
            request = self._destination.batch(part)

            def read(answer: Response | NoResponse, request=request) -> BatchVerdict:  # type: ignore[no-untyped-def]
                return self._destination.judge_batch(request, answer)

            verdict, call = await self._exchange.ask(request, keys, read)
            if not isinstance(verdict, Accepted):
                break
        assert isinstance(verdict, Accepted | Refused | TooLarge)
        return verdict, call

    def _refuse(self, row: PlannedRow, verdict: Refused | TooLarge, call: int) -> None:
        title = self._destination.spec.title
        if isinstance(verdict, TooLarge):
            message = f"{title} refused the row for its size: {verdict.words}. Map fewer or shorter values."
        else:
            message = f"{title} refused the row ({verdict.status}): {verdict.words}"
        fault = RowFault("destination_rejected", message, theirs=verdict.words)
        self._settle(row, End(RowOutcome.REJECTED, fault, call))
        words, times = self._alike
        self._alike = (verdict.words, times + 1 if words == verdict.words else 1)
        if self._alike[1] >= REFUSED_ALIKE and self._recorder.counts.delivered == 0:
            self._halt(
                refused_alike(f"The first {REFUSED_ALIKE} rows of a refused batch were each refused alike", fault)
            )

    def _halt(self, failure: HeadraceError) -> None:
        self.failure = self.failure or failure
        self._stop.set()

    def _settle_all(self, batch: Sequence[Packed], end: End) -> None:
        self._recorder.outcomes(self._delivery.outcomes([one.row for one in batch], end))

    def _settle(self, row: PlannedRow, end: End) -> None:
        self._recorder.outcomes(self._delivery.outcomes((row,), end))


def _half_by_bytes(batch: Sequence[Packed], size: int) -> int:
    """Where to cut so that both parts are about as large; neither is empty."""
    so_far = 0
    for place, one in enumerate(batch[:-1], 1):
        so_far += one.size
        if so_far * 2 >= size:
            return place
    return len(batch) - 1

"""Rows, a destination, a server and everything between them, for tests of what is sent and what becomes of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.destinations.vitally import SPEC
from headrace.domain.columns import Column, ColumnType
from headrace.domain.config import SyncConfig
from headrace.domain.mapping import compile_mapping
from headrace.domain.outcome import Change, Counts
from headrace.domain.plan import PlannedRow
from headrace.domain.spec import Mode
from headrace.engine.batches import BatchExecutor
from headrace.engine.delivery import Delivery
from headrace.engine.exchange import Exchange
from headrace.engine.execute import Executor
from headrace.engine.lookups import Lookups
from headrace.engine.recorder import Recorder
from headrace.engine.throttle import Throttle

from .fakes import (
    BatchingDestination,
    LoopClock,
    MemoryIdentities,
    MemoryLog,
    PlainDestination,
    Server,
    ServerTransport,
    quickly,
)
from .world import VARIABLES

COLUMNS = tuple(Column(name, ColumnType.TEXT, "VARCHAR") for name in ("id", "name", "org"))


def sync_of(**other: Any) -> SyncConfig:
    document: dict[str, Any] = {
        "model": "m",
        "destination": "d",
        "type": "rest_objects",
        "object": "account",
        "mode": "upsert",
        "match": {"column": "id", "field": "externalId"},
        "fields": {"name": {"column": "name"}, "organizationId": {"column": "org"}},
    }
    return SyncConfig.model_validate(document | other)


def row(key: str, change: Change = Change.ADDED, *, name: str | None = "Acme", org: str | None = None) -> PlannedRow:
    """A planned row; a removed one has been delivered as this."""
    values = (key, name, org)
    removed = change is Change.REMOVED
    old = None if change is Change.ADDED else values
    return PlannedRow(int(key), key, change, None if removed else values, old, None if old is None else key, 1)


@dataclass
class Sending:
    """One run's sending. Build it, `deliver` rows, then look at `log`, `counts` and `transport`."""

    server: Server
    destination: PlainDestination = field(default_factory=PlainDestination)
    sync: SyncConfig = field(default_factory=sync_of)
    known: Mapping[tuple[str, str], str] = field(default_factory=dict)
    latency_s: float = 0.01
    concurrency: int = 4

    def __post_init__(self) -> None:
        self.log = MemoryLog()
        self.counts = Counts()
        self.transport = ServerTransport(self.server, self.latency_s)
        self.failure: Any = None
        self.seconds = 0.0
        self.stop_after_s: float | None = None

    def deliver(self, rows: Sequence[PlannedRow]) -> dict[str, str]:
        """Sends them; gives the outcome of each by key."""
        quickly(self._deliver(rows))
        return self.log.by_key()

    async def _deliver(self, rows: Sequence[PlannedRow]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stop = asyncio.Event()
            clock = LoopClock()
            throttle = Throttle(self.destination.limits("rest"), folder, clock)
            recorder = Recorder(self.log, self.counts)
            exchange = Exchange(self.destination, self.transport, lambda _api: throttle, recorder, clock, stop)
            lookups = Lookups(
                self.destination,
                exchange,
                MemoryIdentities(self.known, self.log),
                recorder,
                lambda _kind, _records, _requests: None,
            )
            target = SPEC.sync_types[0].object("account")
            assert target is not None
            mapping = compile_mapping(self.sync, target, COLUMNS, VARIABLES)
            delivery = Delivery(mapping, Mode.UPSERT, self.sync.removed, "account", "externalId", is_parent=True)
            executor: Executor | BatchExecutor
            if isinstance(self.destination, BatchingDestination):
                executor = BatchExecutor(delivery, self.destination, exchange, recorder, stop)  # type: ignore[arg-type]
            else:
                executor = Executor(delivery, self.destination, exchange, lookups, recorder, stop)
            if self.stop_after_s is not None:
                asyncio.get_running_loop().call_later(self.stop_after_s, stop.set)
            started = clock.monotonic()
            try:
                await executor.run(iter(rows), self.concurrency)
            finally:
                self.seconds = clock.monotonic() - started
                self.failure = executor.failure
                recorder.close()
                throttle.close()

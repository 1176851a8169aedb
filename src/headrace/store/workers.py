"""Who works: the processes that take runs, and when each was last seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from headrace.store.database import Database
from headrace.store.service_tables import workers


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """One process. `concurrency` is how many runs it does at once; `draining` says that it takes no more."""

    id: str
    host: str
    process: int
    version: str
    concurrency: int
    started_at: datetime
    seen_at: datetime
    draining: bool = False


class Workers:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def enter(self, entry: WorkerEntry) -> None:
        with self._database.write() as connection:
            connection.execute(self._database.upsert(workers, ["id"]), asdict(entry))

    def seen(self, worker_id: str, *, draining: bool = False) -> None:
        """Notes that it lives."""
        with self._database.write() as connection:
            here = update(workers).where(workers.c.id == worker_id)
            connection.execute(here, {"seen_at": self._now(), "draining": draining})

    def leave(self, worker_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker_id))

    def list(self) -> list[WorkerEntry]:
        """All that did not leave, the dead among them: `seen_at` tells."""
        with self._database.read() as connection:
            rows = connection.execute(select(workers).order_by(workers.c.started_at, workers.c.id))
            return [WorkerEntry(**row._mapping) for row in rows]

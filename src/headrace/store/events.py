"""What runs told: facts in the order they happened, each with its number within the run. Progress is not among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select

from headrace.store.database import Database
from headrace.store.service_tables import run_events


@dataclass(frozen=True, slots=True)
class Told:
    """One fact of a run: `kind` is its word (`stage`, `planned`, `held`, `finished`), `document` what it says."""

    run_id: int
    number: int
    at: datetime
    kind: str
    document: dict[str, Any]


class RunEvents:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def append(self, run_id: int, kind: str, document: Mapping[str, Any]) -> None:
        """Adds a fact. A run is told by one process, so that numbers have no gaps and no rivals."""
        e = run_events.c
        with self._database.write() as connection:
            last = connection.scalar(select(func.max(e.number)).where(e.run_id == run_id)) or 0
            row = {"run_id": run_id, "number": last + 1, "at": self._now(), "kind": kind, "document": dict(document)}
            connection.execute(insert(run_events), row)

    def since(self, run_id: int, number: int = 0) -> list[Told]:
        """The facts after that number, in order."""
        e = run_events.c
        query = select(run_events).where(e.run_id == run_id, e.number > number).order_by(e.number)
        with self._database.read() as connection:
            return [Told(*row) for row in connection.execute(query)]

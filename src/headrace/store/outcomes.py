"""What became of the rows: lists with a cursor, and counts by outcome and code with an example of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from headrace.domain.outcome import Change, RowOutcome
from headrace.engine.ports import OutcomeRecord
from headrace.store.database import Database
from headrace.store.page import LIMIT, Order, Page, parse_cursor
from headrace.store.tables import FAULTY, outcomes, runs


@dataclass(frozen=True, slots=True)
class OutcomeFilter:
    """Which outcomes; what is None does not narrow."""

    run: int | None = None
    outcome: RowOutcome | None = None
    code: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """An outcome, its place in the log, and whose it was."""

    sequence: int
    run_id: int
    record: OutcomeRecord


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many rows of a run ended this way, and the first of them."""

    outcome: RowOutcome
    code: str | None
    count: int
    example: LoggedOutcome


class Outcomes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self,
        wanted: OutcomeFilter | None = None,
        limit: int = LIMIT,
        cursor: str | None = None,
        order: Order = "oldest",
    ) -> Page[LoggedOutcome]:
        """Outcomes in the order of the log."""
        o = outcomes.c
        wanted = wanted or OutcomeFilter()
        query = select(outcomes).order_by(o.sequence if order == "oldest" else o.sequence.desc()).limit(limit + 1)
        for column, value in ((o.outcome, wanted.outcome), (o.code, wanted.code), (o.key, wanted.key)):
            if value is not None:
                query = query.where(column == value)
        if wanted.run is not None:
            query = query.where(_in_run(wanted, wanted.run))
        after = parse_cursor(cursor, 1)
        if after:
            query = query.where(o.sequence > after[0] if order == "oldest" else o.sequence < after[0])
        with self._database.read() as connection:
            found = [_logged(row) for row in connection.execute(query)]
        return Page(tuple(found[:limit]), str(found[limit - 1].sequence) if len(found) > limit else None)

    def counts(self, run_id: int) -> list[OutcomeCount]:
        """By outcome and code, most first. Reads all outcomes of the run: 0.4 s for a million."""
        o = outcomes.c
        groups = select(func.min(o.sequence), func.count()).where(of_run(run_id)).group_by(o.outcome, o.code)
        with self._database.read() as connection:
            count_by_first = {row[0]: row[1] for row in connection.execute(groups)}
            firsts = connection.execute(select(outcomes).where(o.sequence.in_(list(count_by_first))))
            examples = [_logged(row) for row in firsts]
        counts = [OutcomeCount(e.record.outcome, e.record.code, count_by_first[e.sequence], e) for e in examples]
        return sorted(counts, key=lambda c: (-c.count, c.outcome, c.code or ""))


def of_run(run_id: int) -> ColumnElement[bool]:
    """The outcomes of a run, by their place in the log: no index of our busiest table has to be kept for it.

    `run_id + 0` keeps the planner from an index that does not give the order.
    """
    first, last = (
        select(column).where(runs.c.id == run_id).scalar_subquery()
        for column in (runs.c.first_outcome, runs.c.last_outcome)
    )
    return and_(outcomes.c.sequence.between(first, last), outcomes.c.run_id + 0 == run_id)


def _in_run(wanted: OutcomeFilter, run_id: int) -> ColumnElement[bool]:
    if wanted.key is not None:
        return outcomes.c.run_id + 0 == run_id
    if wanted.outcome in (None, RowOutcome.DELIVERED):
        return of_run(run_id)
    return and_(outcomes.c.run_id == run_id, FAULTY)


def _logged(row: Row[Any]) -> LoggedOutcome:
    stored = {name: row._mapping[name] for name in OutcomeRecord._fields}
    stored["change"] = None if row.change is None else Change(row.change)
    stored["outcome"] = RowOutcome(row.outcome)
    return LoggedOutcome(row.sequence, row.run_id, OutcomeRecord(**stored))

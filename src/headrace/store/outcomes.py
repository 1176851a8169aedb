"""What became of the rows: lists with a cursor, and counts by outcome and code with an example of each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, func, select

from headrace.domain.outcome import Change, RowOutcome
from headrace.engine.ports import OutcomeRecord
from headrace.store.database import Database
from headrace.store.page import LIMIT, Order, Page, parse_cursor
from headrace.store.tables import outcomes


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
        conditions = ((o.run_id, wanted.run), (o.outcome, wanted.outcome), (o.code, wanted.code), (o.key, wanted.key))
        for column, value in conditions:
            if value is not None:
                query = query.where(column == value)
        after = parse_cursor(cursor, 1)
        if after:
            query = query.where(o.sequence > after[0] if order == "oldest" else o.sequence < after[0])
        with self._database.read() as connection:
            found = [_logged(row) for row in connection.execute(query)]
        return Page(tuple(found[:limit]), str(found[limit - 1].sequence) if len(found) > limit else None)

    def counts(self, run_id: int) -> list[OutcomeCount]:
        """By outcome and code, most first. Reads indexes alone, but for the examples."""
        with self._database.read() as connection:
            groups = _count_groups(connection, run_id)
            counts = [
                OutcomeCount(RowOutcome(outcome), code, count, _example(connection, run_id, outcome, code))
                for (outcome, code), count in groups.items()
            ]
        return sorted(counts, key=lambda c: (-c.count, c.outcome, c.code or ""))


def _count_groups(connection: Connection, run_id: int) -> dict[tuple[str, str | None], int]:
    """Rows without a code are what is left of their outcome: the index of codes leaves them out."""
    o = outcomes.c
    all_rows = select(o.outcome, func.count()).where(o.run_id == run_id).group_by(o.outcome)
    coded = select(o.outcome, o.code, func.count()).where(o.run_id == run_id, o.code.is_not(None))
    groups = {(row[0], row[1]): row[2] for row in connection.execute(coded.group_by(o.outcome, o.code))}
    for outcome, total in connection.execute(all_rows):
        bare = total - sum(count for (of, _), count in groups.items() if of == outcome)
        if bare:
            groups[outcome, None] = bare
    return groups


def _example(connection: Connection, run_id: int, outcome: str, code: str | None) -> LoggedOutcome:
    o = outcomes.c
    same_code = o.code.is_(None) if code is None else o.code == code
    query = select(outcomes).where(o.run_id == run_id, o.outcome == outcome, same_code).order_by(o.sequence).limit(1)
    return _logged(connection.execute(query).one())


def _logged(row: Row[Any]) -> LoggedOutcome:
    stored = {f.name: row._mapping[f.name] for f in fields(OutcomeRecord)}
    stored["change"] = None if row.change is None else Change(row.change)
    stored["outcome"] = RowOutcome(row.outcome)
    return LoggedOutcome(row.sequence, row.run_id, OutcomeRecord(**stored))

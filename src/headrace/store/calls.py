"""Finding API calls again: by run, row, status, words in the bodies. The debugger's reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row, Select, and_, or_, select, tuple_, union

from headrace.domain.errors import NotFound, UserError
from headrace.domain.outcome import VerdictWord
from headrace.engine.ports import CallRecord
from headrace.store.database import Database
from headrace.store.page import LIMIT, Order, Page, parse_cursor
from headrace.store.tables import UNDELIVERED, call_rows, calls, outcomes, runs


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; what is None does not narrow. `status` is 404, "404", "4xx" or "none" (no answer came).

    `text` is looked for in address, reason and both bodies, in any case of ASCII letters.
    """

    run: int | None = None
    key: str | None = None
    status: int | str | None = None
    api: str | None = None
    verdict: VerdictWord | None = None
    sync: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call, and whose it was."""

    run_id: int
    sync: str
    call: CallRecord


class Calls:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, wanted: CallFilter | None = None, limit: int = LIMIT, cursor: str | None = None, order: Order = "newest"
    ) -> Page[LoggedCall]:
        """Calls in the order they were made within runs, runs in the order of their ids."""
        query = self._numbers(wanted or CallFilter(), order).limit(limit + 1)
        after = parse_cursor(cursor, 2)
        if after:
            here = tuple_(calls.c.run_id, calls.c.number)
            query = query.where(here < after if order == "newest" else here > after)
        with self._database.read() as connection:
            numbers = [(row[0], row[1]) for row in connection.execute(query)]
            found = _load(connection, numbers[:limit])
        more = f"{numbers[limit - 1][0]}.{numbers[limit - 1][1]}" if len(numbers) > limit else None
        return Page(tuple(found), more)

    def get(self, run_id: int, number: int) -> LoggedCall:
        """Raises NotFound."""
        with self._database.read() as connection:
            found = _load(connection, [(run_id, number)])
        if not found:
            raise NotFound("call", f"{run_id}/{number}")
        return found[0]

    def _numbers(self, wanted: CallFilter, order: Order) -> Select[Any]:
        """(run id, number) of the calls, without their bodies: wide rows are read for one page only."""
        c = calls.c
        query = select(c.run_id, c.number)
        by: Any = c
        if wanted.key is not None:
            # Ordered by the few calls of the row: ordered by the table of calls, the planner would read all of it.
            found = _of_key(wanted.key).subquery()
            query = query.join(found, and_(found.c.run_id == c.run_id, found.c.number == c.number))
            by = found.c
        newest = order == "newest"
        query = query.order_by(*((by.run_id.desc(), by.number.desc()) if newest else (by.run_id, by.number)))
        if wanted.run is not None:
            query = query.where(c.run_id == wanted.run)
        if wanted.sync is not None:
            query = query.where(c.run_id.in_(select(runs.c.id).where(runs.c.sync == wanted.sync)))
        if wanted.status is not None:
            query = query.where(_has_status(wanted.status))
        if wanted.api is not None:
            query = query.where(c.api == wanted.api)
        if wanted.verdict is not None:
            query = query.where(c.verdict == wanted.verdict.value)
            if wanted.verdict is not VerdictWord.DELIVERED:
                query = query.where(UNDELIVERED)
        if wanted.text is not None:
            query = query.where(or_(*self._contain(wanted.text)))
        return query

    def _contain(self, words: str) -> Iterator[ColumnElement[bool]]:
        for text in (calls.c.url, calls.c.reason):
            yield text.icontains(words, autoescape=True)
        for body in (calls.c.request_body, calls.c.response_body):
            yield self._database.backend.bytes_contain(body, words)


def _of_key(key: str) -> CompoundSelect[Any]:
    """The calls of a row: those that decided it, from its outcomes, and the others."""
    decided = select(outcomes.c.run_id, outcomes.c.call.label("number")).where(
        outcomes.c.key == key, outcomes.c.call.is_not(None)
    )
    return union(decided, select(call_rows.c.run_id, call_rows.c.number).where(call_rows.c.key == key))


def _has_status(status: int | str) -> Any:
    word = str(status).strip().lower()
    if word == "none":
        return calls.c.status.is_(None)
    if len(word) == 3 and word[0] in "12345" and word.endswith("xx"):
        # Nearly all calls are 2xx: the newest of them are near, and an index would give all of them to be sorted.
        number: Any = calls.c.status + 0 if word[0] == "2" else calls.c.status
        return number.between(int(word[0]) * 100, int(word[0]) * 100 + 99)
    if len(word) == 3 and word.isascii() and word.isdigit():
        return calls.c.status == int(word)
    raise UserError(
        f'"{word[:40]}" is not a status. Write a number such as 404, a class such as 4xx, or none for calls without an '
        "answer.",
        code="filter_invalid",
    )


def _load(connection: Connection, numbers: list[tuple[int, int]]) -> list[LoggedCall]:
    """The calls with these numbers, in the order given."""
    query = select(calls, runs.c.sync).outerjoin(runs, runs.c.id == calls.c.run_id)
    rows = connection.execute(query.where(tuple_(calls.c.run_id, calls.c.number).in_(numbers)))
    found = {(row.run_id, row.number): _logged(row) for row in rows}
    return [found[number] for number in numbers if number in found]


def _logged(row: Row[Any]) -> LoggedCall:
    stored = {name: row._mapping[name] for name in CallRecord._fields}
    stored |= {"verdict": VerdictWord(row.verdict), "keys": tuple(stored["keys"])}
    return LoggedCall(row.run_id, row.sync or "", CallRecord(**stored))

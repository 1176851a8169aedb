"""The log of one run: calls, outcomes and what was learned, a group at a time. The hottest writer of the house.

Runs in a thread beside the loop, which sends meanwhile. Records become rows here; how rows reach a database is its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from enum import Enum
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

import orjson

from headrace.domain.outcome import Counts
from headrace.engine.ports import CallRecord, Learned, OutcomeRecord, run_lost
from headrace.store.database import Database
from headrace.store.group import OWN, SHARED, Group
from headrace.store.tables import iso


class RunLogWriter:
    """Implements `engine.ports.RunLog`. One thread writes groups; others, and processes, read freely meanwhile."""

    def __init__(self, database: Database, run_id: int, scope: str, now: Callable[[], datetime]) -> None:
        self._backend = database.backend
        self._run_id = run_id
        self._scope = scope
        self._now = now
        self._writing = threading.Lock()
        self._cancelled = False
        self._thread = ThreadPoolExecutor(1, "headrace progress") if self._backend.is_shared else None
        self._acting: Future[None] | None = None
        self._due: dict[str, Callable[[], None]] = {}
        self._writer = database.open_log()

    def append(
        self, calls: Sequence[CallRecord], outcomes: Sequence[OutcomeRecord], learned: Sequence[Learned] = ()
    ) -> None:
        """Writes one group: all or nothing, on the disk when this returns.

        Raises WorldError `store_write_failed`, and `run_lost` where the run was ended by somebody else.
        """
        run_id = self._run_id
        alike = [(same, list(map(_OWN_VALUES, rows))) for same, rows in groupby(outcomes, _ALIKE)]
        last = {(self._scope, item.kind, item.external_id): item.record_id for item in learned}  # its last word counts
        at = iso(self._now()) if last else ""
        group = Group(
            run_id,
            [_call_values(run_id, call) for call in calls],
            [(key, run_id, number) for number, key in _undecided(calls, outcomes)],
            [((run_id, *map(_plain, same)), rows) for same, rows in alike],
            [(*record, record_id, at) for record, record_id in last.items() if record_id is not None],
            [record for record, record_id in last.items() if record_id is None],
        )
        self._done(lambda: self._writer.write(group))

    def progress(self, counts: Counts, to_send: int, waiting_s: float) -> None:
        """Shows the numbers to other processes. Nothing rests on them, so no disk is waited for, and no server.

        Raises, perhaps with the next call, WorldError `store_write_failed` or `run_lost`.
        """
        numbers = orjson.dumps(counts).decode()
        stands = orjson.dumps({"to_send": to_send, "waiting_s": round(waiting_s, 3)}).decode()
        self._beside("show", lambda: self._done(lambda: self._writer.show(self._run_id, numbers, stands)))

    def cancel_requested(self) -> bool:
        """Whether somebody asked the run to end; over a net, as of the last call."""
        self._beside("look", self._look)
        return self._cancelled

    def _look(self) -> None:
        try:
            with self._writing:
                self._cancelled = self._writer.cancel_requested(self._run_id)
        except Exception as error:
            if self._backend.is_of_world(error):
                raise self._backend.read_failed(error) from error
            raise

    def _beside(self, what: str, act: Callable[[], None]) -> None:
        """At once where the database is a file. Over a net in a thread, since the loop that sends is what calls this.

        While the thread is busy, the newest of each kind waits.
        """
        if self._thread is None:
            act()
            return
        self._due[what] = act
        if self._acting is None or self._acting.done():
            acted, self._acting = self._acting, self._thread.submit(self._act)
            if acted is not None:
                acted.result()

    def _act(self) -> None:
        while self._due:
            self._due.popitem()[1]()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _done(self, write: Callable[[], bool]) -> None:
        try:
            with self._writing:  # one connection: a transaction is not begun within another
                is_ours = write()
        except Exception as error:
            if self._backend.is_of_world(error):
                raise self._backend.write_failed(error) from error
            raise
        if not is_ours:
            raise run_lost(self._run_id)


_ALIKE = itemgetter(*(OutcomeRecord._fields.index(name) for name in SHARED[1:]))
_OWN_VALUES = itemgetter(*map(OutcomeRecord._fields.index, OWN))
_CALL = itemgetter(OutcomeRecord._fields.index("call"))


def _undecided(calls: Sequence[CallRecord], outcomes: Sequence[OutcomeRecord]) -> Iterator[tuple[int, str]]:
    """(number, key) of the rows that a call carried and did not decide. What it decided stands in the outcome."""
    decided: dict[int | None, list[str]] = {}
    for number, rows in groupby(outcomes, _CALL):
        decided.setdefault(number, []).extend(row.key for row in rows)
    for call in calls:
        keys = decided.get(call.number)
        if keys != list(call.keys):
            missing = set(call.keys).difference(keys or ())
            yield from ((call.number, key) for key in missing)


def _call_values(run_id: int, call: CallRecord) -> tuple[Any, ...]:
    """The values of one row of `calls`, in the order of its columns."""
    return (
        run_id,
        call.number,
        iso(call.at),
        call.api,
        call.purpose,
        call.method,
        call.url,
        _headers(call.request_headers),
        call.request_body,
        call.status,
        None if call.response_headers is None else _headers(call.response_headers),
        call.response_body,
        call.duration_ms,
        call.waited_ms,
        call.attempt,
        call.verdict.value,
        call.reason,
        orjson.dumps(call.keys if type(call.keys) in (tuple, list) else list(call.keys)).decode(),
    )


def _plain(value: Any) -> Any:
    """The text of an enumeration: the driver takes no other kind of text for one."""
    return value.value if isinstance(value, Enum) else value


def _headers(headers: Any) -> str:
    return orjson.dumps(headers if type(headers) is dict else dict(headers)).decode()

"""Runs: created, claimed, finished, held, cancelled. The unique indexes of the table hold "one live run per sync"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from headrace.domain.errors import Bug, HeadraceError, NotFound, UserError
from headrace.domain.outcome import Counts, RunStatus
from headrace.store.database import Database
from headrace.store.page import LIMIT, Page, parse_cursor
from headrace.store.service_tables import idempotency_keys
from headrace.store.tables import iso, runs

RunKind = Literal["sync", "test"]
KEY_LASTS = timedelta(hours=24)
LIVE = (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Hold:
    """What the guard held back. `digest` names exactly the rows that would be removed; an approval is for those."""

    removed: int
    why: str
    digest: str
    expires_at: datetime
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be.

    `reason` says what asked (`manual`, `schedule`, `api`, ...), `requested_by` who. `owner` is the process that runs,
    or waits for its turn (`pid@host`); a queued run without one is for any worker. `follows` is the run taken over.
    `lease` is how long the owner counts as alive without a word; None where a file lock says it.
    """

    sync: str
    sync_id: str
    kind: RunKind = "sync"
    status: RunStatus = RunStatus.RUNNING
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str = "manual"
    owner: str | None = None
    requested_by: str | None = None
    sequence_run: int | None = None
    follows: int | None = None
    lease: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the store knows it. Instants are aware, UTC; `seconds` counts from start to end."""

    id: int
    kind: str
    sync: str
    sync_id: str
    status: RunStatus
    options: dict[str, Any]
    reason: str
    counts: Counts
    error_code: str | None
    error_message: str | None
    hold: Hold | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    owner: str | None
    seconds: float | None
    requested_by: str | None = None
    sequence_run: int | None = None
    follows: int | None = None
    progress: dict[str, Any] | None = None
    lease_until: datetime | None = None


class Runs:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, new: NewRun) -> Run:
        """Creates a run, queued or already running.

        Raises UserError `sync_busy` when the sync has a live run of that status: the index decides, not a look before.
        """
        try:
            with self._database.write() as connection:
                return self._insert(connection, new)
        except IntegrityError as error:
            raise self._busy(new.sync_id, new.status) from error

    def _insert(self, connection: Connection, new: NewRun) -> Run:
        now = self._now()
        row = {
            **{f.name: getattr(new, f.name) for f in fields(new) if f.name != "lease"},
            "lease_until": self._lease_until(connection, new.lease),
            "status": str(new.status),
            "counts": asdict(Counts()),
            "created_at": now,
            "started_at": now if new.status is RunStatus.RUNNING else None,
        }
        return _get(connection, connection.execute(insert(runs).values(row).returning(runs.c.id)).scalar_one())

    def claim(self, run_id: int, owner: str, lease: timedelta | None = None) -> Run | None:
        """Makes a queued run running; None when somebody else was faster or the sync has a running one."""
        try:
            with self._database.write() as connection:
                claimed = {
                    "status": str(RunStatus.RUNNING),
                    "owner": owner,
                    "started_at": self._now(),
                    "lease_until": self._lease_until(connection, lease),
                }
                statement = update(runs).where(runs.c.id == run_id, runs.c.status == RunStatus.QUEUED)
                changed = connection.execute(statement, claimed).rowcount
                run = _get(connection, run_id)
                return run if changed else None
        except IntegrityError:
            return None

    def extend(self, run_id: int, lease: timedelta) -> bool:
        """Moves the end of a live run's lease on, by the database's clock. False where the run has ended: it is lost.

        The fencing number of a run is its id: it has one owner in its life, and who takes over ends it first.
        """
        with self._database.write() as connection:
            alive = update(runs).where(runs.c.id == run_id, runs.c.status.in_(LIVE))
            return connection.execute(alive, {"lease_until": self._lease_until(connection, lease)}).rowcount == 1

    def expired(self, sync_id: str | None = None) -> list[Run]:
        """Live runs whose owner has not been heard of for longer than its lease."""
        with self._database.read() as connection:
            late = select(runs).where(runs.c.status.in_(LIVE), runs.c.lease_until < self._instant(connection))
            if sync_id is not None:
                late = late.where(runs.c.sync_id == sync_id)
            return [_run(row) for row in connection.execute(late.order_by(runs.c.id))]

    def take_over(self, dead: Run, follower: NewRun | None) -> tuple[Run, Run | None] | None:
        """Ends a run whose owner is gone, and queues the one that goes on, in one transaction.

        None where the owner was heard of meanwhile, or somebody else has done it. Where a run of the sync is queued
        already, that one goes on.
        """
        with self._database.write() as connection:
            row = connection.execute(select(runs).where(runs.c.id == dead.id).with_for_update()).one()
            if row.status not in LIVE or (row.lease_until and row.lease_until >= self._instant(connection)):
                return None
            ended = self._end(connection, _run(row), RunStatus.INTERRUPTED, _run(row).counts)
            others = select(runs.c.id).where(
                runs.c.sync_id == dead.sync_id, runs.c.kind == "sync", runs.c.status == RunStatus.QUEUED
            )
            if follower is None or connection.execute(others).first() is not None:
                return ended, None
            return ended, self._insert(connection, follower)

    def cut_in_a_row(self, run: Run) -> int:
        """How many runs ended as interrupted one after the other, this one the last, and delivered nothing."""
        count, this = 0, run
        with self._database.read() as connection:
            while not this.counts.delivered:
                count += 1
                if this.follows is None:
                    break
                row = connection.execute(select(runs).where(runs.c.id == this.follows)).one_or_none()
                if row is None:
                    break
                this = _run(row)
        return count

    def _lease_until(self, connection: Connection, lease: timedelta | None) -> datetime | None:
        return None if lease is None else self._instant(connection) + lease

    def _instant(self, connection: Connection) -> datetime:
        """The database's clock where it has one that all share, else the machine's."""
        return self._database.instant(connection) or self._now()

    def finish(self, run_id: int, status: RunStatus, counts: Counts, error: HeadraceError | None = None) -> Run:
        """Ends a live run. Raises UserError `run_ended` for one that has ended already: its writer lost it."""
        if not status.is_end:
            raise Bug(f"A run cannot end as {status}.")
        with self._database.write() as connection:
            run = _live(connection, run_id)
            return self._end(connection, run, status, counts, error=error)

    def hold(self, run_id: int, counts: Counts, hold: Hold) -> Run:
        """Ends a live run as held, with what the guard found."""
        with self._database.write() as connection:
            run = _live(connection, run_id)
            return self._end(connection, run, RunStatus.HELD, counts, hold=hold)

    def approve(self, run_id: int) -> Run:
        """Records a person's word on a held run; the run that uses it compares the digest.

        Raises UserError `run_not_held` or `approval_expired`. Saying it twice is no fault.
        """
        now = self._now()
        with self._database.write() as connection:
            run = _get(connection, run_id)
            if run.hold is None or run.status is not RunStatus.HELD:
                raise _not_held(run, "approve")
            if run.hold.expires_at <= now:
                raise UserError(
                    f"Run {run_id} was held until {run.hold.expires_at:%Y-%m-%d %H:%M} UTC; what it found is too old "
                    "to approve. Run the sync again and approve the new one.",
                    code="approval_expired",
                )
            if run.hold.approved_at is None:
                approved = replace(run.hold, approved_at=now)
                connection.execute(update(runs).where(runs.c.id == run_id), {"hold": _hold_document(approved)})
            return _get(connection, run_id)

    def discard(self, run_id: int) -> Run:
        """Ends a held run for good: it can't be approved any more. Raises UserError `run_not_held`."""
        with self._database.write() as connection:
            run = _get(connection, run_id)
            if run.hold is None or run.status is not RunStatus.HELD:
                raise _not_held(run, "discard")
            connection.execute(update(runs).where(runs.c.id == run_id), {"status": str(RunStatus.CANCELLED)})
            return _get(connection, run_id)

    def request_cancel(self, run_id: int) -> Run:
        """Asks a running run to stop, and ends a queued one. Raises UserError `run_ended`."""
        with self._database.write() as connection:
            run = _live(connection, run_id)
            if run.status is RunStatus.QUEUED:
                return self._end(connection, run, RunStatus.CANCELLED, run.counts)
            connection.execute(update(runs).where(runs.c.id == run_id), {"cancel_requested": True})
            return _get(connection, run_id)

    def mark_interrupted(self, sync_id: str) -> list[Run]:
        """Ends what still says `running` after its process died. Only for who holds the sync's lock."""
        stale = select(runs).where(runs.c.sync_id == sync_id, runs.c.kind == "sync", runs.c.status == RunStatus.RUNNING)
        with self._database.write() as connection:
            found = [_run(row) for row in connection.execute(stale)]
            return [self._end(connection, run, RunStatus.INTERRUPTED, run.counts) for run in found]

    def waiting(self) -> list[Run]:
        """Queued runs that are for any worker, oldest first, of syncs that nobody runs now."""
        busy = select(runs.c.sync_id).where(runs.c.kind == "sync", runs.c.status == RunStatus.RUNNING)
        free = select(runs).where(runs.c.status == RunStatus.QUEUED, runs.c.owner.is_(None), runs.c.kind == "sync")
        query = free.where(runs.c.sync_id.not_in(busy)).order_by(runs.c.id)
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query)]

    def live(self, sync_id: str | None = None) -> list[Run]:
        """Running and queued runs, of that sync or of all, oldest first."""
        query = select(runs).where(runs.c.kind == "sync", runs.c.status.in_(LIVE))
        if sync_id is not None:
            query = query.where(runs.c.sync_id == sync_id)
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query.order_by(runs.c.id))]

    def create_once(self, new: NewRun, key: str, request: str) -> Run:
        """Creates a run unless the same actor asked the same under this key within a day: then that run.

        Raises UserError `sync_busy`, and `idempotency_key_reused` where the key came with another request.
        """
        k, now = idempotency_keys.c, self._now()
        asker = new.requested_by or ""
        here = (k.actor == asker, k.key == key)
        try:
            with self._database.write() as connection:
                connection.execute(delete(idempotency_keys).where(k.at < now - KEY_LASTS))
                known = connection.execute(select(idempotency_keys).where(*here)).one_or_none()
                if known is not None:
                    if known.request != request:
                        message = f'The Idempotency-Key "{key[:40]}" was used for another request. Make a new key for '
                        message += "each trigger; repeat one only together with the very same request."
                        raise UserError(message, code="idempotency_key_reused")
                    return _get(connection, known.run_id)
                run = self._insert(connection, new)
                row = {"actor": asker, "key": key, "request": request, "run_id": run.id, "at": now}
                connection.execute(insert(idempotency_keys), row)
                return run
        except IntegrityError as error:
            raise self._busy(new.sync_id, new.status) from error

    def give_up(self, run_id: int) -> None:
        """Ends a queued run whose process waits no more; one that has ended otherwise stays as it is."""
        with self._database.write() as connection:
            run = _get(connection, run_id)
            if run.status is RunStatus.QUEUED:
                self._end(connection, run, RunStatus.INTERRUPTED, run.counts)

    def end_queued(self, sync_id: str) -> None:
        """Ends what still waits for its turn after its process died or gave up. Only for who holds the queue's lock."""
        stale = select(runs).where(
            runs.c.sync_id == sync_id,
            runs.c.kind == "sync",
            runs.c.status == RunStatus.QUEUED,
            runs.c.owner.is_not(None),
        )
        with self._database.write() as connection:
            for row in connection.execute(stale).all():
                run = _run(row)
                self._end(connection, run, RunStatus.INTERRUPTED, run.counts)

    def get(self, run_id: int) -> Run:
        """Raises NotFound, which names the runs near it."""
        with self._database.read() as connection:
            return _get(connection, run_id)

    def list(
        self,
        sync: str | None = None,
        status: RunStatus | None = None,
        limit: int = LIMIT,
        cursor: str | None = None,
        kind: RunKind | None = None,
    ) -> Page[Run]:
        """Newest first."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit + 1)
        for column, value in ((runs.c.sync, sync), (runs.c.status, status), (runs.c.kind, kind)):
            if value is not None:
                query = query.where(column == value)
        before = parse_cursor(cursor, 1)
        if before:
            query = query.where(runs.c.id < before[0])
        with self._database.read() as connection:
            found = [_run(row) for row in connection.execute(query)]
        return Page(tuple(found[:limit]), str(found[limit - 1].id) if len(found) > limit else None)

    def latest(self) -> dict[str, Run]:
        """The newest run of each sync, by sync id; test runs do not count."""
        # From one sync to the next by the index, and to the newest of each: neither database reads all runs.
        of_sync = runs.c.kind == "sync"
        first = select(func.min(runs.c.sync_id).label("sync_id")).where(of_sync).cte("syncs", recursive=True)
        following = select(func.min(runs.c.sync_id)).where(runs.c.sync_id > first.c.sync_id, of_sync).scalar_subquery()
        syncs = first.union_all(select(following).where(first.c.sync_id.is_not(None)))
        last = select(func.max(runs.c.id)).where(runs.c.sync_id == syncs.c.sync_id, of_sync).scalar_subquery()
        newest = select(last).where(syncs.c.sync_id.is_not(None))
        with self._database.read() as connection:
            rows = connection.execute(select(runs).where(runs.c.id.in_(newest)).order_by(runs.c.sync))
            return {row.sync_id: _run(row) for row in rows}

    def _end(
        self,
        connection: Connection,
        run: Run,
        status: RunStatus,
        counts: Counts,
        *,
        error: HeadraceError | None = None,
        hold: Hold | None = None,
    ) -> Run:
        now = self._now()
        ended = {
            "status": str(status),
            "counts": asdict(counts),
            "error_code": error.code if error else None,
            "error_message": error.message if error else None,
            "hold": _hold_document(hold) if hold else None,
            "ended_at": now,
            "seconds": round((now - run.started_at).total_seconds(), 3) if run.started_at else None,
        }
        connection.execute(update(runs).where(runs.c.id == run.id), ended)
        return _get(connection, run.id)

    def _busy(self, sync_id: str, status: RunStatus) -> UserError:
        same = select(runs).where(runs.c.sync_id == sync_id, runs.c.kind == "sync", runs.c.status == status)
        with self._database.read() as connection:
            row = connection.execute(same).first()
        which = f"run {row.id}" if row else "a run"
        mend = f"Wait for it, or stop it with `headrace cancel {row.id}`." if row else "Try again."
        return UserError(
            f'The sync "{row.sync if row else sync_id}" is busy: {which} is {status}. {mend}',
            code="sync_busy",
            sync_id=sync_id,
            run_id=row.id if row else None,
        )


def _get(connection: Connection, run_id: int) -> Run:
    row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    if row is None:
        near = select(runs.c.id).order_by(func.abs(runs.c.id - run_id)).limit(5)
        raise NotFound("run", str(run_id), [str(known) for known in connection.scalars(near)])
    return _run(row)


def _live(connection: Connection, run_id: int) -> Run:
    run = _get(connection, run_id)
    if run.status not in LIVE:
        raise UserError(f"Run {run_id} has ended already: it is {run.status}.", code="run_ended", run_id=run_id)
    return run


def _not_held(run: Run, what: str) -> UserError:
    return UserError(f"Run {run.id} is not held, it is {run.status}: there is nothing to {what}.", code="run_not_held")


def _hold_document(hold: Hold) -> dict[str, Any]:
    approved = iso(hold.approved_at) if hold.approved_at else None
    return {**asdict(hold), "expires_at": iso(hold.expires_at), "approved_at": approved}


def _hold(document: Mapping[str, Any]) -> Hold:
    instants = {k: datetime.fromisoformat(document[k]) for k in ("expires_at", "approved_at") if document.get(k)}
    return Hold(**{**document, **instants})


def _run(row: Row[Any]) -> Run:
    known = {f.name for f in fields(Counts)}
    stored = {
        **{f.name: row._mapping[f.name] for f in fields(Run)},
        "status": RunStatus(row.status),
        "counts": Counts(**{name: n for name, n in row.counts.items() if name in known}),
        "hold": _hold(row.hold) if row.hold else None,
    }
    return Run(**stored)

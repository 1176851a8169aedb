"""What the engine needs of the world: a clock, a place for what happened, a memory of look-ups, a word from outside.

The store implements the ports that remember; tests bring small real ones of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from headrace.domain.errors import WorldError
from headrace.domain.outcome import Change, Counts, RowOutcome, VerdictWord


class Clock(Protocol):
    """Time as an argument, so that no test sleeps."""

    def now(self) -> datetime:
        """The present instant: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class CallRecord(NamedTuple):
    """One HTTP exchange, secrets already masked. Every try is a call of its own.

    `number` counts from 1 within the run. `status` and what follows it are None when no answer came; `reason` says why
    the verdict is what it is. `keys` are the rows this call carried or was made for.
    """

    number: int
    at: datetime
    api: str
    purpose: str
    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: bytes | None
    status: int | None
    response_headers: Mapping[str, str] | None
    response_body: bytes | None
    duration_ms: float
    waited_ms: float
    attempt: int
    verdict: VerdictWord
    reason: str
    keys: Sequence[str]


class OutcomeRecord(NamedTuple):
    """What became of one planned row.

    `position` is the row's place in the plan, by which the ledger folds it; None for a row without a usable key.
    `call` is the number of the call that decided, None where none was made.
    """

    key: str
    position: int | None
    change: Change | None
    operation: str
    outcome: RowOutcome
    code: str | None = None
    field: str | None = None
    message: str | None = None
    theirs: str | None = None
    call: int | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """The destination's own id of a record that we know by its external id; `record_id` None means: forget it."""

    kind: str
    external_id: str
    record_id: str | None


class RunLog(Protocol):
    """The durable record of one run: calls, outcomes, what was learned, and what a person asked meanwhile."""

    def append(
        self, calls: Sequence[CallRecord], outcomes: Sequence[OutcomeRecord], learned: Sequence[Learned] = ()
    ) -> None:
        """Writes one group, all or nothing; it is durable against kill -9 and loss of power when this returns.

        Called from a thread of its own, one group at a time. Raises WorldError `store_write_failed`.
        """
        ...

    def progress(self, counts: Counts, to_send: int, waiting_s: float) -> None:
        """The latest numbers, for whoever watches from another process."""
        ...

    def cancel_requested(self) -> bool: ...


class Acknowledgements(Protocol):
    """What earlier groups of a run recorded, for the fold."""

    def since(self, run_id: int, sequence: int) -> Iterable[Sequence[tuple[int, int, str, str | None]]]:
        """Batches of (sequence, position, outcome, code) in order, later than `sequence`, rows with a position only."""
        ...


class Identities(Protocol):
    """The memory of look-ups of one destination: external id -> its own id, by kind of record."""

    def known(self, kind: str, external_ids: Sequence[str]) -> dict[str, str]: ...


FileKind = Literal["ledger", "planned", "held"]
"""The files of a sync: its ledger, the plan of the run under way, what the guard held back."""


class Depot(Protocol):
    """Where the files of a sync are between its runs. Embedded they lie at the job's paths and nothing is moved."""

    def take(self) -> None:
        """Brings what earlier runs kept to the job's paths, before the fold. Raises WorldError."""
        ...

    def keep(self, *kinds: FileKind) -> None:
        """What stands at these paths now, or that nothing does, is what the next run takes: all of it or nothing.

        Raises WorldError `run_lost` where the run is no longer ours: then nothing has changed.
        """
        ...


def run_lost(run_id: int) -> WorldError:
    """What stops a process whose run was ended behind its back: its lease ran out, and another goes on."""
    message = f"Run {run_id} was taken from this process: it did not show that it lived for too long, so the run was "
    message += "ended and another goes on with the sync. Nothing is lost."
    return WorldError(message, code="run_lost", run_id=run_id)

"""What a run tells while it runs. One stream of these feeds the progress bar, plain lines and, later, page and metrics.

An event is a fact that has happened; nobody who listens can change the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.domain.outcome import Counts, RunStatus


@dataclass(frozen=True, slots=True)
class RunStarted:
    run_id: int
    sync: str


@dataclass(frozen=True, slots=True)
class StageStarted:
    """`stage`: fold, read, send."""

    stage: str


@dataclass(frozen=True, slots=True)
class RowsRead:
    rows: int


@dataclass(frozen=True, slots=True)
class RunPlanned:
    """The plan is made. `to_send` rows have work to do; `notes` are sentences a person should read first."""

    counts: Counts
    to_send: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordsListed:
    """Existing records of `kind` were listed so far, to save asking one by one."""

    kind: str
    records: int
    requests: int


@dataclass(frozen=True, slots=True)
class RunProgressed:
    """`counts` are a snapshot. `waiting_s`: seconds until the rate limit lets the next request go, 0 when it flows."""

    counts: Counts
    to_send: int
    seconds: float
    waiting_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunHeld:
    run_id: int
    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    run_id: int
    sync: str
    status: RunStatus
    counts: Counts
    seconds: float
    code: str | None = None
    message: str | None = None


RunEvent = RunStarted | StageStarted | RowsRead | RunPlanned | RecordsListed | RunProgressed | RunHeld | RunFinished

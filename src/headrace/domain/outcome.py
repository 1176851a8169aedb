"""What becomes of a row, of a call and of a run: the closed lists of words that CLI, API, database and pages share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RowOutcome(StrEnum):
    """What became of a planned row; every planned row gets exactly one."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    INVALID = "invalid"
    REJECTED = "rejected"
    OWED = "owed"


class RunStatus(StrEnum):
    """Where a run stands. The last five are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_REJECTIONS = "succeeded_with_rejections"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_end(self) -> bool:
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


class Change(StrEnum):
    """How a row differs from what the ledger says was last acknowledged."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class VerdictWord(StrEnum):
    """What one call meant."""

    DELIVERED = "delivered"
    LEARNED = "learned"  # a look-up or a refusal that told us what to ask next
    ROW_FAULT = "row_fault"
    RETRY = "retry"
    STOP = "stop"
    UNKNOWN = "unknown"  # sent, but no answer: it may have taken effect


@dataclass(frozen=True, slots=True)
class Face:
    """How a word is shown everywhere: colour, glyph, and what a person does next."""

    colour: str
    glyph: str
    next_step: str


FACES: dict[str, Face] = {
    RowOutcome.DELIVERED: Face("green", "✓", "Nothing to do."),
    RowOutcome.SKIPPED: Face("grey", "–", "Nothing to do in this mode; asked again when it changes or after a day."),
    RowOutcome.INVALID: Face("amber", "!", "Mend the value in the source or the mapping; it is then planned again."),
    RowOutcome.REJECTED: Face("red", "✗", "Read the destination's words; the row is planned again on the next run."),
    RowOutcome.OWED: Face("blue", "…", "Nothing to do: it is planned again on the next run."),
    RunStatus.QUEUED: Face("grey", "·", "Waits for the run before it."),
    RunStatus.RUNNING: Face("blue", "▸", "Watch it, or cancel it."),
    RunStatus.HELD: Face("amber", "‖", "Look at what would be removed, then approve it or mend the model."),
    RunStatus.SUCCEEDED: Face("green", "✓", "Nothing to do."),
    RunStatus.SUCCEEDED_WITH_REJECTIONS: Face("amber", "!", "Look at the rejected and invalid rows."),
    RunStatus.FAILED: Face("red", "✗", "Read the error; what was acknowledged stays, the rest is planned again."),
    RunStatus.CANCELLED: Face("grey", "◼", "Run it again when ready: the rest is planned again."),
    RunStatus.INTERRUPTED: Face("amber", "!", "Run it again: what was acknowledged stays, the rest is planned again."),
    # What one call meant; DELIVERED has the face of the row's outcome, which is the same word.
    VerdictWord.LEARNED: Face("blue", "?", "Nothing to do: the answer told what to ask next."),
    VerdictWord.ROW_FAULT: Face("red", "✗", "Read the answer: it refuses this row, not the others."),
    VerdictWord.RETRY: Face("amber", "↻", "Nothing to do: it was tried again, or the row is owed."),
    VerdictWord.STOP: Face("red", "◼", "Read the answer: it stopped the run."),
    VerdictWord.UNKNOWN: Face("amber", "~", "Nothing to do: no answer came, so the row is planned again."),
}


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why a row was not delivered: a stable code, our words, and the destination's words where it spoke."""

    code: str
    message: str
    field: str | None = None
    theirs: str | None = None


@dataclass(slots=True)
class Counts:
    """The numbers of a run, as `run --json` prints them."""

    rows: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    delivered: int = 0
    skipped: int = 0
    invalid: int = 0
    rejected: int = 0
    owed: int = 0
    requests: int = 0

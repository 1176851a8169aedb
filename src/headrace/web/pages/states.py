"""How a sync, a source or a destination stands, in a word and a sentence, from what its last runs came to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from headrace.domain.outcome import RunStatus
from headrace.store.runs import Run

Health = Literal["new", "healthy", "running", "attention", "stopped"]
HEALTH_COLOURS: dict[Health, str] = {
    "new": "grey",
    "healthy": "green",
    "running": "blue",
    "attention": "amber",
    "stopped": "red",
}
HEALTH_WORDS: dict[Health, str] = {
    "new": "Not run yet",
    "healthy": "Healthy",
    "running": "Running",
    "attention": "Needs a look",
    "stopped": "Failing",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands: the word, its colour, and what is to be said about it."""

    health: Health
    told: str = ""

    @property
    def word(self) -> str:
        return HEALTH_WORDS[self.health]

    @property
    def colour(self) -> str:
        return HEALTH_COLOURS[self.health]


def standing_of(run: Run | None) -> Standing:
    """How a sync stands after its last run."""
    if run is None:
        return Standing("new")
    match run.status:
        case RunStatus.QUEUED | RunStatus.RUNNING:
            return Standing("running")
        case RunStatus.FAILED:
            return Standing("stopped", run.error_message or "")
        case RunStatus.HELD:
            return Standing("attention", run.hold.why if run.hold else "")
        case RunStatus.SUCCEEDED_WITH_REJECTIONS:
            faulty = run.counts.rejected + run.counts.invalid
            return Standing("attention", f"{faulty:,} rejected or invalid")
        case RunStatus.INTERRUPTED:
            return Standing("attention", "Its last run was cut off")
        case _:
            return Standing("healthy")


def worst_of(standings: Iterable[Standing]) -> Standing:
    """How a thing stands that several syncs use: as the worst of them."""
    order: tuple[Health, ...] = ("stopped", "attention", "running", "healthy", "new")
    return min(standings, key=lambda one: order.index(one.health), default=Standing("new"))

"""Schedules as a person asks for them, and their firing: what is due is started once, over any number of servers.

A pause is state of the workspace and no configuration: it survives restarts, `apply` and `export`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from headrace.domain.access import Scope
from headrace.domain.config import Overlap, Schedule
from headrace.domain.errors import ConfigurationError, HeadraceError, UserError
from headrace.domain.schedule import NeverDue, following, in_words, lint_schedule, next_due
from headrace.domain.shapes import shape_findings
from headrace.service.catalog import CatalogService
from headrace.service.verbs import current_actor, note, verb
from headrace.store.schedules import CLAIM_LASTS, Key, ScheduleEntry, ScheduleKind, Schedules

_SCHEDULE: TypeAdapter[Any] = TypeAdapter(Schedule)
_BUSY = ("sync_busy", "sequence_busy")
KINDS: tuple[ScheduleKind, ...] = ("sync", "sequence")
SHOWN = 3


class Trigger(Protocol):
    """Starts a run: of a sync or of a sequence. Raises UserError `sync_busy` or `sequence_busy`."""

    def __call__(self, name: str, *, reason: str, overlap: Overlap) -> Any: ...


@dataclass(frozen=True, slots=True)
class Due:
    """A rule in words, and when it comes next."""

    words: str
    instants: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """One sync or sequence on the overview. Without a rule it is run by hand; paused, nothing is due."""

    kind: ScheduleKind
    name: str
    words: str
    rule: dict[str, Any] | None
    due: tuple[datetime, ...]
    paused_at: datetime | None
    paused_by: str | None
    fired_at: datetime | None
    skipped_at: datetime | None
    skipped_why: str | None


@dataclass(frozen=True, slots=True)
class Fired:
    """What a tick did with one due schedule. `error` None: it was started, or left out because it still runs."""

    kind: ScheduleKind
    name: str
    skipped: str | None = None
    error: HeadraceError | None = None


class ScheduleService:
    """Schedules of one workspace."""

    def __init__(
        self,
        catalog: CatalogService,
        schedules: Schedules,
        triggers: Mapping[ScheduleKind, Trigger],
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._schedules = schedules
        self._triggers = triggers
        self._now = now

    # Looking ------------------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def overview(self) -> list[ScheduleState]:
        """Every sync and sequence: when it runs by itself, paused by whom and since, what became of the last time."""
        known = self._schedules.all()
        return [
            self._state(known.get((kind, name)) or ScheduleEntry(kind, name), document)
            for kind in KINDS
            for name, document in self._catalog.documents(kind).items()
        ]

    @verb(Scope.READ)
    def state(self, kind: ScheduleKind, name: str) -> ScheduleState:
        """One of them. Raises NotFound."""
        return self._state(self._schedules.get((kind, name)), self._document(kind, name))

    @verb(Scope.READ)
    def next_instants(self, schedule: Mapping[str, Any]) -> Due:
        """A rule as a form holds it: in words, and its next three instants. Raises ConfigurationError."""
        try:
            rule = _SCHEDULE.validate_python(schedule)
        except ValidationError as error:
            raise ConfigurationError(list(shape_findings(error, schedule, "schedule"))) from error
        if findings := list(lint_schedule("schedule", rule)):
            raise ConfigurationError(findings)
        return Due(in_words(rule), following(rule, self._now(), SHOWN))

    def _state(self, entry: ScheduleEntry, document: Mapping[str, Any]) -> ScheduleState:
        rule = document.get("schedule")
        words = "manual"
        due: tuple[datetime, ...] = ()
        if rule is not None:
            schedule = _SCHEDULE.validate_python(rule)
            words = in_words(schedule)
            due = () if entry.paused_at else self._coming(entry, rule, schedule)
        return ScheduleState(
            entry.kind,
            entry.name,
            words,
            rule,
            due,
            entry.paused_at,
            entry.paused_by,
            entry.fired_at,
            entry.skipped_at,
            entry.skipped_why,
        )

    def _coming(self, entry: ScheduleEntry, rule: Any, schedule: Any) -> tuple[datetime, ...]:
        """The instant that a server waits for, and those after it."""
        if entry.due_at is None or entry.rule != rule:
            return following(schedule, self._now(), SHOWN)
        return (entry.due_at, *following(schedule, max(entry.due_at, self._now()), SHOWN - 1))

    def _document(self, kind: ScheduleKind, name: str) -> Mapping[str, Any]:
        self._catalog.get(kind, name)
        return self._catalog.documents(kind)[name]

    # Steering -----------------------------------------------------------------------------------------------------

    @verb(Scope.RUN, changes=lambda kind, name: f"{kind} {name}")
    def pause(self, kind: ScheduleKind, name: str) -> ScheduleState:
        """Its schedule starts nothing from now on; a run under way goes on, and by hand it still runs.

        Raises NotFound, and UserError `not_scheduled` for what has no schedule.
        """
        if self._document(kind, name).get("schedule") is None:
            message = f'The {kind} "{name}" has no schedule, so there is nothing to pause. It runs only when somebody '
            raise UserError(message + "or a sequence asks.", code="not_scheduled")
        self._schedules.pause((kind, name), current_actor().name)
        note(f"{kind} {name}", {"paused": False}, {"paused": True})
        return self.state(kind, name)

    @verb(Scope.RUN, changes=lambda kind, name: f"{kind} {name}")
    def resume(self, kind: ScheduleKind, name: str) -> ScheduleState:
        """The schedule counts again, from now: what came due meanwhile is not made up for. Raises NotFound."""
        self._document(kind, name)
        self._schedules.resume((kind, name))
        note(f"{kind} {name}", {"paused": True}, {"paused": False})
        return self.state(kind, name)

    # Firing -------------------------------------------------------------------------------------------------------

    @verb(Scope.RUN)
    def fire_due(self) -> list[Fired]:
        """Starts what is due, each once over all servers. For the tick; one that fails does not stop the others.

        What was due several times while nobody looked is started once.
        """
        now = self._now()
        scheduled = list(self._scheduled(now))
        return [fired for entry, rule, overlap in scheduled if (fired := self._fire(entry, rule, overlap, now))]

    def _scheduled(self, now: datetime) -> Iterator[tuple[ScheduleEntry, Any, Overlap]]:
        """What has a schedule, after the store was brought in line with the configuration."""
        known = self._schedules.all()
        for kind in KINDS:
            for name, document in self._catalog.documents(kind).items():
                key: Key = (kind, name)
                rule = document.get("schedule")
                entry = known.pop(key, None)
                if rule is None:
                    if entry is not None and entry.rule is not None:
                        self._schedules.make_manual(key)
                    continue
                schedule = _SCHEDULE.validate_python(rule)
                if entry is None or entry.rule != rule:
                    try:
                        self._schedules.set_rule(key, rule, next_due(schedule, now))
                    except (NeverDue, ValueError):
                        continue  # written past `check`, which tells what is wrong with it
                    entry = self._schedules.get(key)
                yield entry, schedule, document.get("overlap", "skip")
        for key in known:
            self._schedules.forget(key)

    def _fire(self, entry: ScheduleEntry, schedule: Any, overlap: Overlap, now: datetime) -> Fired | None:
        if entry.paused_at is not None:
            return None
        if entry.due_at is not None and entry.due_at <= now:
            claimed = self._schedules.claim(entry, next_due(schedule, now))
        elif entry.claimed_at is not None and entry.claimed_at <= now - CLAIM_LASTS:
            claimed = self._schedules.claim_again(entry)
        else:
            return None
        if not claimed:
            return None
        try:
            self._triggers[entry.kind](entry.name, reason="schedule", overlap=overlap)
        except HeadraceError as error:
            self._schedules.skipped(entry.key, error.message)
            return Fired(*entry.key, skipped=error.message, error=None if error.code in _BUSY else error)
        self._schedules.fired(entry.key)
        return Fired(*entry.key)

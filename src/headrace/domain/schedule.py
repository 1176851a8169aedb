"""When a schedule is due: the next instants of `every` and of cron, in words too, and what is wrong with one.

Pure: the moment to reckon from comes in, instants go out, aware and in UTC. cronsim reads cron expressions; what the
clock's changes mean is our own rule (`next_due`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from headrace.domain.config import Every
from headrace.domain.errors import Finding

if TYPE_CHECKING:
    from headrace.domain.config import Schedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = 5
_ANY_MOMENT = datetime(2000, 1, 1)  # noqa: DTZ001 - wall time of no zone
_PROBE = timedelta(hours=12)
"""No zone changes its clock and back within so short a time."""
_LONGEST_CHANGE = timedelta(hours=25)
"""The largest step that a zone's clock ever took was a whole day, over the date line."""
_SECOND = timedelta(seconds=1)
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


class NeverDue(Exception):
    """A cron that no date meets within 50 years, as 30 February."""


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """The first instant later than `after` at which the schedule is due.

    `every` counts from 1 January 1970 in UTC, whoever asks and whenever the last run was: `1h` is due on the hour.
    A cron is read in its zone. A time that the clock skips is due once, right after the gap, unless the hours are `*`.
    A time that comes twice is due the first time only; with `*` for the hours or a star in the minutes both times.
    Raises NeverDue, and ValueError for what `lint_schedule` refuses.
    """
    if isinstance(schedule, Every):
        span = schedule.every
        return EPOCH + ((after - EPOCH) // span + 1) * span
    return _next_of_cron(_parsed(schedule.cron), ZoneInfo(schedule.timezone), after.astimezone(UTC))


def following(schedule: Schedule, after: datetime, count: int = 3) -> tuple[datetime, ...]:
    """The next `count` instants after that one."""
    found: list[datetime] = []
    for _ in range(count):
        after = next_due(schedule, after)
        found.append(after)
    return tuple(found)


def in_words(schedule: Schedule) -> str:
    """The schedule as people say it: `every 15 minutes`, `at 14:05 on weekdays, Europe/Berlin`."""
    if isinstance(schedule, Every):
        seconds = int(schedule.every.total_seconds())
        size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
        number = seconds // size
        return f"every {unit}" if number == 1 else f"every {number} {unit}s"
    minute, *others = schedule.cron.split()
    if minute.startswith("*/") and set(others) == {"*"} and 60 % int(minute[2:]) == 0:
        return f"every {minute[2:]} minutes, {schedule.timezone}"
    text = CronSim(schedule.cron, _ANY_MOMENT).explain()
    text = text[0].lower() + text[1:]
    for theirs, ours in ((", Monday through Friday", " on weekdays"), ("Monday through Friday", "weekdays")):
        text = text.replace(theirs, ours)
    return f"{text}, {schedule.timezone}"


def lint_schedule(path: str, schedule: Schedule) -> Iterator[Finding]:
    """What is wrong with a schedule. Its address in the configuration is `path`."""
    if isinstance(schedule, Every):
        return
    try:
        zone = ZoneInfo(schedule.timezone)
    except (KeyError, ValueError, OSError):
        message = f'"{schedule.timezone}" is no IANA time zone. Write for example Europe/Berlin.'
        yield Finding("schedule_invalid", message, f"{path}.timezone")
        zone = ZoneInfo("UTC")
    here = f"{path}.cron"
    try:
        cron = _parsed(schedule.cron)
        _next_of_cron(cron, zone, EPOCH)
    except NeverDue:
        message = f'The cron "{schedule.cron}" never comes: no date meets it. Change its day or its month.'
        yield Finding("schedule_invalid", message, here)
    except ValueError as error:
        message = f'"{schedule.cron}" is no cron expression: {error}. Write minute, hour, day, month and weekday, '
        yield Finding("schedule_invalid", message + "for example `0 6 * * MON-FRI`.", here)


@dataclass(frozen=True, slots=True)
class _Parsed:
    expression: str
    catches_up: bool
    """Whether a skipped time is due right after the gap."""
    first_only: bool
    """Whether a time that comes twice is due once."""

    def first_from(self, local: datetime) -> datetime:
        """The first wall time that matches, `local` itself included. Raises NeverDue."""
        try:
            return next(CronSim(self.expression, local - _SECOND))
        except (StopIteration, OverflowError) as error:
            raise NeverDue(self.expression) from error


@lru_cache(maxsize=1024)
def _parsed(expression: str) -> _Parsed:
    """Raises ValueError that says which field is wrong, and NeverDue."""
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise ValueError(f"it has {len(fields)} fields and needs {_FIELDS}")
    try:
        cron = CronSim(expression, _ANY_MOMENT)
    except CronSimError as error:
        if _is_impossible_date(fields):
            raise NeverDue(expression) from error
        raise ValueError(str(error).lower().replace("bad ", "the field ") + " is wrong") from error
    some_hours = len(cron.hours) < 24
    return _Parsed(expression, some_hours, some_hours and not fields[0].startswith("*"))


def _is_impossible_date(fields: list[str]) -> bool:
    """Whether the fields are sound each by itself, so that only day and month do not fit together."""
    minute, hour, day, _, weekday = fields
    try:
        CronSim(" ".join((minute, hour, day, "*", weekday)), _ANY_MOMENT)
        CronSim(" ".join((minute, hour, "1", fields[3], weekday)), _ANY_MOMENT)
    except CronSimError:
        return False
    return True


def _next_of_cron(cron: _Parsed, zone: ZoneInfo, after: datetime) -> datetime:
    """From one stretch of constant offset to the next: inside a stretch, wall time and UTC go together."""
    start = after.replace(microsecond=0) + _SECOND
    offset = _offset(zone, start)
    floor = _seen_before(zone, start) if cron.first_only else None
    while True:
        local = _wall(start, offset)
        match = cron.first_from(local if floor is None else max(local, floor))
        due = (match - offset).replace(tzinfo=UTC)
        change = _first_change(zone, start, due)
        if change is None:
            return due
        before, offset = offset, _offset(zone, change)
        old, new = _wall(change, before), _wall(change, offset)
        floor = None
        if new > old and cron.catches_up and cron.first_from(old) < new:
            return change
        if new < old and cron.first_only:
            floor = old
        start = change


def _seen_before(zone: ZoneInfo, start: datetime) -> datetime | None:
    """Where the clock went back shortly before `start`: the wall time up to which everything has been before."""
    change = _first_change(zone, start - _LONGEST_CHANGE, start)
    if change is None:
        return None
    return _wall(change, _offset(zone, change - _SECOND))


def _first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first instant later than `start`, up to `end`, from which on the zone has another offset."""
    offset = _offset(zone, start)
    low = start
    while low < end:
        high = min(low + _PROBE, end)
        if _offset(zone, high) != offset:
            while high - low > _SECOND:
                middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            return high
        low = high
    return None


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)

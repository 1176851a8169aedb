"""When a schedule is due, held against a reference that knows neither cronsim nor our rule's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.domain.config import Cron, Every
from headrace.domain.schedule import NeverDue, following, in_words, lint_schedule, next_due

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",  # at midnight, until 2019
    "America/Havana",  # at midnight still
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kolkata",
    "Africa/Casablanca",  # back for Ramadan
    "Pacific/Auckland",
)
CRONS = (
    "0 0 * * *",
    "30 0 * * *",
    "30 1 * * *",
    "0 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "45 2 * * SUN",
    "59 2 * * *",
    "0 3 * * *",
    "30 3 * * MON-FRI",
    "0,30 1-3 * * *",
    "10 */2 * * *",
    "30 */24 * * *",
    "5 14 * * 1-5",
    "0 9 1 * *",
    "0 12 29 2 *",
    "0 6 13 * 5",
    "30 * * * *",
    "*/15 * * * *",
    "*/20 2 * * *",
)
FIRST, LAST = datetime(2016, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}


# The reference: a matcher of its own, and every minute of the days on which a clock changes -----------------------


def values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        ends = [DAYS.get(one, one) for one in span.split("-")]
        start, stop = (low, high) if span == "*" else (int(ends[0]), int(ends[-1]))
        found |= set(range(start, stop + 1, int(step or 1)))
    return found


class Reference:
    """A cron by its fields alone."""

    def __init__(self, cron: str) -> None:
        minute, hour, day, month, weekday = cron.split()
        self.minutes, self.hours = values(minute, 0, 59), values(hour, 0, 23)
        self._days, self._months, self._weekdays = values(day, 1, 31), values(month, 1, 12), values(weekday, 0, 6)
        self._both = day.startswith("*") or weekday.startswith("*")
        self.some_hours = self.hours != set(range(24))
        self.once = self.some_hours and not minute.startswith("*")

    def is_day(self, wall: datetime) -> bool:
        if wall.month not in self._months:
            return False
        by = (wall.day in self._days, wall.isoweekday() % 7 in self._weekdays)
        return all(by) if self._both else any(by)

    def matches(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.is_day(wall)


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The minutes at which the zone's clock changes, found by looking at every quarter of an hour."""
    found, quarter = [], timedelta(minutes=15)
    moment, offset = FIRST - DAY, FIRST.astimezone(ZoneInfo(zone)).utcoffset()
    while moment < LAST + 3 * DAY:
        if (now := moment.astimezone(ZoneInfo(zone)).utcoffset()) != offset:
            found.append(moment)
            offset = now
        moment += quarter
    return tuple(found)


def by_the_minute(reference: Reference, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Looks at the wall clock of each minute; `start` is well before the change it is about."""
    seen: set[datetime] = set()
    before = (start - MINUTE).astimezone(zone).replace(tzinfo=None)
    moment = start
    while moment < end:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        skipped = [before + number * MINUTE for number in range(1, (wall - before) // MINUTE)]
        is_due = reference.matches(wall) and not (reference.once and wall in seen)
        if is_due or (reference.some_hours and any(reference.matches(one) for one in skipped)):
            yield moment
        seen.add(wall)
        before = wall
        moment += MINUTE


def by_the_day(reference: Reference, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Between two changes the wall clock is at one distance from UTC."""
    offset = start.astimezone(zone).utcoffset()
    assert offset is not None
    day = (start + offset).replace(tzinfo=None, hour=0, minute=0)
    while day - offset < end.replace(tzinfo=None):
        if reference.is_day(day):
            for hour in sorted(reference.hours):
                for minute in sorted(reference.minutes):
                    moment = (day.replace(hour=hour, minute=minute) - offset).replace(tzinfo=UTC)
                    if start <= moment < end:
                        yield moment
        day += DAY


def expected(cron: str, zone: str) -> list[datetime]:
    reference, where = Reference(cron), ZoneInfo(zone)
    found: list[datetime] = []
    at = FIRST
    for change in changes(zone):
        if FIRST <= change < LAST:
            found += by_the_day(reference, where, at, change - DAY)
            at = min(change + DAY, LAST)
            found += by_the_minute(reference, where, change - DAY, at)
    return found + list(by_the_day(reference, where, at, LAST))


def ours(schedule: Cron, start: datetime, end: datetime) -> list[datetime]:
    found = []
    at = next_due(schedule, start - MINUTE)
    while at < end:
        found.append(at)
        at = next_due(schedule, at)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_ten_years_of_twenty_crons_are_as_a_walk_through_the_minutes_finds_them(zone: str) -> None:
    """Libraries are known to fire twice in autumn or to lose a day in spring; a nightly sync must do neither."""
    for cron in CRONS:
        schedule = Cron(cron=cron, timezone=zone)
        wanted = expected(cron, zone)
        if len(wanted) <= 4000:
            assert wanted == ours(schedule, FIRST, LAST), cron
            continue
        for change in (one for one in changes(zone) if FIRST < one < LAST - 2 * DAY):  # dense: around the changes
            start, end = change - 2 * DAY, change + 2 * DAY
            assert [one for one in wanted if start <= one < end] == ours(schedule, start, end), cron


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_time_is_due_once_on_every_day(zone: str) -> None:
    """No day without its run, none with two, whatever the clock does at that time."""
    for cron in ("30 0 * * *", "30 2 * * *"):
        due = ours(Cron(cron=cron, timezone=zone), FIRST, LAST)
        days = [one.astimezone(ZoneInfo(zone)).date() for one in due]

        assert len(days) == len(set(days))
        assert (days[-1] - days[0]).days + 1 == len(days)


def test_a_skipped_time_is_due_right_after_the_gap_and_a_repeated_one_the_first_time() -> None:
    """The two rules, once by hand: Berlin went from 02:00 to 03:00 at 01:00 UTC, and back at 01:00 UTC."""
    nightly = Cron(cron="30 2 * * *", timezone="Europe/Berlin")

    assert datetime(2026, 3, 29, 1, 0, tzinfo=UTC) == next_due(nightly, datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ] == list(following(nightly, datetime(2026, 10, 24, 12, tzinfo=UTC), 2))


def test_a_schedule_asked_within_the_repeated_hour_does_not_start_again() -> None:
    """A server that starts between the two 02:30s of an autumn night must not run what ran an hour ago."""
    nightly = Cron(cron="30 2 * * *", timezone="Europe/Berlin")

    assert datetime(2026, 10, 26, 1, 30, tzinfo=UTC) == next_due(nightly, datetime(2026, 10, 25, 1, 10, tzinfo=UTC))


@given(
    seconds=st.integers(1, 100 * 86400),
    after=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda one: one.replace(tzinfo=UTC)),
)
def test_every_counts_from_the_epoch_so_that_all_servers_agree(seconds: int, after: datetime) -> None:
    """`every: 1h` is due on the hour, however often a server starts and whenever the last run was."""
    schedule = Every(every=timedelta(seconds=seconds))
    due = next_due(schedule, after)

    assert timedelta(0) < due - after <= schedule.every
    assert timedelta(0) == (due - datetime(1970, 1, 1, tzinfo=UTC)) % schedule.every


@settings(max_examples=200)
@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    after=st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1)).map(lambda one: one.replace(tzinfo=UTC)),
)
def test_the_next_instant_is_the_same_from_every_moment_before_it(cron: str, zone: str, after: datetime) -> None:
    """A restart between two instants changes neither; else a restart would lose or repeat a run."""
    schedule = Cron(cron=cron, timezone=zone)
    due = next_due(schedule, after)

    assert due > after
    assert due == next_due(schedule, after + (due - after) / 2)
    assert due == next_due(schedule, due - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Every(every=timedelta(minutes=15)), "every 15 minutes"),
        (Every(every=timedelta(hours=1)), "every hour"),
        (Every(every=timedelta(days=7)), "every 7 days"),
        (Cron(cron="5 14 * * 1-5", timezone="Europe/Berlin"), "at 14:05 on weekdays, Europe/Berlin"),
        (Cron(cron="*/15 * * * *"), "every 15 minutes, UTC"),
        (Cron(cron="*/7 * * * *"), "every seventh minute of every hour, UTC"),
        (Cron(cron="0 9 1 * *"), "at 09:00 on the first day of every month, UTC"),
    ],
)
def test_a_schedule_is_said_in_words(schedule: Every | Cron, words: str) -> None:
    """Who reads a list of syncs should not have to read cron."""
    assert words == in_words(schedule)


@pytest.mark.parametrize(
    ("cron", "zone", "path", "why"),
    [
        ("61 * * * *", "UTC", "s.cron", "the field minute is wrong"),
        ("* * * *", "UTC", "s.cron", "it has 4 fields and needs 5"),
        ("0 0 0 * * *", "UTC", "s.cron", "it has 6 fields"),
        ("@daily", "UTC", "s.cron", "it has 1 fields"),
        ("0 0 30 2 *", "UTC", "s.cron", "never comes"),
        ("0 0 31 4,6 *", "UTC", "s.cron", "never comes"),
        ("0 0 * * *", "Europe/Atlantis", "s.timezone", "no IANA time zone"),
        ("0 0 * * *", "../etc/passwd", "s.timezone", "no IANA time zone"),
        ("0 0 * * *", "", "s.timezone", "no IANA time zone"),
    ],
)
def test_a_schedule_that_cannot_be_carried_out_is_a_finding(cron: str, zone: str, path: str, why: str) -> None:
    """Found when it is saved, not at three in the night."""
    (found,) = lint_schedule("s", Cron(cron=cron, timezone=zone))

    assert ("schedule_invalid", path) == (found.code, found.path)
    assert why in found.message


def test_a_date_that_comes_every_fourth_year_comes() -> None:
    """29 February is rare, not never."""
    leap = Cron(cron="0 0 29 2 *")

    assert datetime(2028, 2, 29, tzinfo=UTC) == next_due(leap, datetime(2026, 1, 1, tzinfo=UTC))
    assert [] == list(lint_schedule("s", leap))


def test_a_cron_that_never_comes_says_so() -> None:
    """Whoever asks for its next instant must not wait for ever."""
    with pytest.raises(NeverDue):
        next_due(Cron(cron="0 0 30 2 *"), FIRST)

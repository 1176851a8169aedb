"""Filters over dates. `now` and `today` are the time the run started, the same for all its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from headrace.domain.coerce import iso
from headrace.domain.templates.catalogue import declares
from headrace.domain.templates.moments import read_moment, write_moment, zone_named
from headrace.domain.templates.values import refuse, text_of

LONG = "%A, %B %-e, %Y at %-l:%M %P %z"
"""How a date is written when no format is given."""


@declares(
    "dates",
    "A date by a format, in UTC or in a named zone. What is no date stays as it is.",
    """{{ "2026-01-31T09:30:00Z" | date: "%d.%m.%Y %H:%M", "Europe/Berlin" }}""",
    "31.01.2026 10:30",
    knows_the_run=True,
)
def date(value: Any, format_: Any = None, zone: Any = None, *, started_at: str = "") -> Any:
    moment = _moment(value, started_at)
    if moment is None:
        return value
    return write_moment(_moved(moment, zone), LONG if format_ is None else text_of(format_))


@declares(
    "dates",
    "A date as ISO 8601 in UTC, for a datetime field. The zone is that of a text without one. Refuses what is no date.",
    """{{ "2026-01-31 09:30" | to_datetime: "Europe/Berlin" }}""",
    "2026-01-31T08:30:00.000Z",
    knows_the_run=True,
)
def to_datetime(value: Any, zone: Any = None, *, started_at: str = "") -> str | None:
    if value is None or value == "":
        return None
    moment = _moment(value, started_at, zone)
    if moment is None:
        refuse(f"{text_of(value)[:40]!r} is no date; ISO 8601 or seconds since 1970 are understood")
    return iso(_moved(moment, None))


@declares(
    "dates",
    "As ISO 8601 with the zone's offset.",
    '{{ "2026-01-31" | date_to_xmlschema }}',
    "2026-01-31T00:00:00+00:00",
    knows_the_run=True,
)
def date_to_xmlschema(value: Any, *, started_at: str = "") -> Any:
    return date(value, "%Y-%m-%dT%H:%M:%S%:z", started_at=started_at)


@declares(
    "dates",
    "As a mail writes it.",
    '{{ "2026-01-31" | date_to_rfc822 }}',
    "Sat, 31 Jan 2026 00:00:00 +0000",
    knows_the_run=True,
)
def date_to_rfc822(value: Any, *, started_at: str = "") -> Any:
    return date(value, "%a, %d %b %Y %H:%M:%S %z", started_at=started_at)


@declares("dates", "Day, short month, year.", '{{ "2026-01-31" | date_to_string }}', "31 Jan 2026", knows_the_run=True)
def date_to_string(value: Any, kind: Any = None, style: Any = None, *, started_at: str = "") -> Any:
    return date(value, _day_format("%b", kind, style), started_at=started_at)


@declares(
    "dates",
    "Day, month, year. With `ordinal` the day has its ending, with `US` the month comes first.",
    '{{ "2026-01-31" | date_to_long_string: "ordinal", "US" }}',
    "January 31st, 2026",
    knows_the_run=True,
)
def date_to_long_string(value: Any, kind: Any = None, style: Any = None, *, started_at: str = "") -> Any:
    return date(value, _day_format("%B", kind, style), started_at=started_at)


def _day_format(month: str, kind: Any, style: Any) -> str:
    if kind != "ordinal":
        return f"%d {month} %Y"
    return f"{month} %-d%q, %Y" if style == "US" else f"%-d%q {month} %Y"


def _moment(value: Any, started_at: str, zone: Any = None) -> datetime | None:
    if value in ("now", "today"):
        value = started_at
    return read_moment(value, UTC if zone is None else zone_named(zone))


def _moved(moment: datetime, zone: Any) -> datetime:
    try:
        return moment.astimezone(UTC if zone is None else zone_named(zone))
    except OverflowError:  # 9999-12-31 and the like: dates that stand for "never"
        return refuse("the date lies outside the years 1 to 9999")

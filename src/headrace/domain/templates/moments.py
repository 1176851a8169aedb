"""Instants of a template: what is read as one, and how a format writes it. English, Gregorian, the same on any machine.

A moment is an aware datetime. What has no zone is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from headrace.domain.templates.values import refuse

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_WRITTEN = re.compile(
    r"(?:(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d{1,2})|(?P<day2>\d{1,2}) (?P<month2>[A-Za-z]{3,9})\.?),? (?P<year>\d{4})"
    r"(?: (?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?\Z"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_moment(value: object, zone: tzinfo = UTC) -> datetime | None:
    """The instant in ISO text, in a mail's date, in `March 14, 2016`, or in seconds since 1970; else None.

    `zone` is that of a text without one.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) != 8:
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return _EPOCH + timedelta(seconds=value)
        except (OverflowError, ValueError):
            return None
    if not isinstance(value, str):
        return None
    text = value.strip()
    for read in (_iso, _written, _mail):
        moment = read(text)
        if moment is not None:
            return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _mail(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if "," in text or "GMT" in text else None
    except (ValueError, TypeError, IndexError):
        return None


def _written(text: str) -> datetime | None:
    """`March 14, 2016`, `14 Mar 2016 09:30`."""
    found = _WRITTEN.match(text)
    if found is None:
        return None
    named = (found["month"] or found["month2"]).capitalize()
    month = next((place for place, name in enumerate(MONTHS, 1) if named in (name, name[:3])), 0)
    try:
        day = int(found["day"] or found["day2"])
        hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
        return datetime(int(found["year"]), month, day, hour, minute, second)  # noqa: DTZ001 - the caller knows the zone
    except ValueError:
        return None


def zone_named(name: object) -> tzinfo:
    """The zone of an IANA name, or of minutes west of Greenwich, as JavaScript counts them."""
    if isinstance(name, int | float) and not isinstance(name, bool) and abs(name) < 24 * 60:
        return timezone(timedelta(minutes=-name))
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        return refuse(f"{name!r} is no IANA time zone; write for example Europe/Berlin")


# Writing ---------------------------------------------------------------------------------------------------------

_CODE = re.compile(r"%([-_0^#:]+)?(\d{1,3})?([EO])?(.)", re.DOTALL)
_PADDED = {"C": 2, "d": 2, "e": 2, "H": 2, "I": 2, "j": 3, "k": 2, "l": 2, "L": 3, "m": 2, "M": 2, "S": 2}
_PADDED |= {"U": 2, "W": 2, "y": 2, "Y": 4}
_WITH_SPACES = frozenset("aAbBceklpP")


def _offset(moment: datetime, colon: str = "") -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _clock_12(moment: datetime) -> str:
    return str(moment.hour % 12 or 12)


_CODES: dict[str, Callable[[datetime], str]] = {
    "a": lambda m: DAYS[m.weekday()][:3],
    "A": lambda m: DAYS[m.weekday()],
    "b": lambda m: MONTHS[m.month - 1][:3],
    "h": lambda m: MONTHS[m.month - 1][:3],
    "B": lambda m: MONTHS[m.month - 1],
    "c": lambda m: f"{_CODES['x'](m)}, {_CODES['X'](m)}",
    "C": lambda m: str(m.year // 100),
    "d": lambda m: str(m.day),
    "e": lambda m: str(m.day),
    "D": lambda m: f"{m.month:02}/{m.day:02}/{m.year % 100:02}",
    "F": lambda m: f"{m.year:04}-{m.month:02}-{m.day:02}",
    "H": lambda m: str(m.hour),
    "I": _clock_12,
    "j": lambda m: str(m.timetuple().tm_yday),
    "k": lambda m: str(m.hour),
    "l": _clock_12,
    "L": lambda m: str(m.microsecond // 1000),
    "m": lambda m: str(m.month),
    "M": lambda m: str(m.minute),
    "n": lambda m: "\n",
    "p": lambda m: "AM" if m.hour < 12 else "PM",
    "P": lambda m: "am" if m.hour < 12 else "pm",
    "q": lambda m: _ordinal(m.day),
    "R": lambda m: f"{m.hour:02}:{m.minute:02}",
    "s": lambda m: str((m - _EPOCH) // timedelta(seconds=1)),
    "S": lambda m: str(m.second),
    "t": lambda m: "\t",
    "T": lambda m: f"{m.hour:02}:{m.minute:02}:{m.second:02}",
    "u": lambda m: str(m.isoweekday()),
    "U": lambda m: str((m.timetuple().tm_yday - 1 + 7 - m.isoweekday() % 7) // 7),
    "w": lambda m: str(m.isoweekday() % 7),
    "W": lambda m: str((m.timetuple().tm_yday - 1 + 7 - m.weekday()) // 7),
    "x": lambda m: f"{m.month}/{m.day}/{m.year}",
    "X": lambda m: f"{_clock_12(m)}:{m.minute:02}:{m.second:02} {'AM' if m.hour < 12 else 'PM'}",
    "y": lambda m: str(m.year % 100),
    "Y": lambda m: str(m.year),
    "z": _offset,
    "Z": lambda m: m.tzname() or _offset(m),
    "%": lambda m: "%",
}


def write_moment(moment: datetime, format_: str) -> str:
    """The moment by a format of strftime's codes, with the flags `-`, `_`, `0`, `^`, `#`, `:` and a width."""
    return _CODE.sub(lambda found: _one_code(moment, found), format_)


def _one_code(moment: datetime, found: re.Match[str]) -> str:
    flags, width, code = found[1] or "", int(found[2] or 0), found[4]
    if code == "N":
        return f"{moment.microsecond:06}000"[: width or 9]
    convert = _CODES.get(code)
    if convert is None:
        return found[0]
    text = _offset(moment, ":") if code == "z" and ":" in flags else convert(moment)
    if "^" in flags:
        text = text.upper()
    elif "#" in flags:
        text = text.lower() if text.isupper() else text.upper()
    fill = " " if "_" in flags else "0" if "0" in flags else " " if code in _WITH_SPACES else "0"
    return text if "-" in flags else text.rjust(width or _PADDED.get(code, 0), fill)

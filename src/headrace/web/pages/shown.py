"""How values read on every page: numbers, times, spans, shares, words of status, bodies of calls.

Pure functions; templates use them as filters. What is exact stands in a title, where the mouse rests.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.domain.outcome import FACES, Face

UNKNOWN_FACE = Face("grey", "·", "")
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"))
_LONGEST_BODY = 64 * 1024


def number(value: float | None) -> str:
    """With thousands apart; a dash for what is not known."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if isinstance(value, float) and not value.is_integer() else f"{int(value):,}"


def percent(value: float) -> str:
    """`0 %`, `0.4 %`, `12 %`; what is more than nothing never reads as nothing."""
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.1f} %" if value < 10 and value != int(value) else f"{value:.0f} %"


def ago(instant: datetime, now: datetime) -> str:
    """`now`, `4 min ago`, `in 2 h`: one unit, rounded down, as static/app.js goes on to tell it."""
    passed = (now - instant).total_seconds()
    size = abs(passed)
    if size < 5:
        return "now"
    unit, word = next(((unit, word) for limit, unit, word in _STEPS if size < limit), (86_400, "d"))
    told = f"{int(size // unit)} {word}"
    return f"in {told}" if passed < 0 else f"{told} ago"


def exact(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%H:%M:%S")


def span(seconds: float | None) -> str:
    """`840 ms`, `4.2 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def every(value: timedelta) -> str:
    """A schedule's span in words: `15 min`, `1 h`."""
    return span(value.total_seconds()).replace(".0 s", " s")


def milliseconds(value: float | None) -> str:
    return "–" if value is None else span(value / 1000)


def face(word: str) -> Face:
    """Colour, glyph and next step of a word of status: the one table, for every page."""
    return FACES.get(word, UNKNOWN_FACE)


def title(word: str) -> str:
    """`succeeded_with_rejections` as a person reads it."""
    return word.replace("_", " ").capitalize()


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def body(content: bytes | None) -> str:
    """A body to read: JSON set out in lines, other text as it is."""
    if content is None:
        return ""
    text = content.decode("utf-8", "replace")
    if len(text) > _LONGEST_BODY:
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def flat(content: bytes | None) -> dict[str, str]:
    """The values of a JSON object by their path (`traits.plan`), each as it is written; empty for other bodies."""
    try:
        document = json.loads(content or b"")
    except ValueError:
        return {}
    return dict(_leaves(document, ())) if isinstance(document, dict) else {}


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [leaf for key, one in value.items() for leaf in _leaves(one, (*path, str(key)))]
    return [(".".join(path), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]

"""What the command line writes: plain text, tables and JSON on standard output, complaints on standard error.

Rich draws on a terminal only; in a pipe there is no colour, no wrapping and nothing cut off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from headrace.domain.outcome import FACES

_ANSI = {"grey": "90", "blue": "34", "green": "32", "amber": "33", "red": "31", "bold": "1", "dim": "2"}
_PIPE_WIDTH = 100_000


def is_terminal() -> bool:
    """Whether a person looks at standard output as it comes."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def can_ask() -> bool:
    """Whether a person is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def painted(text: str, colour: str) -> str:
    """The text in that colour where colours are shown."""
    if not is_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_ANSI[colour]}m{text}\x1b[0m"


def glyph(word: str) -> str:
    """The glyph of an outcome or status with a blank after it on a terminal, nothing in a pipe."""
    face = FACES.get(word)
    return f"{painted(face.glyph, face.colour)} " if face and is_terminal() else ""


def say(text: str = "") -> None:
    """A line, or several, on standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_json(document: Any, *, lines: bool = False) -> None:
    """A document as JSON: indented for a terminal, one line elsewhere or where `lines` asks for it."""
    import orjson

    options = orjson.OPT_INDENT_2 if is_terminal() and not lines else 0
    try:
        text = orjson.dumps(document, default=_plain, option=options | orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # an integer past 64 bits
        import json

        text = json.dumps(document, default=_plain, ensure_ascii=False)
    say(text)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if hasattr(value, "items"):
        return dict(value)
    return str(value)


def clean(value: Any) -> str:
    """A value of somebody else's as one line of text that can do a terminal no harm."""
    text = value if isinstance(value, str) else str(value)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def count(number: int, noun: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def say_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Rows under headers. Columns named in `right` are numbers. A cell too wide for a terminal is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold" if is_terminal() else "")
    for header in headers:
        justify = "right" if header in right else "left"
        table.add_column(Text(header), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text.from_ansi(cell) if "\x1b" in cell else Text(cell) for cell in row))
    console = Console(file=sys.stdout, width=None if is_terminal() else _PIPE_WIDTH, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))

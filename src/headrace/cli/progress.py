"""A run as a person sees it while it runs: a live line on a terminal, plain lines in a pipe, nothing for programs.

In: the run's events. A reader who goes away (a closed pipe) never disturbs the run.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from headrace.cli.console import clean, is_terminal, say
from headrace.domain.events import (
    RecordsListed,
    RowsRead,
    RunEvent,
    RunPlanned,
    RunProgressed,
    StageStarted,
)
from headrace.domain.outcome import Counts

LINE_EVERY_S = 5.0
HONEST_AFTER_S = 2.0
"""A rate measured over less tells nothing about the time left."""
STAGES = {"read": "reading and comparing", "list": "listing existing records", "send": "sending"}


class View(Protocol):
    """Who shows a run. Use as a context around it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def emit(self, event: RunEvent) -> None: ...

    def wait(self, sentence: str) -> None:
        """Says why the run has not started yet."""
        ...


@dataclass(slots=True)
class Progress:
    """What the events of a run add up to so far."""

    stage: str = ""
    read: int = 0
    listed: int = 0
    kind: str = ""
    planned: Counts | None = None
    now: Counts | None = None
    to_send: int = 0
    started_s: float = 0.0
    sending_since_s: float = 0.0
    waiting_s: float = 0.0
    notes: tuple[str, ...] = ()

    def take(self, event: RunEvent, at_s: float) -> None:
        """Adds an event. `at_s` is monotonic."""
        match event:
            case StageStarted(stage=stage):
                self.stage = stage
                if stage == "send":
                    self.sending_since_s = at_s
            case RowsRead(rows=rows):
                self.read = max(self.read, rows)
            case RecordsListed(kind=kind, records=records):
                self.kind, self.listed = kind, records
            case RunPlanned(counts=counts, to_send=to_send, notes=notes):
                self.planned, self.to_send, self.notes = replace(counts), to_send, notes
                self.now, self.read = replace(counts), counts.rows
            case RunProgressed(counts=counts, waiting_s=waiting_s):
                self.now, self.waiting_s = replace(counts), waiting_s
            case _:
                return

    @property
    def settled(self) -> int:
        """Rows that have their outcome, of those that are to be sent."""
        if self.now is None or self.planned is None:
            return 0
        unusable = self.planned.invalid
        now = self.now
        return now.delivered + now.skipped + now.rejected + now.owed + now.invalid - unusable

    def rate(self, at_s: float) -> float | None:
        """Rows a second since sending began; None while that is not known well."""
        elapsed = at_s - self.sending_since_s
        return self.settled / elapsed if self.sending_since_s and elapsed >= HONEST_AFTER_S and self.settled else None

    def left_s(self, at_s: float) -> float | None:
        """Seconds to the end at the present rate; None while nobody can say."""
        rate = self.rate(at_s)
        return (self.to_send - self.settled) / rate if rate and self.to_send else None

    def pace(self, at_s: float) -> str:
        """How far it is, and how fast: the line that a person watches."""
        if self.now is None:
            what = STAGES.get(self.stage, "starting")
            return f"{what}, {self.read:,} rows read" if self.read else what
        if self.stage == "send" and not self.settled and self.listed:
            return f"listing what is there, {self.listed:,} {self.kind}s so far"
        parts = [f"sent {self.settled:,} of {self.to_send:,}" if self.to_send else "nothing to send"]
        if (rate := self.rate(at_s)) is not None:
            parts.append(f"{rate:,.0f} rows/s")
        if (left := self.left_s(at_s)) is not None and self.settled < self.to_send:
            parts.append(f"{span(left)} left")
        if self.waiting_s >= 1:
            parts.append(f"waiting for the rate limit {self.waiting_s:.0f} s")
        return ", ".join(parts)

    def numbers(self) -> str:
        """What became of the rows so far; empty while nothing is known."""
        if self.now is None:
            return ""
        now = self.now
        changed, refused = now.added + now.changed + now.removed, now.rejected + now.invalid
        return f"read {now.rows:,}, changed {changed:,}, delivered {now.delivered:,}, rejected {refused:,}"


def span(seconds: float) -> str:
    """`12 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class SilentView:
    """For programs: standard output is theirs, and holds JSON only."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def emit(self, event: RunEvent) -> None:
        return None

    def wait(self, sentence: str) -> None:
        return None


class PlainView:
    """Lines for a pipe or a log: what will be done, and how far it is every few seconds."""

    def __init__(self, sync: str) -> None:
        self._sync = sync
        self._progress = Progress(started_s=time.monotonic())
        self._last_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def emit(self, event: RunEvent) -> None:
        now_s = time.monotonic()
        self._progress.take(event, now_s)
        if isinstance(event, RunPlanned):
            for note in event.notes:
                self._line(f"note: {note}")
            if event.to_send:
                self._line(f"sending {event.to_send:,} of {event.counts.rows + event.counts.removed:,} rows")
                self._last_s = now_s
        elif now_s - self._last_s >= LINE_EVERY_S:
            numbers = self._progress.numbers()
            self._line(self._progress.pace(now_s) + (f", {numbers}" if numbers else ""))
            self._last_s = now_s

    def wait(self, sentence: str) -> None:
        self._line(sentence)

    def _line(self, text: str) -> None:
        with suppress(BrokenPipeError):
            say(f"{self._sync}: {clean(text)}")


class LiveView:
    """Two lines on a terminal that are drawn again and again, with a bar while rows are sent."""

    def __init__(self, sync: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._sync = sync
        self._progress = Progress(started_s=time.monotonic())
        self._waiting = ""
        console = Console(highlight=False, emoji=False)
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._live.stop()

    def emit(self, event: RunEvent) -> None:
        self._waiting = ""
        self._progress.take(event, time.monotonic())
        if isinstance(event, RunPlanned):
            for note in event.notes:
                self._live.console.print(f"{self._sync}: {clean(note)}", markup=False, style="yellow")

    def wait(self, sentence: str) -> None:
        self._waiting = sentence

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        progress = self._progress
        line = Table.grid(padding=(0, 1))
        cells: list[Any] = [Text(self._sync, style="bold", no_wrap=True)]
        if progress.stage == "send" and progress.to_send and not self._waiting:
            cells.append(
                ProgressBar(total=progress.to_send, completed=progress.settled, width=20, complete_style="green")
            )
        cells.append(Text(self._waiting or progress.pace(time.monotonic())))
        line.add_row(*cells)
        numbers = progress.numbers()
        return Group(line, Text(f"  {numbers}", style="dim")) if numbers else line


def view_for(sync: str, *, as_json: bool, brief: bool = False) -> View:
    """Who shows a run of that sync here. `brief`: in a pipe, its end alone is shown."""
    if as_json:
        return SilentView()
    if is_terminal():
        return LiveView(sync)
    return SilentView() if brief else PlainView(sync)

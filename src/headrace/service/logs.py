"""What a process that stays running writes down: one line a fact, for people on a terminal, as JSON elsewhere.

The engine never logs: it tells events, and `RunLines` makes lines of them. Every line passes the redactor last.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.events import RunEvent, RunFinished, RunHeld, RunPlanned, RunStarted, StageStarted
from headrace.domain.outcome import RunStatus

FORMS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
LOUD = ("uvicorn.access",)
"""Loggers of libraries that say something about every request: left to `debug`."""
_CLIPPED = 20_000
Redact = Callable[[str], str]


def set_up(environment: Mapping[str, str], redact: Redact, stream: TextIO | None = None) -> None:
    """Sends what this process logs to `stream` (standard error), in the form and from the level that are asked for.

    HEADRACE_LOG: `text` or `json`; by default text on a terminal, JSON elsewhere. HEADRACE_LOG_LEVEL: by default info.
    Raises UserError `setting_invalid`.
    """
    stream = stream or sys.stderr
    form = _choice(environment, "HEADRACE_LOG", FORMS, "text" if stream.isatty() else "json")
    level = _choice(environment, "HEADRACE_LOG_LEVEL", LEVELS, "info").upper()
    handler = logging.StreamHandler(stream)
    handler.setFormatter((TextLine if form == "text" else JsonLine)(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)
    logging.getLogger("headrace").setLevel(level)
    for name in LOUD:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)


def _choice(environment: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    given = (environment.get(name) or default).strip().lower()
    if given not in allowed:
        raise UserError(f'{name} is "{given[:40]}"; it is {" or ".join(allowed)}.', code="setting_invalid")
    return given


class _Line(logging.Formatter):
    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self._redact(self._shape(record))[:_CLIPPED]
        except Exception as error:  # noqa: BLE001 - a line that can't be made must not end what is logged about
            return f"a line of {record.name} could not be written: {type(error).__name__}"

    def _shape(self, record: logging.LogRecord) -> str:
        raise NotImplementedError


class TextLine(_Line):
    """`12:04:31 warning run 7 of accounts: held ...`"""

    def _shape(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        line = f"{at:%H:%M:%S} {record.levelname.lower():7} {_printable(record.getMessage())}"
        return f"{line}\n{_told(record)}" if record.exc_info else line


class JsonLine(_Line):
    """One object: at, level, from, message, and what the record says beside (`run`, `sync`, `stage`, ...)."""

    def _shape(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "from": record.name, "message": record.getMessage()}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = _told(record)
        return json.dumps(line, default=str, ensure_ascii=False)


def _told(record: logging.LogRecord) -> str:
    assert record.exc_info
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()


def _printable(text: str) -> str:
    """On one line, and harmless to a terminal: the text may hold somebody else's words."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def say(logger: logging.Logger, level: int, message: str, **facts: Any) -> None:
    """A line with facts that programs can read."""
    logger.log(level, "%s", message, extra={"facts": facts})


class RunLines:
    """Makes log lines of what runs tell. `tell` takes every event of every run, from any thread."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("headrace.runs")
        self._syncs: dict[int, str] = {}

    def tell(self, run_id: int, event: RunEvent) -> None:
        match event:
            case RunStarted(sync=sync):
                self._syncs[run_id] = sync
                self._say(run_id, logging.INFO, "started")
            case StageStarted(stage=stage):
                self._say(run_id, logging.DEBUG, f"{stage} begins", stage=stage)
            case RunPlanned(counts=counts, to_send=to_send, notes=notes):
                said = f"planned {to_send:,} of {counts.rows:,} rows"
                self._say(run_id, logging.INFO, said, stage="plan", rows=counts.rows, to_send=to_send)
                for one in notes:
                    self._say(run_id, logging.WARNING, one, stage="plan")
            case RunHeld(message=message):
                self._say(run_id, logging.WARNING, f"held: {message}", stage="plan")
            case RunFinished():
                self._say_end(run_id, event)
                self._syncs.pop(run_id, None)

    def _say_end(self, run_id: int, end: RunFinished) -> None:
        self._syncs.setdefault(run_id, end.sync)  # a run that was refused never started
        counts = end.counts
        words = ("delivered", "skipped", "invalid", "rejected", "owed")
        numbers = {word: getattr(counts, word) for word in words}
        told = ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number) or "nothing to send"
        why = f": {end.message}" if end.message else ""
        level = logging.INFO
        if end.status in (RunStatus.SUCCEEDED_WITH_REJECTIONS, RunStatus.HELD, RunStatus.INTERRUPTED):
            level = logging.WARNING
        elif end.status is RunStatus.FAILED:
            level = logging.ERROR
        facts = {"status": str(end.status), "code": end.code, "seconds": round(end.seconds, 3), **numbers}
        said = f"{end.status} after {end.seconds:.1f} s, {told}{why}"
        self._say(run_id, level, said, rows=counts.rows, requests=counts.requests, **facts)

    def _say(self, run_id: int, level: int, message: str, **facts: Any) -> None:
        sync = self._syncs.get(run_id, "?")
        say(self._logger, level, f"run {run_id} of {sync}: {message}", run=run_id, sync=sync, **facts)

    def broken(self, run_id: int, error: BaseException) -> None:
        """What no run should raise. A fault of the world is told in a line, a bug with its traceback."""
        what = f"run {run_id}" if run_id else "the worker"
        known = isinstance(error, HeadraceError) and error.code != "bug"
        message = f"{what}: {error}" if known else f"{what} failed in a way that it must not: {error!r}"
        facts = {"run": run_id or None, "code": getattr(error, "code", "bug")}
        trace = None if known else error
        self._logger.error("%s", message, exc_info=trace, extra={"facts": facts})

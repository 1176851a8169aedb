"""The command `worker`: takes queued runs until it is told to stop."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from headrace.cli.console import clean, complain, count, say
from headrace.cli.session import new_loop, opened
from headrace.domain.events import RunEvent, RunFinished, RunStarted

INTERRUPTED = 130
UNDRAINED = 3


def register(app: typer.Typer) -> None:
    app.command()(worker)


def worker(
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Runs at once. Default: $HEADRACE_WORKERS, else 4.", metavar="N"),
    ] = None,
) -> int:
    """Take queued runs until stopped: as many workers as you like, over a workspace in Postgres."""

    asked = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            os._exit(INTERRUPTED)  # asked twice: what was acknowledged is durable already
        asked.set()

    with opened() as app:
        app.check_keys()
        more = {} if concurrency is None else {"concurrency": concurrency}
        taking = app.worker(new_loop=new_loop, tell=_tell, broken=_complain, **more)
        before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            taking.start()
            say(f"Worker {taking.id} takes runs of {app.workspace.where}. Ctrl-C stops it.")
            asked.wait()
            say(f"Stopping: {count(len(taking.under_way), 'run')} under way. What they leave undone is queued again.")
            if taking.stop():
                return 0
            left = ", ".join(map(str, taking.under_way))
            complain(f"Not all runs ended in time: {left}. Another worker goes on with them once their lease is over.")
            return UNDRAINED
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _tell(run_id: int, event: RunEvent) -> None:
    match event:
        case RunStarted(sync=sync):
            say(f"run {run_id} of {sync}: started")
        case RunFinished(sync=sync, status=status, counts=counts, seconds=seconds, message=message):
            why = f": {clean(message)}" if message else ""
            say(f"run {run_id} of {sync}: {status}, {counts.delivered:,} delivered in {seconds:.1f} s{why}")


def _complain(run_id: int, error: BaseException) -> None:
    what = f"run {run_id}" if run_id else "the worker"
    complain(f"{what}: {type(error).__name__}: {clean(str(error))}")

"""Processes that wait for their job, since to start one takes longer than many a job. Light to import.

A command that will read a source starts one before anything else: the process comes up while the command loads.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

CHILD = "headrace.sources.duckdb_child"
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


class Spare:
    """A process that waits for the job of `duckdb_child`. When we end, it ends by itself."""

    def __init__(self) -> None:
        # The environment holds tokens and passwords that SQL of a user has no business with.
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=os.path.abspath(os.sep),  # it works in the folder that its job names
        )

    def end(self) -> None:
        """Kills it, if it lives."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


_early: list[Spare] = []


def start_early() -> None:
    """Starts one for whoever asks first."""
    _early.append(Spare())


def take() -> Spare:
    """The one that was started early, or a new one."""
    return _early.pop() if _early else Spare()


def end_early() -> None:
    """Ends what was started early and that nobody took: its memory is for others."""
    while _early:
        _early.pop().end()

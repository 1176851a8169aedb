"""Runs a command and says what it cost: wall time from start to exit, and the peak of its memory.

Memory is the proportional set summed over the command and all its children, sampled every 20 ms: a page that several
processes share is counted once, in parts. The resident set would count the interpreter and its libraries once for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
_SAMPLE_EVERY_S = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class CommandFailed(Exception):
    """A measured command, or one that prepares, ended with an exit code that was not expected."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. `printed` is the last line of standard output that is a JSON object, else empty."""

    seconds: float
    peak_mb: float
    printed: Mapping[str, Any] = field(default_factory=dict)


def run_measured(command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Sample:
    """Runs a command to its end. Raises CommandFailed, with the tail of what it said, unless it exits with 0."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=cwd, env={**os.environ, **(env or {})})
        tree = _TreeMemory(process.pid)
        tree.start()
        # Not the kernel's own peak: it counts what this process held when it forked.
        _, status = os.waitpid(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again.
        peak = tree.stop()
        said = [_read_all(stream) for stream in (out, err)]
    if process.returncode != 0:
        tail = "\n".join(text[-2000:] for text in said if text)
        raise CommandFailed(f"{' '.join(command)}\nexit code {process.returncode}\n{tail}")
    return Sample(seconds, peak / 1e6, _last_object(said[0]))


def run_together(commands: Sequence[Sequence[str]], env: Mapping[str, str] | None = None) -> list[Sample]:
    """Runs commands side by side, each measured, and gives the samples in the order of the commands."""
    samples: dict[int, Sample] = {}
    faults: list[CommandFailed] = []

    def run_one(place: int) -> None:
        try:
            samples[place] = run_measured(commands[place], env)
        except CommandFailed as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run_one, args=(place,)) for place in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return [samples[place] for place in range(len(commands))]


def alternate(times: int, *runners: Callable[[], Sample]) -> list[list[Sample]]:
    """Runs each in turn, so many times round, so that ours and the baselines share the same minutes."""
    samples: list[list[Sample]] = [[] for _ in runners]
    for _ in range(times):
        for taken, run_one in zip(samples, runners, strict=True):
            taken.append(run_one())
    return samples


def median_seconds(samples: Sequence[Sample]) -> float:
    return median(sample.seconds for sample in samples)


def peak_mb(samples: Sequence[Sample]) -> float:
    """The worst of them: memory is a promise, not an average."""
    return max(sample.peak_mb for sample in samples)


def python(*arguments: str | Path) -> list[str]:
    """The command that runs this interpreter with these arguments."""
    return [sys.executable, *(str(argument) for argument in arguments)]


class _TreeMemory(threading.Thread):
    """Watches the memory of a process and everything under it, and keeps the peak, in bytes.

    The kernel walks every page to tell a proportional set, and holds the process up meanwhile. So the resident set is
    looked at, and the proportional one is asked for only when that has grown by a hundredth.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self._peak = 0
        self._resident = 0

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_EVERY_S):
            pids = list(_tree(self._pid))
            resident = sum(map(_resident_bytes, pids))
            if resident > self._resident * 1.01:
                self._resident = resident
                self._peak = max(self._peak, sum(map(_proportional_bytes, pids)))

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return self._peak


def _tree(pid: int) -> Iterator[int]:
    """The process and everything under it, as far as it is still there."""
    yield pid
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _tree(int(child))


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:  # it has just ended
        return 0


def _proportional_bytes(pid: int) -> int:
    """Linux only. 0 for a process that has just ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _read_all(stream: Any) -> str:
    stream.seek(0)
    return str(stream.read(), errors="replace")


def _last_object(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        with contextlib.suppress(json.JSONDecodeError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {}

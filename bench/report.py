"""Lines of measures as a Markdown table for people and as JSON for later."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil

from bench.measure import RESULTS, Sample


@dataclass(frozen=True, slots=True)
class Goal:
    """What we promised of a measure, in words, and whether it held."""

    words: str
    held: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table. `samples` holds every run behind it, by who ran."""

    measure: str
    ours: str
    baseline: str
    ratio: str
    memory: str
    goals: Sequence[Goal]
    samples: dict[str, Sequence[Sample]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def render_markdown(lines: Sequence[Line], times: int, quick: bool) -> str:
    """The page of docs: where and how it was measured, then the table."""
    rows = [
        "| measure | Headrace | baseline | ratio | peak memory | goal |",
        "|---|---|---|---|---|---|",
        *(_row(line, judged=not quick) for line in lines),
    ]
    return "\n".join([_HEAD.format(where=_where(), how=_how(times, quick)), *rows, "", _FOOT])


def write_raw(lines: Sequence[Line]) -> str:
    """Keeps every sample under bench/results and gives the path."""
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    RESULTS.mkdir(parents=True, exist_ok=True)
    measured = {"at": now.isoformat(), "machine": _where(), "lines": [asdict(line) for line in lines]}
    path.write_text(json.dumps(measured, indent=1, default=str))
    return str(path)


def _row(line: Line, judged: bool) -> str:
    goals = "<br>".join(f"{'✓' if goal.held else '✗ missed:'} {goal.words}" for goal in line.goals)
    if not judged:
        goals = "not judged"
    return f"| {line.measure} | {line.ours} | {line.baseline} | {line.ratio} | {line.memory} | {goals} |"


def _where() -> str:
    gigabytes = round(psutil.virtual_memory().total / 2**30)
    versions = ", ".join(f"{name} {version(name)}" for name in ("headrace", "duckdb", "pycurl", "aiohttp", "uvloop"))
    return f"{os.cpu_count()} CPUs, {gigabytes} GB, Python {platform.python_version()}, {versions}"


def _how(times: int, quick: bool) -> str:
    if quick:
        return "A quick pass: small sizes, each once. Not for comparison."
    return f"Median of {times} runs each, ours and the baseline taking turns."


_HEAD = """# Benchmarks

Measured on {where}.
{how}
Times are of the whole process, from start to exit, interpreter and imports included.
Memory is the proportional set (Pss) of the process and all its children at one moment, a page that they share counted once; sampled every 20 ms, the worst of the runs.
Repeat with `make bench`, or a part of it with `python -m bench --only diff,send`.
"""  # noqa: E501 - one sentence a line

_FOOT = """Baselines:

- *bare DuckDB*: a script that hashes the ten columns of every row and full-outer-joins them with a table of key and hash, memory_limit 1 GB.
- *bare loop*: aiohttp on uvloop that puts ready-made bodies, 32 at once, and does nothing else. Its requests are those of the run: PUT, an address for each record, the same headers, bodies of the same fields.
- *bare batches*: the same with ready-made batches of a hundred messages of the same fields, 4 at once.
- *drt-core 1.2.1*: its DuckDB source and REST API destination, one request a row.
- *bare SQLite*: the same outcomes, without their calls, by `executemany` in transactions of 500 rows.
- *allowed*: what the server's limit lets through; the rate used is scored by the times at which the server accepted requests.
"""  # noqa: E501 - one sentence a line

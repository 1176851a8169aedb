"""The measure of the record alone: outcomes of batches, onto the disk."""

from __future__ import annotations

from statistics import median

from bench.measure import alternate, peak_mb, python, run_measured
from bench.report import Goal, Line

_LEAST_ROWS_PER_S = 40_000
_MOST_ON_LOOP_US = 4.0


def measure_record(rows: int, times: int) -> Line:
    """Outcomes of a hundred rows a call through the recorder, beside bare SQLite row by row."""
    command = python("-m", "bench.record", "--rows", str(rows))
    ours, bare = alternate(times, lambda: run_measured(command), lambda: run_measured([*command, "--bare"]))
    # The work alone: the start of the process and its empty workspace are no part of what is asked here.
    rate = rows / median(sample.printed["seconds"] for sample in ours)
    bare_rate = rows / median(sample.printed["seconds"] for sample in bare)
    on_loop_us = median(sample.printed["loop_us"] for sample in ours)
    return Line(
        measure=f"{rows:,} outcomes of 100 a call, onto the disk; no HTTP",
        ours=f"{rate:,.0f} rows/s, {on_loop_us:.1f} µs a row on the loop",
        baseline=f"bare SQLite, row by row {bare_rate:,.0f} rows/s",
        ratio=f"{rate / bare_rate:.2f}",
        memory=f"{peak_mb(ours):,.0f} MB",
        goals=[
            Goal(f"{_LEAST_ROWS_PER_S:,} rows/s", rate >= _LEAST_ROWS_PER_S),
            Goal(f"at most {_MOST_ON_LOOP_US:g} µs a row on the loop", on_loop_us <= _MOST_ON_LOOP_US),
        ],
        samples={"headrace": ours, "bare_sqlite": bare},
    )

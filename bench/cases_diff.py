"""Measures of a run that finds nothing to do."""

from __future__ import annotations

from bench.measure import RESULTS, Sample, alternate, median_seconds, peak_mb, python, run_measured
from bench.project import make_project
from bench.report import Goal, Line
from bench.tables import make_source

# What an unchanged run may hold in memory, in MB, by rows, with the default memory_limit of 1 GB.
_MEMORY_MB = {10_000_000: 1500, 1_000_000: 400}
_MOST_TIMES_BARE = 1.5


def measure_unchanged(rows: int, times: int) -> Line:
    """An unchanged run over that many rows of ten columns, beside the bare DuckDB script."""
    source = make_source(RESULTS / f"source-{rows}.duckdb", rows)
    ledger = RESULTS / f"bare-ledger-{rows}.duckdb"
    run_measured(python("-m", "bench.bare_diff", "--prepare", source, ledger))
    # Nothing may be sent: nobody listens there.
    project = make_project(f"unchanged-{rows}", "http://127.0.0.1:9", {"accounts": source})
    project.take_as_baseline("accounts")

    def run_ours() -> Sample:
        sample = project.run("accounts")
        assert sample.printed.get("unchanged") == rows, sample.printed
        assert sample.printed.get("requests") == 0, sample.printed
        return sample

    ours, bare = alternate(times, run_ours, lambda: run_measured(python("-m", "bench.bare_diff", source, ledger)))
    ratio = median_seconds(ours) / median_seconds(bare)
    goals = [Goal(f"under {_MEMORY_MB[rows]:,} MB", peak_mb(ours) < _MEMORY_MB[rows])]
    if rows >= 10_000_000:
        goals.insert(0, Goal(f"at most {_MOST_TIMES_BARE} times bare DuckDB", ratio <= _MOST_TIMES_BARE))
    return Line(
        measure=f"Unchanged run, {rows:,} rows of 10 columns",
        ours=f"{median_seconds(ours):.2f} s",
        baseline=f"bare DuckDB {median_seconds(bare):.2f} s",
        ratio=f"{ratio:.2f}",
        memory=f"{peak_mb(ours):,.0f} MB (bare {peak_mb(bare):,.0f})",
        goals=goals,
        samples={"headrace": ours, "bare_duckdb": bare},
    )

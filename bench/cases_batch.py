"""Measures of batches: a first sync of analytics objects, a hundred a request, all recorded; and with Liquid in it."""

from __future__ import annotations

from bench.measure import RESULTS, Sample, alternate, median_seconds, peak_mb, python, run_measured
from bench.project import ANALYTICS_SYNC, ANALYTICS_SYNC_WITH_LIQUID, make_project
from bench.report import Goal, Line
from bench.servers import ask, sink
from bench.tables import make_source

BATCH = 100
_MOST_UNDER_WAY = 4


def measure_batches(rows: int, times: int) -> Line:
    """New rows as analytics objects against a sink that answers at once."""
    words = f"{rows:,} new rows as analytics objects, {BATCH} a request, every call and outcome on disk"
    return _measure("batches", words, ANALYTICS_SYNC, rows, times, goal=40_000, most_mb=600)


def measure_liquid(rows: int, times: int) -> Line:
    """The same with one field that is a Liquid template."""
    words = f"{rows:,} new rows as analytics objects, one field a Liquid template"
    return _measure("liquid", words, ANALYTICS_SYNC_WITH_LIQUID, rows, times, goal=15_000, most_mb=600)


def _measure(name: str, words: str, sync: str, rows: int, times: int, *, goal: int, most_mb: int) -> Line:
    ours, bare = _take_turns(name, sync, rows, times)
    rate, bare_rate = rows / median_seconds(ours), rows / median_seconds(bare)
    return Line(
        measure=words,
        ours=f"{rate:,.0f} rows/s",
        baseline=f"bare batches {bare_rate:,.0f} rows/s",
        ratio=f"{rate / bare_rate:.2f} of bare",
        memory=f"{peak_mb(ours):,.0f} MB",
        goals=[Goal(f"{goal:,} rows/s", rate >= goal), Goal(f"under {most_mb} MB", peak_mb(ours) < most_mb)],
        samples={"headrace": ours, "bare_batches": bare},
    )


def _take_turns(name: str, sync: str, rows: int, times: int) -> list[list[Sample]]:
    """Samples of ours, each of a new workspace, and of the bare loop, taken in turns."""
    source = make_source(RESULTS / f"source-{rows}.duckdb", rows)
    with sink() as url:

        def run_ours() -> Sample:
            project = make_project(name, url, {"accounts": source}, sync=sync)
            before = ask(f"{url}/count")["count"]
            sample = project.run("accounts")
            requests = ask(f"{url}/count")["count"] - before
            assert (sample.printed.get("delivered"), requests) == (rows, -(-rows // BATCH)), sample.printed
            return sample

        def run_bare() -> Sample:
            loop = ("--url", url, "--batches", str(-(-rows // BATCH)), "--concurrency", str(_MOST_UNDER_WAY))
            return run_measured(python("-m", "bench.bare_batches", *loop))

        return alternate(times, run_ours, run_bare)

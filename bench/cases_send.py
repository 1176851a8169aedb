"""Measures of sending: one REST request a row against a bare sink, fast and slow, and a first sync."""

from __future__ import annotations

from pathlib import Path

from bench import drt
from bench.measure import RESULTS, Sample, alternate, median_seconds, peak_mb, python, run_measured
from bench.project import Project, make_project
from bench.report import Goal, Line
from bench.servers import ask, emulator, journal, seed_accounts, sink
from bench.tables import change_every_row, make_source

_CONCURRENCY = 32


def measure_send(rows: int, times: int, with_drt: bool) -> Line:
    """Changed rows, one request each, against a sink that answers at once."""
    with sink() as url:
        ours, bare, peer = _take_turns("send", url, rows, times, rows if with_drt else 0)
    rate, bare_rate = rows / median_seconds(ours), rows / median_seconds(bare)
    return Line(
        measure=f"{rows:,} changed rows, one request each, every call and outcome on disk",
        ours=f"{rate:,.0f} rows/s",
        baseline=_join_baselines(f"bare loop {bare_rate:,.0f}/s", peer, rows),
        ratio=_join_ratios(f"{rate / bare_rate:.2f} of bare", rate, peer, rows),
        memory=f"{peak_mb(ours):,.0f} MB",
        goals=[
            Goal("3,000 rows/s", rate >= 3000),
            Goal("60 % of the bare loop", rate / bare_rate >= 0.6),
            Goal("under 200 MB", peak_mb(ours) < 200),
        ],
        samples={"headrace": ours, "bare_loop": bare, "drt": peer},
    )


def measure_slow_server(rows: int, times: int, with_drt: bool, delay_ms: int = 50) -> Line:
    """Changed rows against a sink that answers late: what counts is how many requests are under way at once."""
    drt_rows = min(rows, 500)  # A minute's worth of patience; the rate does not depend on the number.
    with sink(delay_ms) as url:
        ours, bare, peer = _take_turns("slow", url, rows, times, drt_rows if with_drt else 0)
    rate, bare_rate = rows / median_seconds(ours), rows / median_seconds(bare)
    return Line(
        measure=f"{rows:,} changed rows, a server that takes {delay_ms} ms",
        ours=f"{median_seconds(ours):.1f} s ({rate:,.0f} rows/s)",
        baseline=_join_baselines(f"bare loop {median_seconds(bare):.1f} s ({bare_rate:,.0f}/s)", peer, drt_rows),
        ratio=_join_ratios(f"{rate / bare_rate:.2f} of bare", rate, peer, drt_rows),
        memory=f"{peak_mb(ours):,.0f} MB",
        goals=[Goal("under 20 s", median_seconds(ours) < 20)],
        samples={"headrace": ours, "bare_loop": bare, "drt": peer},
    )


def measure_first_sync(rows: int, times: int) -> Line:
    """A first sync of accounts of which half exist already: requests a row, look-ups included."""
    source = make_source(RESULTS / f"source-{rows}.duckdb", rows)
    ours, asked = [], []
    for _ in range(times):
        with emulator("1000000/1") as url:
            seed_accounts(url, [str(number) for number in range(1, rows + 1, 2)])
            project = make_project("first", url, {"accounts": source})
            sample = project.run("accounts")
            assert sample.printed.get("delivered") == rows, sample.printed
            held = ask(f"{url}/emulator/state?kind=accounts")["counts"]["accounts"]
            assert held == rows, f"the emulator holds {held} accounts"
            ours.append(sample)
            asked.append(len(journal(url)))
    a_row = max(asked) / rows
    return Line(
        measure=f"First sync of {rows:,} accounts, half of which exist",
        ours=f"{a_row:.3f} requests a row ({median_seconds(ours):.1f} s)",
        baseline="1 request a row is the least",
        ratio=f"{a_row:.3f}",
        memory=f"{peak_mb(ours):,.0f} MB",
        goals=[Goal("at most 1.03 requests a row", a_row <= 1.03)],
        samples={"headrace": ours},
        facts={"requests_by_journal": asked},
    )


def make_changed_project(name: str, url: str, first_by_sync: dict[str, int], rows: int, rate_limit: str) -> Project:
    """A project whose syncs have that many rows each, ids counting from `first`, all acknowledged and then changed."""
    project, sources = _make_acknowledged(name, url, first_by_sync, rows, rate_limit)
    for source in sources.values():
        change_every_row(source)
    return project


def _make_acknowledged(
    name: str, url: str, first_by_sync: dict[str, int], rows: int, rate_limit: str = "none"
) -> tuple[Project, dict[str, Path]]:
    sources = {}
    for sync, first in first_by_sync.items():
        path = RESULTS / f"{name}-{sync}.duckdb"
        path.unlink(missing_ok=True)
        sources[sync] = make_source(path, rows, first)
    project = make_project(name, url, sources, rate_limit)
    project.take_as_baseline(*sources)
    return project, sources


def _take_turns(name: str, url: str, rows: int, times: int, drt_rows: int) -> list[list[Sample]]:
    """Samples of ours, of the bare loop, and of drt (none where it is given no rows), taken in turns."""
    project, sources = _make_acknowledged(name, url, {"accounts": 1}, rows)

    def run_ours() -> Sample:
        change_every_row(sources["accounts"])
        before = ask(f"{url}/count")["count"]
        sample = project.run("accounts")
        written = ask(f"{url}/count")["count"] - before
        assert (sample.printed.get("delivered"), written) == (rows, rows), f"{written} requests came: {sample.printed}"
        return sample

    def run_bare() -> Sample:
        loop = ("-m", "bench.bare_loop", "--url", url, "--count", str(rows), "--concurrency", str(_CONCURRENCY))
        return run_measured(python(*loop))

    if not drt_rows:
        return [*alternate(times, run_ours, run_bare), []]
    drt.install()
    return alternate(times, run_ours, run_bare, lambda: drt.run(sources["accounts"], url, drt_rows))


def _join_baselines(bare: str, peer: list[Sample], rows: int) -> str:
    if not peer:
        return bare
    return f"{bare}<br>drt-core {drt.VERSION} {rows / median_seconds(peer):,.0f} rows/s (of {rows:,} rows)"


def _join_ratios(bare: str, rate: float, peer: list[Sample], rows: int) -> str:
    if not peer:
        return bare
    return f"{bare}<br>{rate / (rows / median_seconds(peer)):.1f} times drt-core"

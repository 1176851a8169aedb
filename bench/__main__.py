"""`python -m bench`: runs the measures, prints the Markdown table, keeps every sample under bench/results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.cases_batch import measure_batches, measure_liquid
from bench.cases_diff import measure_unchanged
from bench.cases_limit import measure_limit
from bench.cases_record import measure_record
from bench.cases_send import measure_first_sync, measure_send, measure_slow_server
from bench.measure import CommandFailed
from bench.report import Line, render_markdown, write_raw

Measure = Callable[[], Line]


def plan_measures(quick: bool, times: int, with_drt: bool) -> dict[str, list[Measure]]:
    """The measures by the name that `--only` takes, in the order they run."""
    if quick:
        return {
            "diff": [lambda: measure_unchanged(1_000_000, times)],
            "send": [lambda: measure_send(2_000, times, with_drt)],
            "slow": [lambda: measure_slow_server(1_000, times, with_drt)],
            "limit": [lambda: measure_limit(300, 1, times), lambda: measure_limit(300, 2, times)],
            "first": [lambda: measure_first_sync(1_000, times)],
            "record": [lambda: measure_record(50_000, times)],
            "batch": [lambda: measure_batches(50_000, times), lambda: measure_liquid(20_000, times)],
        }
    return {
        "diff": [lambda: measure_unchanged(10_000_000, times), lambda: measure_unchanged(1_000_000, times)],
        "send": [lambda: measure_send(20_000, times, with_drt)],
        "slow": [lambda: measure_slow_server(10_000, times, with_drt)],
        "limit": [lambda: measure_limit(1_000, 1, times), lambda: measure_limit(1_000, 2, times)],
        "first": [lambda: measure_first_sync(5_000, times)],
        "record": [lambda: measure_record(1_000_000, times)],
        "batch": [lambda: measure_batches(1_000_000, times), lambda: measure_liquid(200_000, times)],
    }


def take_measures(measures: list[Measure], faults: list[Exception]) -> Iterator[Line]:
    """Each line as it is measured; a measure that fails is told and counted, and the others go on."""
    for measure in measures:
        try:
            line = measure()
        except (CommandFailed, AssertionError, OSError) as fault:
            print(f"failed: {fault}", file=sys.stderr)
            faults.append(fault)
            continue
        print(f"{line.measure}: {line.ours}; {line.baseline}", file=sys.stderr)
        yield line


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help="a part, or several with commas: diff, send, slow, limit, first, record, batch")
    parser.add_argument("--quick", action="store_true", help="small sizes, each once: to see that the bench works")
    parser.add_argument("--times", type=int, default=3, help="repeats of each measure (default 3)")
    parser.add_argument("--without-drt", action="store_true", help="leave out the peer: nothing is installed")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the Markdown there too")
    given = parser.parse_args()
    times = 1 if given.quick else given.times
    parts = plan_measures(given.quick, times, not given.without_drt)
    wanted = given.only.split(",") if given.only else list(parts)
    unknown = set(wanted) - set(parts)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")

    faults: list[Exception] = []
    lines = list(take_measures([measure for name in wanted for measure in parts[name]], faults))

    page = render_markdown(lines, times, given.quick)
    print(page)
    print(f"Every sample: {write_raw(lines)}", file=sys.stderr)
    if given.write:
        given.write.write_text(page, encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

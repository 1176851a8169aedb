"""Measures of the rate limit: how much of what the server allows is used, and whether it ever has to say no."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import Any

from bench.cases_send import make_changed_project
from bench.measure import Sample, peak_mb
from bench.report import Goal, Line
from bench.servers import emulator, journal, seed_accounts

LIMIT, WINDOW_S = 100, 6.0
_RATE_LIMIT = f"{{requests: {LIMIT}, per_seconds: {WINDOW_S:g}}}"
_LEAST_USED = 0.97


def measure_limit(rows: int, processes: int, times: int) -> Line:
    """Changed rows under a limit of 100 requests in 6 s, by one process or by several on one workspace."""
    samples: list[Sample] = []
    used: list[float] = []
    refused = 0
    for _ in range(times):
        with emulator(f"{LIMIT}/{WINDOW_S:g}") as url:
            taken, entries = _run_once(url, rows, processes)
        samples += taken
        accepted = [entry for entry in entries if entry["status"] != 429]
        refused += len(entries) - len(accepted)
        used.append(rate_used([datetime.fromisoformat(entry["at"]).timestamp() for entry in accepted]))
    who = "one process" if processes == 1 else f"{processes} processes, one credential"
    return Line(
        measure=f"{rows:,} changed rows under a limit of {LIMIT} in {WINDOW_S:g} s, {who}",
        ours=f"{median(used):.1%} of the allowed rate, {refused} refused (429)",
        baseline=f"allowed {LIMIT / WINDOW_S:.1f}/s",
        ratio=f"{median(used):.3f}",
        memory=f"{peak_mb(samples):,.0f} MB" + (" each" if processes > 1 else ""),
        goals=[
            Goal(f"at least {_LEAST_USED:.0%} of the allowed rate", median(used) >= _LEAST_USED),
            Goal("no 429 of our own making", refused == 0),
        ],
        samples={"headrace": samples},
        facts={"used": used, "refused": refused},
    )


def rate_used(accepted_at_s: list[float]) -> float:
    """The share of the allowed rate that was used, from the instants at which the server accepted.

    At full use every request comes one window after the one that is LIMIT places before it; the share is the window
    over the mean of these spans. It does not matter whether the run ends at the border of a window.
    """
    spans = [later - earlier for earlier, later in zip(accepted_at_s, accepted_at_s[LIMIT:], strict=False)]
    return WINDOW_S * len(spans) / sum(spans)


def _run_once(url: str, rows: int, processes: int) -> tuple[list[Sample], list[dict[str, Any]]]:
    each = rows // processes
    seed_accounts(url, [str(number) for number in range(1, rows + 1)])
    firsts = {f"accounts-{number}": 1 + number * each for number in range(processes)}
    project = make_changed_project(f"limit-{processes}", url, firsts, each, _RATE_LIMIT)
    samples = project.run_side_by_side(list(firsts))
    for sample in samples:
        assert sample.printed.get("delivered") == each, sample.printed
    return samples, journal(url)

"""Small pieces for the tests of the store: records with defaults, and other processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace.domain.outcome import Change, RowOutcome, VerdictWord
from headrace.engine.ports import CallRecord, OutcomeRecord

on_sqlite = pytest.mark.parametrize("where", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("where", ["postgres"], indirect=True)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def call(number: int, *keys: str, **other: Any) -> CallRecord:
    values: dict[str, Any] = {
        "number": number,
        "at": NOON,
        "api": "rest",
        "purpose": "upsert account",
        "method": "POST",
        "url": "https://rest.vitally.io/resources/accounts",
        "request_headers": {"Authorization": "***"},
        "request_body": b'{"name":"Acme"}',
        "status": 200,
        "response_headers": {"RateLimit-Remaining": "999"},
        "response_body": b'{"id":"v-1"}',
        "duration_ms": 12.5,
        "waited_ms": 0.0,
        "attempt": 1,
        "verdict": VerdictWord.DELIVERED,
        "reason": "200",
        "keys": keys,
    }
    return CallRecord(**(values | other))


def outcome(key: str, position: int | None = 0, **other: Any) -> OutcomeRecord:
    values: dict[str, Any] = {"change": Change.ADDED, "operation": "upsert", "outcome": RowOutcome.DELIVERED}
    return OutcomeRecord(key, position, **(values | other))


def start_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process of ours, its output as text lines."""
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    )


RACE = """
import os
import sys

def race(racers, attempt):
    gate, lock = os.pipe()
    for _ in range(racers):
        if os.fork() == 0:
            os.close(lock)
            os.read(gate, 1)
            os.write(1, f"{attempt()}\\n".encode())
            os._exit(0)
    os.close(lock)
    for _ in range(racers):
        os.wait()
"""


def race_processes(racers: int, setup: str, *arguments: object) -> list[str]:
    """What the processes answer that run `attempt` of `setup` at the same moment, sorted."""
    script = f"{RACE}\n{textwrap.dedent(setup)}\nrace({racers}, attempt)"
    return sorted(start_python(script, *arguments).communicate()[0].splitlines())

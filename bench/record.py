"""What the record costs: outcomes through the run's recorder onto the disk, as a run of batches would give them.

No source, no mapping, no HTTP. A hundred outcomes belong to one call, and the loop is given back after each such batch.
`--bare` is the baseline: the same outcomes, without their calls, by `executemany` in transactions of 500 rows.
Prints `{"seconds": ..., "outcomes": ..., "loop_us": ...}`; `loop_us` is the processor time a row on the loop's thread.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench.measure import RESULTS
from headrace.domain.outcome import Change, Counts, RowOutcome, VerdictWord
from headrace.engine.ports import CallRecord, OutcomeRecord
from headrace.engine.recorder import Recorder
from headrace.store import sqlite
from headrace.store.runs import NewRun
from headrace.store.workspace import Workspace

BATCH = 100
_BARE_GROUP = 500
_BODY = b'{"batch":[' + b",".join([b'{"type":"account","externalId":"1","traits":{"plan":"growth"}}'] * BATCH) + b"]}"
_HEADERS = {"Content-Type": "application/json", "Authorization": "***"}


async def record_outcomes(recorder: Recorder, rows: int) -> float:
    """Records that many delivered rows and gives the seconds until the last is durable."""
    started = time.perf_counter()
    for first in range(0, rows, BATCH):
        keys = [str(number) for number in range(first, min(first + BATCH, rows))]
        number = recorder.next_number()
        recorder.call(_call(number, keys))
        recorder.outcomes(
            [
                OutcomeRecord(
                    key, place, Change.CHANGED, "upsert", RowOutcome.DELIVERED, None, None, None, None, number
                )
                for place, key in enumerate(keys, first)
            ]
        )
        await asyncio.sleep(0)
    recorder.flush()
    return time.perf_counter() - started


def insert_bare(connection: Any, run_id: int, rows: int) -> float:
    """Inserts the same outcomes row by row, nothing else, and gives the seconds until the last is durable."""
    insert = (
        "INSERT INTO outcomes (run_id, key, position, change, operation, outcome, call) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    started = time.perf_counter()
    for first in range(0, rows, _BARE_GROUP):
        numbers = range(first, min(first + _BARE_GROUP, rows))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            insert, [(run_id, str(number), number, "changed", "upsert", "delivered", number) for number in numbers]
        )
        connection.execute("COMMIT")
    return time.perf_counter() - started


def _call(number: int, keys: list[str]) -> CallRecord:
    return CallRecord(
        number=number,
        at=datetime.now(UTC),
        api="analytics",
        purpose="deliver",
        method="POST",
        url="https://api.vitally.io/analytics/v1/batch",
        request_headers=_HEADERS,
        request_body=_BODY,
        status=200,
        response_headers={"content-type": "application/json"},
        response_body=b'{"message":"Success."}',
        duration_ms=20.0,
        waited_ms=0.0,
        attempt=1,
        verdict=VerdictWord.DELIVERED,
        reason="acknowledged",
        keys=keys,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Records outcomes as fast as the recorder and the disk can.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bare", action="store_true", help="only SQLite, row by row")
    given = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=RESULTS) as folder,
        Workspace.open(Path(folder) / "workspace", create=True) as workspace,
    ):
        run = workspace.runs.create(NewRun("accounts", "accounts"))
        on_loop = time.thread_time()
        if given.bare:
            connection = sqlite.connect(workspace.store_path)
            seconds = insert_bare(connection, run.id, given.rows)
            connection.close()
        else:
            with workspace.run_log(run.id, "bench") as log:
                recorder = Recorder(log, Counts())
                try:
                    seconds = uvloop.run(record_outcomes(recorder, given.rows))
                finally:
                    recorder.close()
        on_loop = time.thread_time() - on_loop
        with workspace.database.read() as reading:
            kept = reading.exec_driver_sql("SELECT count(*) FROM outcomes").scalar()
        assert kept == given.rows, f"{kept} outcomes are on the disk"
    told = {"seconds": round(seconds, 4), "outcomes": given.rows, "loop_us": round(on_loop / given.rows * 1e6, 2)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()

"""The baseline of an unchanged run: the bare DuckDB script that hashes the source and joins it with key and hash.

`--prepare` writes the ledger-like table of (key, hash) into a second file. Without it the script is measured: it hashes
ten columns of every row, full-outer-joins, counts what differs, and prints `{"seconds": ..., "changed": ...}`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import duckdb

from bench.tables import COLUMNS

_HASH = f"hash({', '.join(COLUMNS)})"

_DIFF = f"""
SELECT count(*) FILTER (ledger.key IS NULL)                            AS added,
       count(*) FILTER (current.account_id IS NULL)                    AS removed,
       count(*) FILTER (current.row_hash IS DISTINCT FROM ledger.hash) AS changed
FROM (SELECT account_id, {_HASH} AS row_hash FROM source.accounts) AS current
FULL OUTER JOIN ledger ON ledger.key = current.account_id
"""


def prepare_ledger(source: Path, ledger: Path) -> None:
    """Writes key and hash of every row of the source; kept when it is there."""
    if ledger.exists():
        return
    with _open(source, ledger) as connection:
        connection.execute(f"CREATE TABLE ledger AS SELECT account_id AS key, {_HASH} AS hash FROM source.accounts")


def diff(source: Path, ledger: Path) -> dict[str, int]:
    """How many rows were added, removed, and differ in any way (added and removed included)."""
    with _open(source, ledger) as connection:
        row = connection.execute(_DIFF).fetchone()
    assert row is not None
    return dict(zip(("added", "removed", "changed"), row, strict=True))


def _open(source: Path, ledger: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(ledger), config={"memory_limit": "1GB", "temp_directory": f"{ledger}.tmp"})
    connection.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description="The bare DuckDB diff of a source with a table of keys and hashes.")
    parser.add_argument("source", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--prepare", action="store_true")
    given = parser.parse_args()
    if given.prepare:
        prepare_ledger(given.source, given.ledger)
        return
    started = time.perf_counter()
    counts = diff(given.source, given.ledger)
    print(json.dumps({"seconds": round(time.perf_counter() - started, 4), **counts}))


if __name__ == "__main__":
    main()

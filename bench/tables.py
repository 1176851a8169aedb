"""Makes the DuckDB files that measures read: accounts of ten columns, as many rows as asked, the same everywhere."""

from __future__ import annotations

from pathlib import Path

import duckdb

COLUMNS = ("account_id", "name", "org_id", "plan", "seats", "mrr", "renewal", "seen", "active", "region")

_MAKE = """
CREATE TABLE accounts AS
SELECT i::BIGINT                                                              AS account_id,
       'Account ' || i                                                        AS name,
       'org-' || (hash(i) % 50_000)                                           AS org_id,
       ['free', 'starter', 'growth', 'business', 'enterprise'][1 + i % 5]     AS plan,
       (hash(i + 1) % 500)::INTEGER                                           AS seats,
       (hash(i + 2) % 1_000_000) / 100.0::DOUBLE                              AS mrr,
       DATE '2026-01-01' + (hash(i + 3) % 700)::INTEGER                       AS renewal,
       TIMESTAMP '2026-01-01' + to_seconds((hash(i + 4) % 20_000_000)::BIGINT) AS seen,
       i % 7 <> 0                                                             AS active,
       ['emea', 'amer', 'apac', 'latam'][1 + (hash(i + 5) % 4)::INTEGER]      AS region
FROM range($first, $first + $rows) AS numbers(i)
"""


def make_source(path: Path, rows: int, first: int = 1) -> Path:
    """Writes a file with a table `accounts` of that many rows, ids counting from `first`; kept when it is there."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".making")
    unfinished.unlink(missing_ok=True)
    with duckdb.connect(str(unfinished)) as connection:
        connection.execute(_MAKE, {"rows": rows, "first": first})
    unfinished.rename(path)
    return path


def change_every_row(path: Path) -> None:
    """Gives every account one more seat: one mapped column differs, so every row counts as changed."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE accounts SET seats = seats + 1")

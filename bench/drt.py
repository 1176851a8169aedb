"""drt-core, a peer, in an environment of its own: DuckDB source, REST API destination, one request a row."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bench.measure import RESULTS, Sample, run_measured

VERSION = "1.2.1"
_VENV = RESULTS / "drt-venv"

_PROFILE = """\
bench:
  type: duckdb
  database: {source}
"""

_PROJECT = """\
name: bench
version: "0.1"
profile: bench
"""

# Its own rate limit is 10 requests a second unless told; a big batch spares it a new client for every 100 rows.
_SYNC = """\
name: accounts
model: SELECT {columns} FROM accounts LIMIT {rows}
destination:
  type: rest_api
  url: {url}/resources/accounts
  method: POST
  headers: {{Content-Type: application/json}}
sync:
  mode: full
  batch_size: 5000
  rate_limit: {{requests_per_second: 1000000}}
  on_error: skip
"""

# Dates as text: its JSON does not take them as they are.
_COLUMNS = (
    'account_id::VARCHAR AS "externalId", name, org_id, plan, seats, mrr, '
    "renewal::VARCHAR AS renewal, seen::VARCHAR AS seen, active, region"
)


def install() -> None:
    """Makes the environment and installs drt-core from the package index that pip is set up for, once."""
    if (_VENV / "bin" / "drt").exists():
        return
    run_measured([sys.executable, "-m", "venv", str(_VENV)])
    run_measured([str(_VENV / "bin" / "pip"), "install", "--quiet", f"drt-core[duckdb]=={VERSION}"])


def run(source: Path, url: str, rows: int) -> Sample:
    """One measured run that posts `rows` accounts of the source to the sink. Its state is not kept between runs."""
    folder = RESULTS / "projects" / "drt"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "syncs").mkdir(parents=True)
    (folder / ".drt").mkdir()
    (folder / ".drt" / "profiles.yml").write_text(_PROFILE.format(source=source))
    (folder / "drt_project.yml").write_text(_PROJECT)
    (folder / "syncs" / "accounts.yml").write_text(_SYNC.format(columns=_COLUMNS, rows=rows, url=url))
    path = f"{_VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return run_measured([str(_VENV / "bin" / "drt"), "run"], {"HOME": str(folder), "PATH": path}, cwd=folder)

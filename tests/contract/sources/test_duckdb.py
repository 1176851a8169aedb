"""What holds for DuckDB files alone: the planner's SELECT in the source, and a file that others use too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from headrace.domain.errors import SourceError
from headrace.sources import Query, Source, open_source

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE late AS SELECT 1 AS a")
print("held", flush=True)
sys.stdin.read()
"""
CRASH = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO accounts VALUES (99, 'in the log')")
os._exit(9)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE accounts AS SELECT range AS id, 'name ' || range AS name FROM range(10)")
        connection.execute("CREATE TABLE model AS SELECT 7 AS id")
        connection.execute("CREATE TABLE keys AS SELECT 8 AS id")
        connection.execute("CREATE SCHEMA crm")
        connection.execute("CREATE VIEW crm.deals AS SELECT id FROM accounts")
    return path


def opened(file: Path, **settings: object) -> Source:
    (file.parent / "scratch").mkdir(exist_ok=True)
    return open_source("duckdb", {"path": str(file), **settings}, str(file.parent / "scratch"))


def rows(source: Source, query: Query, **wanted: object) -> dict[str, list[object]]:
    with source.read(query, **wanted) as reader:
        return reader.read_all().to_pydict()


def test_a_select_over_model_runs_in_the_source(file: Path):
    """The planner asks for keys and hashes of all rows first, and only then for the rows that it needs."""
    select = "SELECT id, hash(name) AS digest FROM model WHERE id < 2 ORDER BY id"

    with duckdb.connect() as connection:
        own = connection.sql("SELECT hash('name 0'), hash('name 1')").fetchall()[0]

    assert rows(opened(file), Query(table="accounts"), select=select) == {"id": [0, 1], "digest": list(own)}


def test_rows_are_fetched_by_their_keys(file: Path):
    keys = pa.table({"id": pa.array([3, 5, 77], pa.int64())})

    found = rows(
        opened(file),
        Query(sql="SELECT * FROM accounts;"),
        select="SELECT model.* FROM model JOIN keys USING (id) ORDER BY id",
        keys=keys,
    )

    assert found == {"id": [3, 5], "name": ["name 3", "name 5"]}


def test_a_user_s_tables_may_be_named_model_and_keys(file: Path):
    source = opened(file)
    keys = pa.table({"id": pa.array([8], pa.int64())})

    assert rows(source, Query(sql="SELECT id FROM model"), select="SELECT id FROM model") == {"id": [7]}
    assert rows(source, Query(sql="SELECT id FROM keys"), select="SELECT id FROM model", keys=keys) == {"id": [8]}
    assert rows(source, Query(table="model")) == {"id": [7]}


def test_tables_of_other_schemas_and_the_file_s_own_name_are_found(file: Path):
    source = opened(file)

    assert [table.name for table in source.tables()] == ["accounts", "crm.deals", "keys", "model"]
    assert len(rows(source, Query(table="crm.deals"))["id"]) == 10
    assert len(rows(source, Query(sql="SELECT id FROM shop.main.accounts"))["id"]) == 10


def test_a_file_held_for_writing_says_who_and_what_to_do(file: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(SourceError, match=rf"PID {holder.pid}.*close that process") as caught:
            opened(file).check()
        holder.kill()

    assert caught.value.code == "source_unreachable"


def test_rows_in_the_log_beside_the_file_are_read_and_the_log_is_left(file: Path):
    """A writer that crashed leaves its last rows in the log: they are committed, and they are not ours to move."""
    subprocess.run([sys.executable, "-c", CRASH, str(file)], check=False)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}

    found = rows(opened(file), Query(sql="SELECT name FROM accounts WHERE id = 99"))

    assert "shop.duckdb.wal" in before
    assert found == {"name": ["in the log"]}
    assert {path.name: path.read_bytes() for path in file.parent.iterdir() if path.is_file()} == before


def test_more_rows_than_memory_are_sorted_on_disk(file: Path):
    sql = "SELECT range AS id, hash(range) AS h, repeat('x', 50) AS x FROM range(2000000) ORDER BY h"

    with opened(file, memory_limit="60MB").read(Query(sql=sql), columns=["id"]) as reader:
        count = sum(batch.num_rows for batch in reader)

    assert count == 2_000_000


def test_too_little_memory_is_said_with_the_mend(file: Path):
    with pytest.raises(SourceError, match="Raise HEADRACE_MEMORY_LIMIT") as caught:
        rows(opened(file, memory_limit="10MB"), Query(sql="SELECT list(range::VARCHAR) AS a FROM range(3000000)"))

    assert caught.value.code == "source_failed"

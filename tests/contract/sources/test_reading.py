"""What every source promises about the rows that it hands out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from headrace.domain.columns import column_named
from headrace.domain.errors import SourceError
from headrace.sources import Query

from .conftest import EXPECTED, Warehouse

MANY = {
    "duckdb": "SELECT range AS i, repeat('x', 1000) AS x FROM range(500000)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)"
    " SELECT i, hex(zeroblob(500)) AS x FROM n",
    "postgres": "SELECT a * 1000 + b AS i, repeat('x', 1000) AS x"
    " FROM generate_series(1, 400) a, generate_series(1, 1000) b",
}


def duckdb_children() -> list[psutil.Process]:
    """The processes of this test's own reads. The test server's are children too, and come and go."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, IndexError):
            found += [child] if child.cmdline()[-1].endswith("duckdb_child") else []
    return found


def memory_of(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def many(warehouse: Warehouse) -> Query:
    return Query(sql=MANY.get(warehouse.kind, MANY["duckdb"]))


def test_a_column_keeps_its_type_and_its_exact_values(warehouse: Warehouse):
    """What a customer sees in Vitally must be what stands in the warehouse, to the last digit."""
    expected = EXPECTED[warehouse.kind]
    query = Query(sql=f"SELECT * FROM {warehouse.table} ORDER BY id")

    columns = warehouse.source.columns(query)
    with warehouse.source.read(query) as reader:
        rows = reader.read_all()

    assert {name: kind for name, (kind, _) in expected.items()} == {c.name: c.type for c in columns}
    assert {name: values for name, (_, values) in expected.items()} == rows.to_pydict()
    assert [c.name for c in columns] == rows.column_names


def test_moments_arrive_as_utc_or_without_a_zone(warehouse: Warehouse):
    if "seen" not in EXPECTED[warehouse.kind]:
        pytest.skip("it has no moments of its own")

    with warehouse.source.read(Query(table=warehouse.table), columns=["seen", "moment"]) as reader:
        schema = reader.schema

    assert [pa.timestamp("us", "UTC"), pa.timestamp("us")] == schema.types


def test_a_table_is_found_by_its_name_in_any_case(warehouse: Warehouse):
    with warehouse.source.read(Query(table=warehouse.table.upper()), columns=["id"]) as reader:
        rows = reader.read_all()

    assert sorted(rows["id"].to_pylist()) == [1, 2, 3]


def test_the_tables_of_a_source_can_be_named_by_a_model(warehouse: Warehouse):
    tables = {table.name: table for table in warehouse.source.tables()}

    assert warehouse.table in tables
    assert column_named(tables[warehouse.table].columns, "id")


def test_a_source_says_what_answered(warehouse: Warehouse):
    line = warehouse.source.check()

    assert "\n" not in line
    assert any(name in line for name in ("DuckDB 2", "SQLite 3", "PostgreSQL 1"))


def test_only_the_asked_columns_arrive_in_the_asked_order(warehouse: Warehouse):
    with warehouse.source.read(Query(table=warehouse.table), columns=["name", "id"], limit=2) as reader:
        rows = reader.read_all()

    assert rows.column_names == ["name", "id"]
    assert rows.num_rows == 2


def test_a_column_that_is_gone_is_named_with_its_neighbour(warehouse: Warehouse):
    with (
        pytest.raises(SourceError, match=r'no column "prices".*price') as caught,
        warehouse.source.read(Query(table=warehouse.table), columns=["prices"]) as reader,
    ):
        reader.read_all()

    assert caught.value.code == "column_missing"


def test_no_rows_are_an_empty_table_with_its_columns(warehouse: Warehouse):
    query = Query(sql=f"SELECT id, name FROM {warehouse.table} WHERE id > 99")

    with warehouse.source.read(query) as reader:
        rows = reader.read_all()

    assert rows.column_names == ["id", "name"]
    assert rows.num_rows == 0


def test_names_with_quotes_dots_and_spaces_are_kept(engine: Warehouse):
    query = Query(sql=f'SELECT id AS "a""b.c d; --" FROM {engine.table} WHERE id = 1')

    with engine.source.read(query, columns=['a"b.c d; --']) as reader:
        rows = reader.read_all()

    assert rows.to_pydict() == {'a"b.c d; --': [1]}


@pytest.mark.parametrize("ending", [";", " ; -- done", "\n-- done", "\n/* done */ ;\n;\n", " -- a ; b"])
def test_what_follows_the_one_statement_does_no_harm(engine: Warehouse, ending: str):
    query = Query(sql=f"-- first\nSELECT id FROM {engine.table} WHERE id = 1{ending}")

    with engine.source.read(query) as reader:
        rows = reader.read_all()

    assert rows.to_pydict() == {"id": [1]}


def test_reading_is_streaming(engine: Warehouse):
    """200 to 500 MB of rows pass through a process that must not hold them."""
    me = psutil.Process()
    before, rows, peak = me.memory_info().rss, 0, 0

    with engine.source.read(many(engine)) as reader:
        for batch in reader:
            rows += batch.num_rows
            children = sum(memory_of(child) for child in duckdb_children())
            peak = max(peak, me.memory_info().rss + children - before)

    assert rows >= 200_000
    assert peak < 280e6


def test_leaving_early_stops_the_query_and_leaves_nothing_behind(engine: Warehouse):
    with engine.source.read(many(engine)) as reader:
        reader.read_next_batch()

    assert duckdb_children() == []
    assert list(Path(engine.scratch).iterdir()) == []


def test_a_reader_is_no_shorter_table_after_its_context(engine: Warehouse):
    with engine.source.read(many(engine)) as reader:
        reader.read_next_batch()

    with pytest.raises(SourceError, match="left before its end"):
        reader.read_all()

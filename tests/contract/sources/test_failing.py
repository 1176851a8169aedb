"""What every source promises when something goes wrong."""

from __future__ import annotations

import contextlib
import sqlite3
import time

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pytest

from headrace.domain.errors import NotFound, SourceError, UserError
from headrace.sources import Query, Source, open_source

from .conftest import KINDS, Warehouse
from .test_reading import duckdb_children, many

ENDLESS = {
    "duckdb": "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b WHERE hash(a.range, b.range) = 1",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n",
    "postgres": "SELECT count(*) AS n FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
}


def drain(source: Source, sql: str) -> int:
    with source.read(Query(sql=sql)) as reader:
        return sum(batch.num_rows for batch in reader)


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("SELECT id,\n  nme\nFROM {table}", 2),
        ("SELECT id\nFROM {table}\nWHERE AND", 3),
        ("WITH a AS (\n  SELECT id FROM {table}\n)\nSELECT id, nothere(id)\nFROM a -- end", 4),
        ("-- the accounts\n\nSELECT 'nme' AS a,\n       nme\nFROM {table};", 4),
        ("SELECT id\nFROM nosuchtable", 2),
    ],
)
def test_an_sql_error_names_the_line_of_the_user(engine: Warehouse, sql: str, line: int):
    with pytest.raises(SourceError) as caught:
        engine.source.columns(Query(sql=sql.format(table=engine.table)))

    assert caught.value.code == "sql_error"
    assert line == caught.value.facts["line"]
    assert str(caught.value.facts["text"]) in str(caught.value)


@pytest.mark.parametrize("sql", ["", "  \n", "-- only words", ";", "SELECT 1 AS a, 2 AS a", "SELECT (1 AS a"])
def test_sql_that_can_not_be_a_model_is_an_sql_error(engine: Warehouse, sql: str):
    with pytest.raises(SourceError) as caught:
        engine.source.columns(Query(sql=sql))

    assert caught.value.code == "sql_error"


def test_a_missing_table_is_answered_with_the_near_names(warehouse: Warehouse):
    with pytest.raises(SourceError, match=f"Did you mean {warehouse.table}"):
        warehouse.source.columns(Query(table=warehouse.table[:-1]))


def test_a_slow_statement_is_stopped_at_its_time_limit(engine: Warehouse):
    source = engine.with_settings(statement_timeout=0.4)
    began = time.monotonic()

    with pytest.raises(SourceError, match=r"longer than 0\.4 s") as caught:
        drain(source, ENDLESS.get(engine.kind, ENDLESS["duckdb"]))

    assert caught.value.code == "source_timeout"
    assert time.monotonic() - began < 4


def kill_children() -> None:
    for child in duckdb_children():
        child.kill()


def test_a_source_that_dies_in_mid_read_raises_and_never_looks_shorter(
    engine: Warehouse, request: pytest.FixtureRequest
):
    """Rows that did not arrive must never be taken for rows that were removed."""
    if engine.kind == "sqlite":
        pytest.skip("it runs in this process; a damaged file is tested below")

    def read_and_lose_it() -> None:
        with engine.source.read(many(engine)) as reader:
            reader.read_next_batch()
            if engine.kind == "postgres":
                end_every_session(request.getfixturevalue("postgres_url"))
            else:
                kill_children()
            reader.read_all()

    with pytest.raises(SourceError) as caught:
        read_and_lose_it()

    assert caught.value.code == "source_failed"


def test_a_dead_source_is_told_through_a_reader_in_another_engine(engine: Warehouse):
    """The planner's DuckDB reads the batches, and makes of an exception a text: ours must come out of the context."""
    if engine.kind != "duckdb":
        pytest.skip("one way to die is enough")

    def read_and_lose_it() -> None:
        with engine.source.read(many(engine)) as reader, duckdb.connect() as connection:
            kill_children()
            connection.from_arrow(reader).aggregate("count(*)").fetchall()

    with pytest.raises(SourceError) as caught:
        read_and_lose_it()

    assert caught.value.code == "source_failed"


def test_a_damaged_sqlite_file_fails_the_read(tmp_path):
    path = tmp_path / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (id, name)")
        connection.executemany("INSERT INTO things VALUES (?, ?)", [(i, "x" * 100) for i in range(20_000)])
        connection.commit()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 20_000)

    with pytest.raises(SourceError) as caught:
        drain(open_source("sqlite", {"path": str(path)}, str(tmp_path)), "SELECT * FROM things")

    assert caught.value.code == "source_failed"


def test_leaving_a_postgres_read_early_ends_its_session(postgres_url: str, tmp_path):
    """A forgotten session holds its snapshot, and the customer's tables grow while it does."""
    sql = "SELECT i, repeat('x', 100) AS x FROM things, generate_series(1, 1000) a, generate_series(1, 10000) i"

    with open_source("postgres", {"url": postgres_url}, str(tmp_path)).read(Query(sql=sql)) as reader:
        reader.read_next_batch()
        during = sessions(postgres_url)

    assert during == 1
    # The server notices within its next look at the connection.
    assert any(sessions(postgres_url) == 0 for _ in range(200))


def test_an_error_in_a_late_row_fails_the_read(engine: Warehouse):
    late = {
        "sqlite": "SELECT CASE WHEN id = 3 THEN abs(-9223372036854775808) ELSE id END AS n FROM things",
        "postgres": "SELECT 1 / (500000 - i) AS n FROM generate_series(1, 600000) i",
    }

    with pytest.raises(SourceError) as caught:
        drain(engine.source, late.get(engine.kind, "SELECT ('a' || range)[6:]::INT AS n FROM range(600000)"))

    assert caught.value.code == "sql_error"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "postgres"])
def test_a_file_that_can_not_be_read_says_why(kind: str, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "words").write_bytes(b"these are only words\n" * 500)
    names = ["nosuch", "folder", *(["words"] if kind != "csv" else [])]

    for name in names:
        with pytest.raises(SourceError) as caught:
            open_source(kind, {"path": str(tmp_path / name)}, str(tmp_path)).check()
        assert caught.value.code in ("source_unreachable", "source_failed"), name
        assert str(tmp_path / name) in str(caught.value)


def test_a_server_that_is_not_there_never_has_the_password_in_its_error(tmp_path):
    for settings in (
        {"host": "127.0.0.1", "port": 1, "user": "u", "password": "geheim"},
        {"url": "postgresql://u:geheim@127.0.0.1:1/shop"},
        {"url": "postgresql://u:geheim@[broken/shop"},
        {"url": "postgresql://u:geheim@127.0.0.1:port/shop?sslmode=geheim"},
    ):
        with pytest.raises(SourceError) as caught:
            open_source("postgres", settings, str(tmp_path)).check()

        assert caught.value.code == "source_unreachable"
        assert "geheim" not in str(caught.value)


def test_wrong_settings_are_the_user_s_to_mend(tmp_path):
    with pytest.raises(NotFound, match="duckdb"):
        open_source("duckbd", {}, str(tmp_path))
    for kind, settings in (
        ("csv", {}),
        ("postgres", {}),
        ("postgres", {"host": "h", "sslmode": "on"}),
        ("duckdb", {"path": "x", "memory_limit": "much"}),
        ("sqlite", {"path": "x", "statement_timeout": 0}),
    ):
        with pytest.raises(UserError):
            open_source(kind, settings, str(tmp_path))


def sessions(url: str) -> int:
    with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND query LIKE '%generate_series%'"
        )
        return int(cursor.fetchall()[0][0])


def end_every_session(url: str) -> None:
    with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        cursor.fetchall()

"""A model's SQL may read its own source and do nothing else. Each statement here must be refused and have no effect."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pytest

from headrace.domain.errors import SourceError
from headrace.sources import Query, Source, open_source
from headrace.sources.duckdb_child import open_locked

from .conftest import Warehouse, make_warehouse

ANYWHERE = [
    "INSERT INTO {table} (id) VALUES (9)",
    "UPDATE {table} SET id = 9",
    "DELETE FROM {table}",
    "DROP TABLE {table}",
    "CREATE TABLE stolen AS SELECT 1 AS a",
    "SELECT id FROM {table}; DROP TABLE {table}",
    "SELECT id FROM {table}); DROP TABLE {table}; --",
    "SELECT 1 AS a) AS model; DROP TABLE {table}; SELECT * FROM (SELECT 1 AS a",
    "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT * FROM gone",
    "WITH new AS (INSERT INTO {table} (id) VALUES (9) RETURNING *) SELECT * FROM new",
    "EXPLAIN ANALYZE DELETE FROM {table}",
    "BEGIN",
]
DUCKDB = [
    "COPY {table} TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{folder}/stolen.csv'",
    "WITH x AS (COPY {table} TO '{folder}/stolen.csv') SELECT * FROM x",
    "ATTACH '{folder}/stolen.duckdb'",
    "EXPORT DATABASE '{folder}/stolen'",
    "SET enable_external_access = true",
    "PRAGMA enable_profiling",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE SECRET s (TYPE s3)",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('{folder}/link')",
    "SELECT * FROM read_text('{folder}/secret.env')",
    "SELECT * FROM read_text('{folder}/../files/secret.env')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT getenv('PATH') AS a",
    "SELECT * FROM query('COPY {table} TO ''{folder}/stolen.csv''')",
]
SQLITE = [
    "ATTACH '{folder}/stolen.sqlite' AS stolen",
    "VACUUM INTO '{folder}/stolen.sqlite'",
    "PRAGMA query_only = false",
    "PRAGMA journal_mode = wal",
    "SELECT * FROM pragma_journal_mode('wal')",
    "SELECT load_extension('{folder}/link') AS a",
    "SELECT writefile('{folder}/stolen', 'x') AS a",
    "SELECT readfile('/etc/passwd') AS a",
    "SELECT fts3_tokenizer('simple') AS a",
    "CREATE TEMP TABLE stolen (a)",
]
POSTGRES = [
    "SELECT * INTO stolen FROM things",
    "COPY things TO '{folder}/stolen'",
    "COPY things TO PROGRAM 'touch {folder}/stolen'",
    "DO $$ BEGIN DELETE FROM things; END $$",
    "CALL nothing()",
    "SELECT id FROM things FOR UPDATE",
    "SELECT pg_read_file('/etc/passwd') AS a",
    "SELECT pg_catalog.pg_read_binary_file('/etc/passwd') AS a",
    "SELECT \"pg_read_file\"('/etc/passwd') AS a",
    "SELECT U&\"pg_re\\0061d_file\"('/etc/passwd') AS a",
    "SELECT pg_read_file /* a */ ('/etc/passwd') AS a",
    "SELECT pg_ls_dir('/') AS a",
    "SELECT * FROM pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd') AS a",
    "SELECT lo_export(1, '{folder}/stolen') AS a",
    "SELECT lo_from_bytea(0, 'x') AS a",
    "SELECT nextval('counted') AS a",
    "SELECT setval('counted', 9) AS a",
    "SELECT set_config('transaction_read_only', 'off', false) AS a",
    "SELECT query_to_xml('delete from things', true, true, '') AS a",
    "SELECT pg_terminate_backend(pid) AS a FROM pg_stat_activity",
    "SELECT pg_reload_conf() AS a",
    "SELECT * FROM dblink('', 'delete from things') AS d(a int)",
    "SET ROLE postgres",
    "SELECT delete_things() AS a",
    "SELECT count(*) AS a FROM things WHERE delete_things() > 0",
]
CORPUS = {"duckdb": ANYWHERE + DUCKDB, "sqlite": ANYWHERE + SQLITE, "postgres": ANYWHERE + POSTGRES}


@pytest.fixture(scope="module", params=sorted(CORPUS))
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with secrets beside it, whose owner may do anything: only we stand in the way."""
    folder = tmp_path_factory.mktemp(f"hostile-{request.param}") / "files"
    warehouse = make_warehouse(request.param, folder, request)
    (folder / "secret.env").write_text("TOKEN=canary")
    (folder / "link").symlink_to("/etc/passwd")
    if warehouse.kind == "postgres":
        run(
            warehouse.settings["url"],
            "CREATE SEQUENCE IF NOT EXISTS counted",
            "CREATE OR REPLACE FUNCTION delete_things() RETURNS int LANGUAGE sql VOLATILE"
            " AS 'DELETE FROM things RETURNING 1'",
        )
    return warehouse


def test_a_model_may_not_write_or_look_elsewhere(target: Warehouse):
    before = world(target)
    allowed = []

    for statement in CORPUS[target.kind]:
        sql = statement.format(table=target.table, folder=target.folder)
        try:
            rows = read(target.source, sql)
        except SourceError:
            continue
        allowed.append((statement, rows))

    assert allowed == []
    assert world(target) == before


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_model_over_files_may_not_look_beside_them(kind: str, tmp_path: Path, request: pytest.FixtureRequest):
    warehouse = make_warehouse(kind, tmp_path / "files", request)
    (warehouse.folder / "secret.env").write_text("TOKEN=canary")
    before = world(warehouse)

    for sql in (f"SELECT * FROM read_text('{warehouse.folder}/secret.env')", f"COPY rows TO '{warehouse.folder}/x'"):
        with pytest.raises(SourceError):
            read(warehouse.source, sql)

    assert world(warehouse) == before


def test_a_glob_does_not_follow_a_link_out_of_its_folder(tmp_path: Path):
    """Who may put files into the folder must not be able to have any file of the machine read."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.csv").write_text("id\n1\n")
    (tmp_path / "files" / "b.csv").symlink_to("/etc/passwd")

    with pytest.raises(SourceError, match="leads out of its folder"):
        read(open_source("csv", {"path": f"{tmp_path}/files/*.csv"}, str(tmp_path)), "SELECT * FROM rows")


def test_no_function_of_duckdb_opens_a_path(tmp_path: Path):
    """Every table function that takes a text is asked for a file outside; a new DuckDB may bring new ones."""
    (tmp_path / "canary.csv").write_text("canary,b\n1,2\n")
    warehouse = tmp_path / "shop.duckdb"
    duckdb.connect(str(warehouse)).close()
    job = {
        "kind": "duckdb",
        "files": [str(warehouse)],
        "catalog": "shop",
        "memory_limit": "100MB",
        "scratch": str(tmp_path / "scratch"),  # DuckDB may read where it spills; a child's scratch holds nothing else
    }

    with duckdb.connect() as free, open_locked(job) as locked:
        names = [
            name
            for (name,) in free.execute(
                "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'table'"
                " AND list_contains(parameter_types, 'VARCHAR') ORDER BY 1"
            ).fetchall()
        ]
        opened = [name for name in names if reads(locked, f"SELECT * FROM {name}('{tmp_path}/canary.csv')")]

    assert len(names) > 10
    assert opened == []


def test_a_child_does_not_know_the_secrets_of_its_parent(target: Warehouse, monkeypatch: pytest.MonkeyPatch):
    if target.kind != "duckdb":
        pytest.skip("only DuckDB has a child")
    monkeypatch.setenv("HEADRACE_CANARY", "canary")

    with target.source.read(Query(sql="SELECT range AS i FROM range(3000000)")) as reader:
        reader.read_next_batch()
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        children = [pid for pid in pids if b"duckdb_child" in slurp(f"/proc/{pid}/cmdline")]
        mine = [pid for pid in children if f"\nPPid:\t{os.getpid()}\n".encode() in slurp(f"/proc/{pid}/status")]
        environments = [slurp(f"/proc/{pid}/environ") for pid in mine]

    assert len(environments) == 1
    assert b"canary" not in environments[0]


def read(source: Source, sql: str) -> int:
    with source.read(Query(sql=sql)) as reader:
        return reader.read_all().num_rows


def reads(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    try:
        return "canary" in str(connection.execute(sql).fetchall())
    except duckdb.Error:
        return False


def world(warehouse: Warehouse) -> dict[str, str]:
    """All that a statement could have changed."""
    found = {str(path): digest(path) for path in sorted(warehouse.folder.rglob("*")) if path.is_file()}
    if warehouse.kind == "postgres":
        found["things"] = run(warehouse.settings["url"], "SELECT string_agg(t::text, ';' ORDER BY id) FROM things t")
        found["tables"] = run(warehouse.settings["url"], "SELECT string_agg(relname, ',' ORDER BY 1) FROM pg_class")
        found["counted"] = run(warehouse.settings["url"], "SELECT last_value || ' ' || is_called FROM counted")
        found["objects"] = run(warehouse.settings["url"], "SELECT count(*) FROM pg_largeobject_metadata")
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def slurp(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def run(url: str, *statements: str) -> str:
    with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return str(cursor.fetchall())

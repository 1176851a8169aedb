"""Promises of the sample warehouse: the same on every machine, whole, and as awkward as real data."""

import time
from pathlib import Path

import duckdb
import pytest

from headrace.sample import change_some, write_warehouse
from headrace.sample.warehouse import TABLES

FOREIGN_KEYS = [
    ("accounts", "org_id", "organizations", "org_id"),
    ("users", "account_id", "accounts", "account_id"),
    ("product_events", "user_id", "users", "user_id"),
    ("product_events", "account_id", "accounts", "account_id"),
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("sample") / "warehouse.duckdb")
    write_warehouse(path)
    return path


def rows_of(path: str | Path, table: str) -> list[tuple[str, ...]]:
    """Every row of a table, each value as text, in order of the primary key."""
    texts = ", ".join(f"{column}::VARCHAR" for column in TABLES[table])
    return ask(path, f"SELECT {texts} FROM {table} ORDER BY 1")


def ask(path: str | Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others(tmp_path: Path):
    """A demo that two people look at side by side must show them one story."""
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        write_warehouse(str(tmp_path / name), seed=seed, scale=0.1)

    for table in TABLES:
        assert rows_of(tmp_path / "one", table) == rows_of(tmp_path / "two", table)
        assert rows_of(tmp_path / "one", table) != rows_of(tmp_path / "three", table)


def test_the_counts_given_are_the_counts_in_the_file(tmp_path: Path):
    counts = write_warehouse(str(tmp_path / "w"), scale=0.5)

    assert counts == {"organizations": 20, "accounts": 200, "users": 1_250, "product_events": 5_000}
    for table, count in counts.items():
        assert [(count,)] == ask(tmp_path / "w", f"SELECT count(*) FROM {table}")


def test_the_smallest_warehouse_is_whole(tmp_path: Path):
    """Tests of other parts ask for tiny ones: a scale near nothing still has a row in every table."""
    counts = write_warehouse(str(tmp_path / "w"), scale=0.0001)

    assert set(counts.values()) == {1}
    assert change_some(str(tmp_path / "w"))["users"] == {"changed": 1, "added": 3}


def test_a_warehouse_is_written_quickly(tmp_path: Path):
    """The demo promises a story in under a minute; the stage must not take ten seconds of it.

    About 0.5 s of processor time on two cores; the bound is generous because other work shares them.
    """
    started = time.process_time()
    write_warehouse(str(tmp_path / "w"))

    assert time.process_time() - started < 5


def test_an_existing_file_is_not_touched(tmp_path: Path):
    (tmp_path / "w").write_text("mine")

    with pytest.raises(FileExistsError):
        write_warehouse(str(tmp_path / "w"))

    assert (tmp_path / "w").read_text() == "mine"


@pytest.mark.parametrize(("table", "column", "parent", "key"), FOREIGN_KEYS)
def test_every_foreign_key_resolves(warehouse: str, table: str, column: str, parent: str, key: str):
    orphans = f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT {key} FROM {parent})"

    assert ask(warehouse, orphans) == [(0,)]


@pytest.mark.parametrize("table", TABLES)
def test_primary_keys_are_unique_and_never_null(warehouse: str, table: str):
    key = next(iter(TABLES[table]))

    nulls_and_repeats = f"SELECT count(*) - count({key}), count({key}) - count(DISTINCT {key}) FROM {table}"

    assert ask(warehouse, nulls_and_repeats) == [(0, 0)]


def test_emails_are_unique(warehouse: str):
    """Vitally does not ask for it, but a sync that matches users by email would find two."""
    assert ask(warehouse, "SELECT count(email) - count(DISTINCT lower(email)) FROM users") == [(0,)]


@pytest.mark.parametrize(
    "column",
    [
        "organizations.owner",
        "organizations.headquarters.city",
        "accounts.org_id",
        "accounts.health",
        "accounts.renewal_at",
        "accounts.industry",
        "users.email",
        "users.title",
        "users.nps",
        "users.last_seen",
        "product_events.user_id",
    ],
)
def test_columns_that_may_be_null_are_null_here_and_there(warehouse: str, column: str):
    table, _, value = column.partition(".")

    ((nulls, rows),) = ask(warehouse, f"SELECT count(*) - count({value}), count(*) FROM {table}")

    assert 0 < nulls < rows


@pytest.mark.parametrize(
    ("promise", "condition", "table"),
    [
        ("emoji", "name LIKE '%🥐%'", "accounts"),
        ("double quotes", "name LIKE '%\"%'", "accounts"),
        ("a name past a hundred letters", "length(name) > 100", "accounts"),
        ("right-to-left script", "regexp_matches(name, '\\p{Arabic}')", "accounts"),
        ("cents", "mrr <> floor(mrr)", "accounts"),
        ("trials that pay nothing", "is_trial AND mrr = 0 AND renewal_at IS NULL", "accounts"),
        ("health as JSON with a nested list", "(health->>'$.risks[0]') IS NOT NULL", "accounts"),
        ("apostrophes", "full_name LIKE '%''%'", "users"),
        ("accents", "full_name LIKE '%ç%'", "users"),
        ("Cyrillic", "regexp_matches(full_name, '\\p{Cyrillic}')", "users"),
        ("Han", "regexp_matches(full_name, '\\p{Han}')", "users"),
        ("Devanagari", "regexp_matches(full_name, '\\p{Devanagari}')", "users"),
        ("empty lists", "len(tags) = 0", "users"),
        ("lists of several", "len(tags) > 1", "users"),
        ("line breaks in JSON", "properties->>'text' LIKE '%' || chr(10) || '%'", "product_events"),
    ],
)
def test_the_data_are_as_awkward_as_real_ones(warehouse: str, promise: str, condition: str, table: str):
    ((found,),) = ask(warehouse, f"SELECT count(*) FROM {table} WHERE {condition}")

    assert found > 0, promise


def test_every_account_has_somebody_in_it(warehouse: str):
    deserted = "SELECT count(*) FROM accounts WHERE account_id NOT IN (SELECT account_id FROM users)"

    assert ask(warehouse, deserted) == [(0,)]

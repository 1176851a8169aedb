"""Every type of every source, carried the whole way and back: what is sent, and that it does not change by itself.

The cases are in types.json, from which docs/reference/types.md is made.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pytest

from headrace.sources import Query, Source, open_source

from .carrying import Carried, Ledgered
from .conftest import KINDS

TABLE = json.loads(Path(__file__).with_name("types.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = [case for rule in TABLE["rules"] for case in rule["cases"]]


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def typed_postgres_url(postgres_url: str) -> Iterator[str]:
    """The server, with the types that some cases need."""
    names = [statement.split()[2] for statement in TABLE["setup"]["postgres"]]
    with adbc.connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in TABLE["setup"]["postgres"]:
            cursor.execute(statement)
        yield postgres_url
        for name in names:
            cursor.execute(f"DROP {'DOMAIN' if name == 'positive' else 'TYPE'} {name}")


def model_of(columns: Sequence[Sequence[str]]) -> str:
    """A SELECT whose columns c0, c1... have these values, row by row; short columns end in nulls."""
    rows = range(max(map(len, columns)))
    return " UNION ALL ".join(
        f"SELECT {row} AS id, "
        + ", ".join(f"{one[row] if row < len(one) else 'NULL'} AS c{at}" for at, one in enumerate(columns))
        for row in rows
    )


def opened(kind: str, columns: Sequence[Sequence[str]], folder: Path, postgres_url: str) -> tuple[Source, Query]:
    """A source that holds these values, and the model that reads them."""
    path, query = folder / f"values.{kind}", Query(sql=model_of(columns))
    match kind:
        case "postgres":
            return open_source(kind, {"url": postgres_url}, str(folder)), query
        case "sqlite":
            connection = sqlite3.connect(path)
            connection.execute("CREATE TABLE IF NOT EXISTS none (id)")
            connection.close()
        case "duckdb":
            duckdb.connect(str(path)).close()
        case "parquet":
            with duckdb.connect() as connection:
                connection.execute(f"SET TimeZone = 'UTC'; COPY ({query.sql}) TO '{path}' (FORMAT parquet)")
            query = Query(table="rows")
        case _:
            names = ",".join(f"c{at}" for at in range(len(columns)))
            path.write_text(f"id,{names}\n0,{','.join(one for (one,) in columns)}\n", encoding="utf-8")
            query = Query(table="rows")
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_source(kind, {"path": str(path), "memory_limit": "256MB"}, str(scratch)), query


@pytest.mark.parametrize("refused", [False, True], ids=["sent", "refused"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_sent_by_its_rule_and_is_no_change_when_it_is_read_again(
    kind: str, refused: bool, typed_postgres_url: str, tmp_path: Path
):
    """A digit that is lost on the way is found by a customer's finance team, one that changes by itself by ours."""
    cases = [one for one in CASES if one["source"] == kind]
    cases = [one for one in cases if as_list(one["sent"])[0].startswith("type_mismatch") == refused]
    if not cases:
        pytest.skip("none of its values are refused")
    source, query = opened(kind, [as_list(one["value"]) for one in cases], tmp_path, typed_postgres_url)
    sync = Ledgered(tmp_path, {f"c{at}": one["as"] for at, one in enumerate(cases) if "as" in one})

    first, second = sync.run(source, query), sync.run(source, query)

    types = {column.name: column.type for column in first.columns}
    assert [one["column"] for one in cases] == [types[f"c{at}"] for at in range(len(cases))]
    for at, one in enumerate(cases):
        sent = [said.replace(f"traits.c{at}", "traits.v") for said in first.sent[f"c{at}"]]
        assert as_list(one["sent"]) == sent[: len(as_list(one["sent"]))], one
    assert 0 == second.planned


def run(sync: Ledgered, kind: str, value: str, folder: Path, postgres_url: str) -> Carried:
    return sync.run(*opened(kind, [[value]], folder, postgres_url))


SAME = [
    ("duckdb", "19.90::DECIMAL(12,2)", "19.900::DECIMAL(14,3)"),
    ("duckdb", "12::SMALLINT", "12::BIGINT"),
    ("duckdb", "12::INTEGER", "12::DOUBLE"),
    ("duckdb", "0.0::DOUBLE", "'-0.0'::DOUBLE"),
    ("duckdb", "'NaN'::DOUBLE", "'-NaN'::DOUBLE"),
    ("duckdb", "0.1::FLOAT", "0.1::DOUBLE"),
    ("duckdb", "'gold'", "'gold'::ENUM('silver', 'gold')"),
    ("duckdb", "TIMESTAMPTZ '2024-02-29 12:00:00+02'", "TIMESTAMPTZ '2024-02-29 10:00:00Z'"),
    ("duckdb", "TIMESTAMP_S '2024-02-29 12:00:00'", "TIMESTAMP_NS '2024-02-29 12:00:00'"),
    ("sqlite", "0.0", "-0.0"),
    ("postgres", "0.1::real", "0.1::float8"),
    ("postgres", "12::int", "12::bigint"),
    ("postgres", "'a'::varchar(9)", "'a'::text"),
]


@pytest.mark.parametrize(("kind", "before", "after"), SAME)
def test_the_same_value_under_another_type_is_no_change(
    kind: str, before: str, after: str, typed_postgres_url: str, tmp_path: Path
):
    """Somebody widens a column, and a million unchanged records would be sent again."""
    sync = Ledgered(tmp_path)

    first = run(sync, kind, before, tmp_path, typed_postgres_url)
    second = run(sync, kind, after, tmp_path, typed_postgres_url)

    assert (1, 0) == (first.planned, second.planned)


OTHER = [
    ("duckdb", "170141183460469231731687303715884105726::HUGEINT", "170141183460469231731687303715884105727::HUGEINT"),
    ("duckdb", "12345678901234567890.123456788::DECIMAL(38,9)", "12345678901234567890.123456789::DECIMAL(38,9)"),
    ("duckdb", "0.1::DOUBLE", "0.10000000000000002::DOUBLE"),
    ("duckdb", "'1'", "1"),
    ("duckdb", "''", "NULL::VARCHAR"),
    ("duckdb", "{'a': 1, 'b': NULL}", "{'a': 1, 'b': 2}"),
    ("duckdb", "'a'", "'a '"),
    ("sqlite", "9007199254740993", "9007199254740992"),
    ("postgres", "123456789012345678901234567890.1::numeric", "123456789012345678901234567890.2::numeric"),
]


@pytest.mark.parametrize(("kind", "before", "after"), OTHER)
def test_a_value_that_differs_in_its_last_digit_is_a_change(
    kind: str, before: str, after: str, typed_postgres_url: str, tmp_path: Path
):
    sync = Ledgered(tmp_path)

    run(sync, kind, before, tmp_path, typed_postgres_url)
    second = run(sync, kind, after, tmp_path, typed_postgres_url)

    assert 1 == second.planned


def test_what_a_role_of_postgres_has_set_is_no_change(typed_postgres_url: str, tmp_path: Path):
    """An administrator changes how one role sees intervals, and every record would be sent again with other text."""
    columns = [
        ["interval '1 year 2 months 3 days'"],
        ["tstzrange('2024-02-29 12:00Z', null)"],
        ["0.1::real"],
        ["ARRAY[0.30000000000000004::float8]"],
        ["timestamptz '2024-02-29 12:00Z'"],
    ]
    sync = Ledgered(tmp_path)
    source, query = opened("postgres", columns, tmp_path, typed_postgres_url)
    settings = "-c IntervalStyle=iso_8601 -c DateStyle=German -c extra_float_digits=-3 -c TimeZone=Asia/Tokyo"
    joint = "&" if "?" in typed_postgres_url else "?"
    other = f"{typed_postgres_url}{joint}options={settings.replace(' ', '%20').replace('=', '%3D')}"

    sync.run(source, query)
    second = sync.run(open_source("postgres", {"url": other}, str(tmp_path)), query)

    assert 0 == second.planned

"""How the types of each engine become the kinds of the port."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from headrace.domain.columns import ColumnType as T
from headrace.domain.errors import SourceError
from headrace.sources import Query, open_source
from headrace.sources.duckdb_csv import typed_select
from headrace.sources.duckdb_types import arrival, column_of
from headrace.sources.postgres_types import native_name
from headrace.sources.sqlite_types import column_of as sqlite_column
from headrace.sources.sqlite_types import to_array


@pytest.mark.parametrize(
    ("value", "kind", "arrived"),
    [
        ("123::HUGEINT", T.INTEGER, "123"),
        ("170141183460469231731687303715884105727::HUGEINT", T.INTEGER, "170141183460469231731687303715884105727"),
        ("340282366920938463463374607431768211455::UHUGEINT", T.INTEGER, "340282366920938463463374607431768211455"),
        ("18446744073709551615::UBIGINT", T.INTEGER, 18446744073709551615),
        ("0.1::FLOAT", T.NUMBER, 0.1),
        ("INTERVAL 1 DAY", T.TEXT, "1 day"),
        ("TIME '10:00:00'", T.TEXT, "10:00:00"),
        ("'a'::ENUM('a', 'b')", T.TEXT, "a"),
        ("'6dfe2b9e-5b8e-4d1a-9b1e-2f3e1c0b9a77'::UUID", T.TEXT, "6dfe2b9e-5b8e-4d1a-9b1e-2f3e1c0b9a77"),
        ("'101'::BIT", T.TEXT, "101"),
        ("123456789012345678901234567890123456789012::BIGNUM", T.TEXT, "123456789012345678901234567890123456789012"),
        ("NULL", T.TEXT, None),
        ("{'a': 1, 'b': [DATE '2024-02-29']}", T.JSON, '{"a":1,"b":["2024-02-29"]}'),
        ("MAP {'a': 1}", T.JSON, '{"a":1}'),
        ("[[1], NULL]", T.JSON, "[[1],null]"),
        ("ARRAY_VALUE(1, 2)", T.JSON, "[1,2]"),
        ("1::VARIANT", T.JSON, "1"),
        ("ROW(1, 'x')", T.JSON, '[1,"x"]'),
        ("UNION_VALUE(a := 1)", T.JSON, '{"a":1}'),
        ("'infinity'::TIMESTAMP", T.DATETIME, None),
        ("'infinity'::TIMESTAMPTZ", T.DATETIME_TZ, None),
        ("DATE '0044-03-15 (BC)'", T.DATE, None),
    ],
)
def test_a_value_of_duckdb_arrives_in_its_shape(value: str, kind: T, arrived: object):
    with duckdb.connect() as connection:
        (native,) = connection.sql(f"SELECT {value} AS v").types
        column = column_of("v", str(native))
        found = connection.sql(f"SELECT {arrival(column)} FROM (SELECT {value} AS v)").to_arrow_table()

    assert column.type == kind
    assert found["v"].to_pylist() == [arrived]


@pytest.mark.parametrize(
    ("values", "native"),
    [
        (["1", "-2", ""], "BIGINT"),
        (["1", "007"], "VARCHAR"),
        (["1", "+49"], "VARCHAR"),
        (["12345678901234567890"], "VARCHAR"),
        (["1", "2.50", "-1e3"], "DOUBLE"),
        (["9007199254740993", "0.5"], "VARCHAR"),
        (["1e999"], "VARCHAR"),
        (["0.1234567890123456789"], "VARCHAR"),
        (["0.30000000000000004", "1234567890.1234500000"], "DOUBLE"),
        (["true", "FALSE"], "BOOLEAN"),
        (["t", "f"], "VARCHAR"),
        (["2024-02-29"], "DATE"),
        (["2023-02-29"], "VARCHAR"),
        (["2024-02-29", "2024-02-29 10:00"], "TIMESTAMP"),
        (["2024-02-29T10:00:00.5Z", "2024-02-29 10:00+02:00"], "TIMESTAMP WITH TIME ZONE"),
        (["2024-02-29 10:00", "2024-02-29 10:00Z"], "VARCHAR"),
        (["", ""], "VARCHAR"),
        ([*(str(n) for n in range(30_000)), "and then a word"], "VARCHAR"),
    ],
)
def test_a_csv_column_has_the_type_that_all_its_values_have(values: list[str], native: str, tmp_path: Path):
    """A sample would break the run on the first other value, and `007` is no number that could be given back."""
    file = tmp_path / "a.csv"
    file.write_text("id,v\n" + "".join(f"x,{value}\n" for value in values))

    with duckdb.connect() as connection:
        found = connection.sql(typed_select(connection, [str(file)]))
        types = [str(kind) for kind in found.types]
        rows = found.to_arrow_table().num_rows

    assert types == ["VARCHAR", native]
    assert rows == len(values)


def test_a_broken_csv_line_is_named(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("id,name\n" + "1,a\n" * 100 + "2,a,surplus-canary\n")

    with pytest.raises(SourceError, match="102") as caught:
        open_source("csv", {"path": str(file)}, str(tmp_path)).columns(Query())

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("id;name\n1;a,b\n", {"id": [1], "name": ["a,b"]}),
        ("id\tname\r\n1\ta\r\n2\tb", {"id": [1, 2], "name": ["a", "b"]}),
        ('\ufeff"id","name"\n1,"a\nb"\n', {"id": [1], "name": ["a\nb"]}),
        ('id,name\n1,"say ""a"""\n2,\n3,""\n', {"id": [1, 2, 3], "name": ['say "a"', None, None]}),
        ("id\n1\n2\n", {"id": [1, 2]}),
        ("id,name\n", {"id": [], "name": []}),
        ("id,,name's\n1,2,3\n", {"id": [1], "column2": [2], "name's": [3]}),
        ("id,name\n" + "1,a\n" * 30_000 + '2,"b,c"\n', {"id": [1] * 30_000 + [2], "name": ["a"] * 30_000 + ["b,c"]}),
    ],
)
def test_a_csv_dialect_is_read_as_it_is_meant(text: str, rows: dict[str, list[object]], tmp_path: Path):
    file = tmp_path / "it's.csv"
    file.write_text(text, newline="")

    with duckdb.connect() as connection:
        found = connection.sql(typed_select(connection, [str(file)])).to_arrow_table()

    assert found.to_pydict() == rows


def test_csv_files_of_a_glob_are_one_table_matched_by_name(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,name\n1,a\n")
    (tmp_path / "b.csv").write_text("name,id\nb,x2\n")

    with open_source("csv", {"path": f"{tmp_path}/*.csv"}, str(tmp_path)).read(
        Query(sql="SELECT id, name FROM rows ORDER BY name")
    ) as reader:
        rows = reader.read_all()

    assert rows.to_pydict() == {"id": ["1", "x2"], "name": ["a", "b"]}


@pytest.mark.parametrize(
    ("letters", "widest", "values", "kind", "arrived"),
    [
        ("i", 0, [1, None], T.INTEGER, [1, None]),
        ("ir", 2, [1, 0.5], T.NUMBER, [1.0, 0.5]),
        ("ir", 2**60, [2**60, 0.1], T.DECIMAL, ["1152921504606846976", "0.1"]),
        ("itn", 0, [7, "007", None], T.TEXT, ["7", "007", None]),
        ("rt", 0, [0.1, "x"], T.TEXT, ["0.1", "x"]),
        ("b", 0, [b"\x00"], T.BINARY, [b"\x00"]),
        ("bt", 0, [b"\x00", "é"], T.BINARY, [b"\x00", "é".encode()]),
        ("n", 0, [None], T.TEXT, [None]),
        ("", 0, [], T.TEXT, []),
    ],
)
def test_a_sqlite_column_is_what_all_its_values_are(
    letters: str, widest: int, values: list[object], kind: T, arrived: list[object]
):
    column = sqlite_column("v", letters, widest)

    assert column.type == kind
    assert to_array(column, values).to_pylist() == arrived


@pytest.mark.parametrize(
    ("typname", "typmod", "native"),
    [
        ("numeric", "589830", "numeric(9,2)"),
        ("numeric", "-1", "numeric"),
        ("numeric", "198654", "numeric(3,-6)"),
        ("int8", "-1", "bigint"),
        ("varchar", "-1", "character varying"),
    ],
)
def test_a_postgres_type_has_the_name_that_people_know(typname: str, typmod: str, native: str):
    field = pa.field("v", pa.string(), metadata={"POSTGRESQL:type": typname, "POSTGRESQL:typmod": typmod})

    assert native_name(field)[2] == native

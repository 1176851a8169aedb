"""Promises of a day at the sample company: it changes exactly what it says."""

from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML

from headrace.sample import change_some, demo_project, write_warehouse
from headrace.sample.warehouse import TABLES

SYNCED = ("organizations", "accounts", "users")


def snapshot(path: str) -> dict[str, dict[str, tuple]]:
    """Every table's rows by primary key, each value as text."""
    with duckdb.connect(path, read_only=True) as connection:
        tables = {}
        for table, columns in TABLES.items():
            texts = ", ".join(f"{column}::VARCHAR" for column in columns)
            tables[table] = {row[0]: row for row in connection.execute(f"SELECT {texts} FROM {table}").fetchall()}
        return tables


def differences(before: dict[str, tuple], after: dict[str, tuple]) -> dict[str, int]:
    assert before.keys() <= after.keys()
    return {
        "changed": sum(after[key] != row for key, row in before.items()),
        "added": len(after) - len(before),
    }


@pytest.mark.parametrize("seed", range(5))
def test_it_changes_what_it_says_and_nothing_else(tmp_path: Path, seed: int):
    """The demo prints these numbers beside the requests sent: one row more or less and the story is a lie."""
    path = str(tmp_path / "w")
    write_warehouse(path, scale=0.1)
    before = snapshot(path)

    told = change_some(path, seed=seed)

    after = snapshot(path)
    assert {table: differences(before[table], after[table]) for table in SYNCED} == {t: told[t] for t in SYNCED}
    events = [set(one["product_events"]) for one in (before, after)]
    assert told["events"] == {"changed": 0, "added": len(events[1] - events[0])}
    assert len(events[0] - events[1]) == len(events[1] - events[0]), "as many have left"
    assert all(after["product_events"][key] == before["product_events"][key] for key in events[0] & events[1])


def test_it_tells_how_many_accounts_use_the_product_otherwise_than_before(tmp_path: Path):
    """The demo's model of usage is a query over two tables, and its numbers are told all the same."""
    demo_project(tmp_path)
    models = YAML(typ="safe").load((tmp_path / "headrace.yaml").read_text(encoding="utf-8"))["models"]
    path = str(tmp_path / "w")
    write_warehouse(path, scale=0.1)

    def usage() -> dict[str, tuple]:
        with duckdb.connect(path) as connection:
            return {row[0]: row for row in connection.execute(models["usage"]["sql"]).fetchall()}

    before = usage()
    told = change_some(path)

    assert differences(before, usage()) == told["usage"]


def test_the_day_is_the_one_the_demo_tells(tmp_path: Path):
    path = str(tmp_path / "w")
    write_warehouse(path)

    told = change_some(path)

    assert told["organizations"] == {"changed": 2, "added": 0}
    assert told["accounts"] == {"changed": 5, "added": 1}
    assert told["users"] == {"changed": 7, "added": 3}
    assert told["events"] == {"changed": 0, "added": 12}
    # 5 upgrades + 2 new names + 7 new titles + 1 of events + 1 arrival, which names its three people.
    assert len(told["story"]) == 16
    assert all(sentence.endswith(".") for sentence in told["story"])


def test_the_same_seed_changes_the_same_rows(tmp_path: Path):
    for name in ("one", "two"):
        write_warehouse(str(tmp_path / name), scale=0.1)

    assert change_some(str(tmp_path / "one"), seed=3) == change_some(str(tmp_path / "two"), seed=3)


def test_the_company_can_have_several_days(tmp_path: Path):
    """New ids go on where the last day stopped, and money stays what plan and seats say."""
    path = str(tmp_path / "w")
    counts = write_warehouse(path, scale=0.1)

    for seed in range(12):
        change_some(path, seed=seed)

    after = snapshot(path)
    assert counts["accounts"] + 12 == len(after["accounts"])
    assert counts["users"] + 36 == len(after["users"])
    with duckdb.connect(path, read_only=True) as connection:
        upgraded = "SELECT count(*) FROM accounts WHERE plan = 'enterprise' AND mrr <> seats * 59.99"
        assert connection.execute(upgraded).fetchone() == (0,)

"""Promises of the project folders: whole, fitting the sample warehouse, and never over a person's files."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from headrace.sample import demo_project, starter_project
from headrace.sample.warehouse import TABLES


def load(path: Path) -> dict:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def columns_read(rule: object) -> set[str]:
    """Every column that a rule names, to any depth."""
    if isinstance(rule, list):
        return set().union(*(columns_read(inner) for inner in rule))
    if not isinstance(rule, dict):
        return set()
    own = {rule["column"]} if isinstance(rule.get("column"), str) else set()
    return own.union(*(columns_read(inner) for key, inner in rule.items() if key != "static"))


def test_the_demo_points_at_the_emulator_it_was_given(tmp_path: Path):
    demo_project(tmp_path, "http://127.0.0.1:9123/")

    vitally = load(tmp_path / "headrace.yaml")["destinations"]["vitally"]
    assert "http://127.0.0.1:9123" == vitally["rest_url"] == vitally["analytics_url"]
    assert vitally["rate_limit"] == "none"


def test_the_demo_maps_only_columns_that_the_warehouse_has(tmp_path: Path):
    """What a model computes is named here; all else is a column of the table of the same name."""
    computed = {"accounts": {"arr"}, "usage": {"actions", "people", "last_action_at"}}
    tables = {"usage": "accounts", "events": "product_events"}
    demo_project(tmp_path)

    project = load(tmp_path / "headrace.yaml")
    assert list(project["syncs"]) == ["organizations", "accounts", "users", "usage", "events"]
    assert {"rest_objects", "analytics_objects", "events"} == {one["type"] for one in project["syncs"].values()}
    for name, sync in project["syncs"].items():
        table = TABLES[tables.get(name, name)]
        rules = [
            sync[part] for part in ("match", "fields", "event", "timestamp", "traits", "properties") if part in sync
        ]
        assert columns_read(rules) <= {*table, *computed.get(name, ())}
        assert project["models"][name]["primary_key"] in table


def test_the_starter_maps_only_columns_of_its_csv(tmp_path: Path):
    starter_project(tmp_path / "new" / "folder")

    folder = tmp_path / "new" / "folder"
    header = (folder / "accounts.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    sync = load(folder / "headrace.yaml")["syncs"]["accounts"]
    assert columns_read([sync["match"], sync["fields"]]) <= set(header)
    assert {".env", ".headrace/"} == set((folder / ".gitignore").read_text().split())


@pytest.mark.parametrize("write_project", [demo_project, starter_project])
def test_it_refuses_to_overwrite_and_writes_nothing_then(tmp_path: Path, write_project):
    """Somebody runs `init` in a folder with a .env full of real keys."""
    (tmp_path / ".env").write_text("REAL=1")

    with pytest.raises(FileExistsError, match=r"\.env"):
        write_project(tmp_path)

    assert [tmp_path / ".env"] == list(tmp_path.iterdir())
    assert (tmp_path / ".env").read_text() == "REAL=1"


@pytest.mark.parametrize("write_project", [demo_project, starter_project])
def test_it_tells_what_it_wrote(tmp_path: Path, write_project):
    written = write_project(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted(written)

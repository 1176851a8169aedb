"""Each primary key once for the life of the sync: what the plan of events rests on. (Promise 4)"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.destinations.vitally import SPEC
from headrace.domain.config import SyncConfig
from headrace.domain.mapping import compile_mapping
from headrace.domain.outcome import Change
from headrace.engine.extract import Extraction, prove_columns

from .world import MemorySource, World, changes, keys_of, source

SPEAKS = pytest.mark.parametrize("speaks", [False, True], ids=["staged", "streamed"])
Rows = dict[int, int]


def events(properties: list[str] | None = None) -> SyncConfig:
    return SyncConfig.model_validate(
        {
            "model": "m",
            "destination": "d",
            "type": "events",
            "event": {"static": "Seen"},
            "fields": {"userId": {"column": "m"}},
            "properties": {name: {"column": name} for name in properties or ["n"]},
        }
    )


def rows_of(rows: Rows, *, speaks: bool) -> MemorySource:
    return source(*({"id": key, "m": "u", "a": "x", "n": n} for key, n in rows.items()), speaks=speaks)


def deliver(world: World, rows: Rows, *, speaks: bool = True, sync: SyncConfig | None = None, **options: Any):
    return world.deliver(rows_of(rows, speaks=speaks), sync or events(), once=True, **options)


@SPEAKS
def test_a_change_a_departure_and_a_return_plan_nothing(speaks: bool, world: World):
    assert {"1": "added", "2": "added"} == changes(deliver(world, {1: 1, 2: 2}, speaks=speaks))

    for rows in ({1: 5, 2: 2}, {2: 2}, {1: 9, 2: 2}, {}, {1: 1}):
        plan = world.make(rows_of(rows, speaks=speaks), events(), once=True)
        assert (len(rows), 0, 0) == (plan.counts.unchanged, plan.counts.removed, plan.to_send)
        assert not plan.must_fold


@SPEAKS
def test_a_failed_event_is_planned_again_with_its_newest_values(speaks: bool, world: World):
    world.make(rows_of({1: 1, 2: 2}, speaks=speaks), events(), once=True)
    world.record({0: "delivered"})
    delivered = next(row.key for row in world.plan.rows() if row.position == 0)

    planned = deliver(world, {1: 7, 2: 7}, speaks=speaks)

    assert {"1", "2"} - {delivered} == set(planned)
    assert [7] == [row.values[1] for row in planned.values()]


@SPEAKS
def test_another_mapping_plans_no_sent_event_again(speaks: bool, world: World):
    deliver(world, {1: 1, 2: 2}, speaks=speaks)

    assert {"3": "added"} == changes(deliver(world, {1: 1, 2: 2, 3: 3}, speaks=speaks, sync=events(["n", "a"])))
    assert {} == deliver(world, {1: 1, 2: 2, 3: 3}, speaks=speaks, sync=events(["n", "a"]))


@SPEAKS
def test_a_full_resync_plans_every_present_row(speaks: bool, world: World):
    deliver(world, {1: 1, 2: 2, 3: 3}, speaks=speaks)

    assert {"1": "changed", "2": "changed", "4": "added"} == changes(
        deliver(world, {1: 1, 2: 2, 4: 4}, speaks=speaks, full_resync=True)
    )
    assert {} == deliver(world, {1: 1, 2: 2, 3: 3, 4: 4}, speaks=speaks)


@SPEAKS
def test_repeated_keys_are_invalid_also_when_rows_have_left(speaks: bool, world: World):
    deliver(world, {1: 1, 2: 2, 3: 3}, speaks=speaks)
    twice = source(*({"id": key, "m": "u", "a": "x", "n": 1} for key in (3, 4, 4, 3)), speaks=speaks)

    plan = world.make(twice, events(), once=True)

    assert 4 == plan.counts.invalid
    assert [] == keys_of(plan, Change.ADDED)
    assert {"3": 2, "4": 2} == {key: copies for batch in plan.invalid() for key, _, copies in batch}


def test_an_object_without_a_match_reads_no_column_for_one():
    table = rows_of({1: 1}, speaks=True)
    columns = table.columns(None)
    target = SPEC.sync_type("events").object(None)
    mapping = compile_mapping(events(), target, columns, {})
    extraction = Extraction(None, prove_columns(columns, ["id"]), mapping.columns, mapping.match)

    assert mapping.match is None
    assert extraction.match_is_key
    assert {"id", "m", "n"} == set(extraction.needed)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.integers(1, 6), st.integers(0, 2), max_size=6), min_size=1, max_size=6))
def test_whatever_the_rows_do_each_key_is_planned_once(tmp_path_factory: Any, story: list[Rows]):
    for speaks in (False, True):
        world = World(tmp_path_factory.mktemp("once"))
        seen: set[str] = set()
        for rows in story:
            planned = set(deliver(world, rows, speaks=speaks))
            assert planned == {str(key) for key in rows} - seen
            seen |= planned


def test_keys_of_text_are_told_apart_too(world: World):
    texts = MemorySource(pa.table({"id": ["a", "b"], "m": ["u", "u"], "a": ["x", "x"], "n": [1, 2]}))

    assert {"a": "added", "b": "added"} == changes(world.deliver(texts, events(), once=True))
    assert {} == world.deliver(texts, events(), once=True)

"""What protects a plan: the guard and its approval, baselines, crashes, sources that die, memory that is short."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from headrace.domain.errors import SourceError, WorldError

from .world import MemorySource, World, changes, row, source, sync_of

SYNC = sync_of(["a", "n"])
BOTH_WAYS = pytest.mark.parametrize("speaks", [True, False], ids=["pushed down", "streamed"])


def test_a_baseline_takes_the_rows_as_delivered(world: World):
    world.deliver(source(row(1), row(2)), SYNC, baseline=True)

    assert {"2": "changed"} == changes(world.deliver(source(row(1), row(2, a="y")), SYNC))


def test_a_baseline_over_a_shrunken_model_is_not_held(world: World):
    """It sends nothing, so there is nothing to guard; it is what a person asks for after a clean-up."""
    sync = sync_of(["a", "n"], removed="delete")
    world.deliver(source(*map(row, range(20))), sync)

    assert None is world.make(source(row(1)), sync, baseline=True).hold
    assert (0, 1) == ((after := world.make(source(row(1)), sync)).to_send, after.counts.unchanged)


@pytest.mark.parametrize(
    ("left", "removed", "held"),
    [
        (20, "delete", False),
        (9, "delete", True),
        (9, "clear", True),
        (9, "ignore", False),
        (0, "delete", True),
        (10, "delete", False),
    ],
)
def test_a_result_that_shrank_is_held(world: World, left: int, removed: str, held: bool):
    sync = sync_of(["a", "n"], removed=removed)
    world.deliver(source(*map(row, range(20))), sync)

    assert held == (world.make(source(*map(row, range(left))), sync).hold is not None)


def test_match_values_that_change_count_as_removals_for_the_guard(world: World):
    """A cast that puts a dot into every id would delete all records and make them anew."""
    sync = sync_of(["a"], "m", removed="delete")
    world.deliver(source(*(row(n, m=f"m{n}") for n in range(20))), sync)

    hold = world.make(source(*(row(n, m=f"m{n}.0") for n in range(20))), sync).hold

    assert (20, 20) == (hold and hold.removed, hold and hold.known)


@BOTH_WAYS
def test_another_match_column_counts_as_removals_for_the_guard(world: World, speaks: bool):
    """Matched on the key from now on: every old record would be deleted, and no row was removed at all."""
    world.deliver(source(*map(row, range(20)), speaks=speaks), sync_of(["a"], "m", removed="delete"))

    plan = world.make(source(*map(row, range(20)), speaks=speaks), sync_of(["a"], "id", removed="delete"))
    plan.keep_removals(str(world.folder / "held"))

    assert (20, 20) == (plan.hold and plan.hold.removed, plan.hold and plan.hold.known)
    assert 0 == plan.removals_not_in(str(world.folder / "held"))
    assert 20 == plan.removals_not_in(str(world.folder / "gone"))


def test_an_old_match_value_that_is_another_rows_key_now_removes_nothing(world: World):
    world.deliver(source(row(1, m="2"), row(2, m="x")), sync_of(["a"], "m", removed="delete"))

    plan = world.make(source(row(1, m="2"), row(2, m="x")), sync_of(["a"], "id", removed="delete"))

    assert {("1", None), ("2", "x")} == {(one.key, one.old_match) for one in plan.rows()}


def test_an_approval_is_for_the_removals_that_were_held(world: World, tmp_path: Path):
    sync = sync_of(["a", "n"], removed="delete")
    held = str(tmp_path / "held.parquet")
    world.deliver(source(*map(row, range(20))), sync)
    world.make(source(*map(row, range(5))), sync).keep_removals(held)

    same, more = world.make(source(*map(row, range(6))), sync), None
    unseen = same.removals_not_in(held)
    more = world.make(source(*map(row, range(4))), sync)

    assert (0, 1) == (unseen, more.removals_not_in(held))
    assert 16 == more.removals_not_in(str(tmp_path / "gone.parquet"))


def test_a_plan_that_a_crash_left_half_written_is_not_folded(world: World):
    """kill -9 while the plan is written: nothing was sent from it, and the next run must not stumble over it."""
    (world.folder / "planned.duckdb.part").write_bytes(b"half a file")

    assert {"1": "added"} == changes(world.deliver(source(row(1)), SYNC))
    assert [] == list(world.folder.glob("*.part*"))


def test_a_ledger_that_was_never_folded_into_is_an_empty_one(world: World):
    duckdb.connect(str(world.ledger)).close()

    assert {"1": "added"} == changes(world.deliver(source(row(1)), SYNC))


def test_a_damaged_ledger_is_told_and_left_alone(world: World):
    world.ledger.write_bytes(b"no database at all" * 1000)

    with pytest.raises(WorldError) as caught:
        world.make(source(row(1)), SYNC)

    assert "ledger_unreadable" == caught.value.code
    assert world.ledger.read_bytes().startswith(b"no database")


class CutSource(MemorySource):
    """Dies after its first rows."""

    def read(self, *arguments: Any, **options: Any) -> Any:
        def batches() -> Any:
            yield from self.table.select(options["columns"]).to_batches()
            raise SourceError("the connection died", code="source_failed")

        @contextmanager
        def reading() -> Any:
            schema = self.table.select(options["columns"]).schema
            yield pa.RecordBatchReader.from_batches(schema, batches())

        return reading()


def test_a_source_that_dies_in_mid_read_never_looks_like_a_shorter_table(world: World):
    sync = sync_of(["a", "n"], removed="delete")
    world.deliver(source(row(1), row(2)), sync)

    with pytest.raises(WorldError) as caught:
        world.make(CutSource(source(row(1)).table), sync)

    assert ("source_failed", "the connection died") == (caught.value.code, caught.value.message)
    assert 2 == world.make(source(row(1), row(2)), sync).counts.unchanged


class RestlessSource(MemorySource):
    """Somebody loads the table between the planner's two reads: one row leaves, one comes twice."""

    def read(self, *arguments: Any, **options: Any) -> Any:
        if self.reads == 1:
            self.table = self.table.slice(1)
            self.table = pa.concat_tables([self.table, self.table.slice(0, 1)])
        return super().read(*arguments, **options)


def test_rows_that_come_and_go_between_two_reads_are_left_for_the_next_run(world: World):
    """What is sent is what was read; a key in two rows must never enter the ledger twice."""
    world.deliver(source(row(9), speaks=True), SYNC)
    restless = RestlessSource(source(row(1), row(2), row(3), row(9)).table, speaks_duckdb=True)

    plan = world.make(restless, SYNC)

    assert ["3"] == [one.key for one in plan.rows()]
    assert (1, 2) == (plan.counts.added, plan.counts.rows)


@pytest.mark.slow
@BOTH_WAYS
def test_a_plan_larger_than_its_memory_spills(world: World, speaks: bool):
    """The smallest memory that the settings allow; the rows take several times as much."""
    count = 300_000
    wide = pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "m": pa.array([f"m{n}" for n in range(count)]),
            "a": pa.array([f"{n} " * 40 for n in range(count)]),
            "n": pa.array(range(count), pa.int64()),
        }
    )

    plan = world.make(MemorySource(wide, speaks_duckdb=speaks), SYNC, memory_limit_mb=86)

    assert (count, count) == (plan.counts.added, plan.to_send)
    assert count == sum(1 for _ in plan.rows(old=False))

"""What a plan promises beside its counts: drift, another hash, generations, match values, keys."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pyarrow as pa
import pytest

from headrace.domain.outcome import Change

from .world import World, changes, keys_of, row, source, sync_of

SYNC = sync_of(["a", "n"])
BOTH_WAYS = pytest.mark.parametrize("speaks", [True, False], ids=["pushed down", "streamed"])


@BOTH_WAYS
@pytest.mark.parametrize("kind", [pa.int32(), pa.float64(), pa.uint64(), pa.decimal128(10, 2)])
def test_a_number_column_that_changes_its_type_sends_nothing_again(world: World, speaks: bool, kind: pa.DataType):
    """Someone casts in the SQL, or a warehouse widens a column: no value changed."""
    world.deliver(source(row(1), row(2, n=None), speaks=speaks), SYNC)

    found = world.deliver(source(row(1), row(2, n=None), row(3), speaks=speaks, n=kind), SYNC)

    assert {"3": "added"} == changes(found)


@BOTH_WAYS
def test_an_empty_text_column_that_becomes_numbers_sends_only_those_that_came(world: World, speaks: bool):
    """A column that is all null has no type of its own; sources call it text."""
    world.deliver(source(row(1, n=None), row(2, n=None), speaks=speaks, n=pa.string()), SYNC)

    assert {"2": "changed"} == changes(world.deliver(source(row(1, n=None), row(2), speaks=speaks), SYNC))


@BOTH_WAYS
def test_text_that_becomes_a_number_is_sent_again(world: World, speaks: bool):
    """ "1" and 1 are different JSON: Vitally's filter on numbers would not find the text."""
    world.deliver(source(row(1, n="1"), row(2, n=None), speaks=speaks, n=pa.string()), SYNC)

    assert {"1": "changed"} == changes(world.deliver(source(row(1), row(2, n=None), speaks=speaks), SYNC))


@BOTH_WAYS
def test_a_key_that_changes_its_type_stays_the_same_key(world: World, speaks: bool):
    world.deliver(source(row(1), row(2), speaks=speaks), SYNC)

    found = world.deliver(source(row("1"), row("2", a="y"), speaks=speaks, id=pa.string()), sync_of(["a", "n"]))

    assert {"1", "2"} == set(found)
    assert {"changed"} == {one.change.value for one in found.values()}  # the match value is text now


@BOTH_WAYS
def test_a_new_version_of_the_hash_sends_nothing_again(world: World, speaks: bool):
    """DuckDB may change its hash in any release; then every row would look changed at once."""
    rows = [row(1), row(2), row(3, n=None)]
    world.deliver(source(*rows, speaks=speaks), SYNC)
    with duckdb.connect(str(world.ledger)) as ledger:
        ledger.execute("UPDATE meta SET probe = 'of another version'")
        ledger.execute("UPDATE rows SET hash = hash + 1, intended = xor(hash + 1, mapping)")

    first = world.deliver(source(*rows[:2], row(3, n=3), speaks=speaks), SYNC)
    second = world.make(source(*rows[:2], row(3, n=3), speaks=speaks), SYNC)

    assert {"3": "changed"} == changes(first)
    assert (0, 3) == (second.to_send, second.counts.unchanged)
    with duckdb.connect(str(world.ledger), read_only=True) as ledger:
        assert [] == ledger.execute("SELECT * FROM meta WHERE probe = 'of another version'").fetchall()


@BOTH_WAYS
def test_there_and_back_again_has_three_generations_and_a_retry_has_the_same(world: World, speaks: bool):
    """A -> B -> A: the third write must not carry the first one's message id, a retry must carry its own."""
    generations = []
    for value, outcome in [
        ("A", "delivered"),
        ("B", "delivered"),
        ("A", "owed"),
        ("A", "delivered"),
        ("B", "rejected"),
    ]:
        plan = world.make(source(row(1, a=value), speaks=speaks), SYNC)
        (planned,) = plan.rows()
        generations.append(planned.generation)
        world.record({0: outcome})
    world.make(source(row(1, a="A"), speaks=speaks), SYNC)  # as delivered, but a B may have arrived in between

    assert [1, 2, 3, 3, 4] == generations


@BOTH_WAYS
def test_a_row_that_is_gone_is_counted_once_and_sends_nothing_when_it_returns(world: World, speaks: bool):
    """Under `ignore` its record is as it was left."""
    world.deliver(source(row(1), row(2), speaks=speaks), SYNC)
    removed = []
    for rows in ([row(1)], [row(1)], [row(1), row(2)], [row(1), row(2)]):
        plan = world.make(source(*rows, speaks=speaks), SYNC)
        removed.append((plan.counts.removed, plan.to_send, plan.counts.unchanged))

    assert [(1, 0, 1), (0, 0, 1), (0, 0, 2), (0, 0, 2)] == removed


def test_a_removal_is_planned_until_it_is_acknowledged_and_the_tombstone_keeps_the_count(world: World):
    sync = sync_of(["a", "n"], removed="delete")
    world.deliver(source(row(1), row(2)), sync)
    world.make(source(row(1)), sync)
    world.record({0: "rejected"})

    again = world.deliver(source(row(1)), sync)
    nothing = world.make(source(row(1)), sync)
    back = world.deliver(source(row(1), row(2)), sync)

    assert ("removed", 2, (2, "x", 1), "2") == (
        again["2"].change.value,
        again["2"].generation,
        again["2"].old,
        again["2"].old_match,
    )
    assert (0, 0) == (nothing.to_send, nothing.counts.removed)
    assert ("added", 3) == (back["2"].change.value, back["2"].generation)


def test_a_rejected_removal_survives_a_change_of_types(world: World):
    """The ledger is written anew then; what was last intended is not forgotten."""
    sync = sync_of(["a", "n"], removed="delete")
    world.deliver(source(row(1), row(2)), sync)
    world.make(source(row(1, a="y")), sync)
    world.record({0: "owed", 1: "owed"})
    world.make(source(row(1, a="z"), n=pa.float64()), sync, keys=("1",))

    plan = world.make(source(row(1, a="z"), n=pa.float64()), sync)

    assert [("2", 2)] == [(one.key, one.generation) for one in plan.rows(Change.REMOVED)]


def test_a_match_value_that_moved_to_another_key_removes_no_record(world: World):
    """The record lives on under its new key: a removal would delete what was just written."""
    sync = sync_of(["a"], "m", removed="delete")
    world.deliver(source(row(1, m="x"), row(2, m="y")), sync)

    plan = world.make(source(row(2, m="y"), row(3, m="x")), sync)

    assert (["3"], []) == (keys_of(plan, Change.ADDED), keys_of(plan, Change.REMOVED))


def test_rows_that_swap_match_values_remove_no_record(world: World):
    sync = sync_of(["a"], "m", removed="delete")
    world.deliver(source(row(1, m="x"), row(2, m="y")), sync)

    plan = world.make(source(row(1, m="y"), row(2, m="x")), sync)

    assert {("1", None), ("2", None)} == {(one.key, one.old_match) for one in plan.rows()}
    assert all(one.parents_changed for one in plan.rows())


def test_a_changed_match_value_tells_the_old_one(world: World):
    sync = sync_of(["a"], "m", removed="delete")
    world.deliver(source(row(1, m="x")), sync)

    (planned,) = world.make(source(row(1, m="z")), sync).rows()

    assert ("changed", "x", ("z", "x")) == (planned.change.value, planned.old_match, planned.values)


def test_a_second_row_with_the_same_match_value_is_found_even_beside_an_unchanged_one(world: World):
    """It would write to the record of a row that is not even in the plan."""
    sync = sync_of(["a"], "m")
    world.deliver(source(row(1, m="x")), sync)

    (planned,) = world.make(source(row(1, m="x"), row(2, m="x")), sync).rows()

    assert ("2", "match_value_duplicate") == (planned.key, planned.fault and planned.fault.code)


@BOTH_WAYS
def test_a_key_that_is_repeated_is_invalid_and_not_removed(world: World, speaks: bool):
    sync = sync_of(["a", "n"], removed="delete")
    world.deliver(source(row(1), row(2), speaks=speaks), sync)

    plan = world.make(source(row(1), row(1, a="y"), row(2), row(None), row(None), speaks=speaks), sync)

    assert (5, 4, 1, 0) == (plan.counts.rows, plan.counts.invalid, plan.counts.unchanged, plan.counts.removed)
    assert [("", "primary_key_null", 2), ("1", "primary_key_duplicate", 2)] == [
        one for some in plan.invalid() for one in some
    ]
    assert 0 == plan.to_send


@BOTH_WAYS
@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_part_of_a_composite_key_is_no_key(world: World, speaks: bool, blank: str | None):
    rows = [row(1, m="x"), row(1, m=blank), row(2, m='a","b')]

    plan = world.make(source(*rows, speaks=speaks), SYNC, ("id", "m"))

    assert 1 == plan.counts.invalid
    assert ['["1","x"]', r'["2","a\",\"b"]'] == keys_of(plan, Change.ADDED)


def test_neighbouring_keys_do_not_collide(world: World):
    """("ab", "c") and ("a", "bc") are two rows."""
    rows = [row("ab", m="c"), row("a", m="bc")]

    assert 2 == world.make(source(*rows, id=pa.string()), SYNC, ("id", "m")).counts.added


def test_only_the_chosen_keys_are_sent_and_the_rest_stays_as_it_was(world: World):
    chosen = world.deliver(source(row(1), row(2)), SYNC, keys=("2", "9"))
    rest = world.deliver(source(row(1), row(2)), SYNC)

    assert {"2": "added"} == changes(chosen)
    assert {"1": "added"} == changes(rest)


def test_a_full_resync_plans_everything_again_and_generations_go_on(world: World):
    world.deliver(source(row(1)), SYNC)

    found = world.deliver(source(row(1)), SYNC, full_resync=True)

    assert ("changed", 2, "full resync", True) == (
        found["1"].change.value,
        found["1"].generation,
        found["1"].reason,
        found["1"].parents_changed,
    )


def test_a_changed_mapping_says_how_many_rows_it_sends_again(world: World):
    world.deliver(source(row(1), row(2)), SYNC)

    plan = world.make(source(row(1), row(2)), sync_of(["a", "n", "m"]))

    assert (2, {"mapping changed"}) == (plan.mapping_changed, {one.reason for one in plan.rows()})
    assert any("2 rows are sent again" in note for note in plan.notes)


def test_parents_count_as_changed_where_the_last_value_was_only_skipped(world: World):
    """An update that found no record delivered no parent: the record, once there, has the old one."""
    sync = sync_of(["a"], fields={"organizationId": {"column": "m"}}, mode="update")
    world.deliver(source(row(1, m="o1")), sync)
    world.make(source(row(1, m="o2")), sync)
    world.record({0: "skipped"}, "record_not_found")

    (planned,) = world.make(source(row(1, m="o2")), sync, recheck_skipped_after=timedelta(0)).rows()

    assert planned.parents_changed


def test_a_skipped_row_is_asked_again_only_when_it_is_time(world: World):
    sync = sync_of(["a"], mode="update")
    world.make(source(row(1)), sync)
    world.record({0: "skipped"}, "record_not_found")

    counts = [
        world.make(source(row(1)), sync, recheck_skipped_after=after).to_send
        for after in (timedelta(hours=1), timedelta(0))
    ]
    counts.append(world.make(source(row(1)), sync_of(["a"], mode="insert")).to_send)

    assert [0, 1, 1] == counts


@BOTH_WAYS
def test_only_the_columns_that_a_template_reads_make_a_row_change(world: World, speaks: bool):
    """A template is hashed by what it reads: not less, else changes stay unsent; not more, else all is sent again."""
    named = sync_of([], fields={"name": {"template": "{% if row.n > 0 %}{{ run.id }}{% endif %}"}})
    world.deliver(source(row(1), row(2), speaks=speaks), named)

    assert {"2": "changed"} == changes(world.deliver(source(row(1, a="y"), row(2, n=7), speaks=speaks), named))


@BOTH_WAYS
def test_every_column_makes_a_row_change_whose_template_takes_it_whole(world: World, speaks: bool):
    """Which column it will look at is known only when it runs."""
    whole = sync_of([], fields={"name": {"template": "{% for pair in row %}{{ pair[1] }}{% endfor %}"}})
    world.deliver(source(row(1), row(2), speaks=speaks), whole)

    assert {"1": "changed"} == changes(world.deliver(source(row(1, a="y"), row(2), speaks=speaks), whole))

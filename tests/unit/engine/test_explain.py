"""The plan's first reader: it sends nothing, and what it shows is what the second reader sends."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from headrace.destinations.vitally import SPEC
from headrace.domain.config import ModelConfig, SyncConfig
from headrace.domain.mapping import compile_mapping
from headrace.domain.outcome import Change
from headrace.engine.explain import Explanation, explain
from headrace.engine.job import Job, Paths

from .fakes import MemoryIdentities, MemoryLog, PlainDestination, said
from .sending import Sending, sync_of
from .world import QUERY, VARIABLES, MemorySource, World, table_of

SYNC = sync_of(removed="delete")
TEXTS = {"id": pa.string(), "name": pa.string(), "org": pa.string()}


def source(*rows: tuple[str, str | None, str | None]) -> MemorySource:
    return MemorySource(table_of([dict(zip(TEXTS, row, strict=True)) for row in rows], **TEXTS))


def explained(
    world: World, source: MemorySource, requests: int = 100, known: Any = None, sync: SyncConfig = SYNC
) -> Explanation:
    plan = world.make(source, sync)
    target = SPEC.sync_types[0].object("account")
    assert target is not None
    mapping = compile_mapping(sync, target, source.columns(QUERY), VARIABLES)
    model = ModelConfig(source="w", table="rows", primary_key=["id"])
    paths = Paths("", "", "", "", "")
    job = Job("s", sync, "m", model, source, PlainDestination(), target, paths, "default", 256)  # type: ignore[arg-type]
    return explain(plan, mapping, job, MemoryIdentities(known or {}, MemoryLog()), requests)


def test_what_is_shown_is_what_is_sent(world: World):
    """A dry run that shows other requests than the run sends is worse than none."""
    known = {("organization", "o1"): "v"}
    world.deliver(source(("1", "Old", "o1"), ("2", "Gone", None)), SYNC)
    rows = source(("1", "New", "o1"), ("3", "Added", "o1"), ("4", None, None))

    shown = explained(world, rows, known=known)
    assert world.plan is not None
    sending = Sending(lambda _request: said(200), sync=SYNC, known=known, concurrency=1)
    sending.deliver(list(world.plan.rows()))

    assert sorted([one.request for one in shown.requests]) == sorted(request for _, request in sending.transport.sent)
    assert {"1", "2", "3"} == {key for one in shown.requests for key in one.keys}


def test_a_parent_that_must_be_looked_up_is_shown_in_its_place(world: World):
    shown = explained(world, source(("1", "Acme", "o1")))

    assert ["GET", "PUT"] == [one.request.method for one in shown.requests]
    assert "looked up once" in shown.requests[0].note


def test_counts_samples_and_faults_are_told(world: World):
    world.deliver(source(("1", "Old", "o1"), ("2", "Gone", None)), SYNC)

    shown = explained(world, source(("1", "New", "o1"), ("3", None, None), ("4", "Twice", None), ("4", "Twice", None)))

    samples = {one.key: one for one in shown.samples}
    assert {"upsert": 2, "delete": 1} == shown.operations
    assert (4, 1, 1, 1, 2) == (
        shown.counts.rows,
        shown.counts.added,
        shown.counts.changed,
        shown.counts.removed,
        shown.counts.invalid,
    )
    assert [("name", "Old", "New")] == [(one.column, one.old, one.new) for one in samples["1"].fields]
    assert Change.REMOVED is samples["2"].change
    assert "field_required" == (samples["3"].fault and samples["3"].fault.code)
    assert (("4", "primary_key_duplicate", 2),) == shown.invalid


def test_no_more_requests_are_shown_than_were_asked_for(world: World):
    many = source(*((str(number), "Acme", None) for number in range(50)))

    assert [7, 0] == [len(explained(world, many, requests).requests) for requests in (7, 0)]


def test_a_value_that_stayed_what_it_was_is_no_change_even_where_it_is_not_a_number(world: World):
    """NaN is not equal to itself; shown as `NaN -> NaN` it would send people looking for a change that is none."""
    kinds = {"id": pa.string(), "ratio": pa.float64(), "plan": pa.string()}
    rules = {"ratio": {"column": "ratio", "as": "string"}, "plan": {"column": "plan"}}
    sync = sync_of(fields={"name": {"static": "Acme"}, "traits": {"object": rules}})
    before, after = (
        MemorySource(table_of([{"id": "1", "ratio": float("nan"), "plan": plan}], **kinds)) for plan in ("free", "pro")
    )
    world.deliver(before, sync)

    (sample,) = explained(world, after, sync=sync).samples

    assert [("plan", "free", "pro")] == [(one.column, one.old, one.new) for one in sample.fields]

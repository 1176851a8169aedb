"""Settings of an object, and records that only their own id, or the right source, names to Vitally."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.domain.spec import Mode, ObjectSpec

from .test_modes import on_existing
from .world import REST, World, every_field, settings_of, text_of

NEEDED = {("note", "update"): "source", ("task", "update"): "source"}
NEEDED |= {("custom_object_instance", mode): "custom_object" for mode in ("upsert", "update", "insert")}
"""(object, mode) -> the setting that it can't do without, matched on externalId."""
WITH_SETTINGS = [
    pytest.param(spec, mode, id=f"{spec.name}-{mode}")
    for spec in REST.values()
    if spec.settings is not None
    for mode in sorted(spec.modes)
]


@pytest.mark.parametrize(("spec", "mode"), WITH_SETTINGS)
def test_a_setting_that_is_needed_and_not_given_is_a_finding(spec: ObjectSpec, mode: Mode, world: World):
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "r-1", **columns})
    needed = NEEDED.get((spec.name, mode))
    for given in ({}, dict.fromkeys(settings_of(spec), "  ")):
        findings = world.findings(spec.name, rules, mode=mode, settings=given)
        assert ([("field_required", f"syncs.the-sync.settings.{needed}")] if needed else []) == findings


def test_a_setting_that_the_object_does_not_have_is_a_finding(world: World):
    for spec in REST.values():
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "r-1", **columns})
        findings = world.findings(spec.name, rules, settings={**settings_of(spec), "sauce": "hubspot"})
        where = "syncs.the-sync.settings" + (".sauce" if spec.settings else "")
        assert [("unknown_key", where)] == findings


# Records that only their own id surely names ----------------------------------------------------------------------

NAMED_BY_OWN_ID = pytest.mark.parametrize(
    "spec", [pytest.param(spec, id=name) for name, spec in REST.items() if spec.named_by_own_id]
)


@NAMED_BY_OWN_ID
def test_without_a_source_what_we_made_is_found_by_the_id_that_was_kept(spec: ObjectSpec, tmp_path: Path):
    """What source Vitally gives to records of ours is documented nowhere: we must not depend on knowing it."""
    with World(tmp_path, **on_existing("409")) as world:
        world.arrange(spec)
        columns, rules = every_field(spec)
        rows = [{"key": key, "ref": f"r-{key}", **columns} for key in ("1", "2")]
        world.rows(*rows)
        world.sync(spec.name, rules, settings={}, removed="delete")
        world.run()
        world.rows({**rows[0], text_of(spec): "Newer"})

        ran = world.run()

        assert {"1": ("delivered", None), "2": ("delivered", None)} == ran.outcomes
        assert "Newer" == world.held(spec.name)["r-1"][text_of(spec)]
        assert world.is_gone(spec.name, "r-2")
        assert {"PUT", "DELETE"} == {one.method for one in ran.requests}, "nothing is asked"


@NAMED_BY_OWN_ID
def test_a_kept_id_whose_record_is_gone_is_dropped_and_the_record_made_anew(spec: ObjectSpec, world: World):
    """Somebody deleted the record, and another one has its external id now, or none."""
    world.arrange(spec)
    columns, rules = every_field(spec)
    rows = [{"key": key, "ref": f"r-{key}", **columns} for key in ("1", "2")]
    world.rows(*rows)
    world.sync(spec.name, rules, settings={})
    world.run()
    world.remove(spec.name, "r-1")
    world.remove(spec.name, "r-2")
    world.there(spec, "r-2")
    world.rows(*({**row, text_of(spec): "Newer"} for row in rows))

    assert {"1": ("delivered", None), "2": ("delivered", None)} == world.run().outcomes
    assert ["Newer", "Newer"] == [world.held(spec.name)[ref][text_of(spec)] for ref in ("r-1", "r-2")]
    world.rows(*({**row, text_of(spec): "Newest"} for row in rows))
    assert {"PUT"} == {one.method for one in world.run().requests}, "the new ids are kept"


@NAMED_BY_OWN_ID
def test_a_creation_without_an_answer_is_sent_again_where_no_source_is_known(spec: ObjectSpec, world: World):
    """Vitally says that these are unique on their external id: the second one updates the first."""
    world.arrange(spec)
    world.vitally.add_fault(match={"method": "POST"}, action="drop_after", times=1)
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "new", **columns})
    world.sync(spec.name, rules, settings={})

    ran = world.run()

    assert {"1": ("delivered", None)} == ran.outcomes
    assert ["POST", "POST"] == [one.method for one in ran.requests if one.method != "GET"]
    assert ["new"] == list(world.held(spec.name))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("rejected", "destination_rejected")),
        ({"source": "another"}, ("rejected", "destination_rejected")),
        ({"source": "Source-1"}, ("delivered", None)),
    ],
    ids=str,
)
@NAMED_BY_OWN_ID
def test_a_refused_creation_is_an_update_only_where_the_source_finds_the_record(
    spec: ObjectSpec, settings: dict[str, str], expected: tuple[str, str | None], tmp_path: Path
):
    """That POST updates is Vitally's word for tasks and implied for notes. Should it refuse, the row says so."""
    with World(tmp_path, **on_existing("409")) as world:
        world.arrange(spec)
        world.there(spec, "there", source="source-1")
        columns, rules = every_field(spec)
        world.rows({"key": "1", "ref": "there", **columns})
        world.sync(spec.name, rules, settings=settings)

        ran = world.run()

        assert {"1": expected} == ran.outcomes
        if expected[1]:
            assert "already exists" in (ran.messages["1"] or "")


@NAMED_BY_OWN_ID
def test_an_update_under_a_wrong_source_is_skipped_and_says_why(spec: ObjectSpec, world: World):
    world.arrange(spec)
    world.there(spec, "there", source="source-1")
    columns, rules = every_field(spec)
    world.rows({"key": "1", "ref": "there", **columns})
    world.sync(spec.name, rules, mode="update", settings={"source": "another"})

    ran = world.run()

    assert {"1": ("skipped", "record_not_found")} == ran.outcomes
    assert "source" in (ran.messages["1"] or "")


@pytest.mark.parametrize("rule", ["clear", "delete"])
@pytest.mark.parametrize("settings", [{}, {"source": "another"}], ids=str)
@NAMED_BY_OWN_ID
def test_a_removal_that_finds_no_record_is_never_called_done(
    spec: ObjectSpec, settings: dict[str, str], rule: str, world: World
):
    """The record may well be there, under another source: to say that it was deleted would be a lie."""
    world.arrange(spec)
    columns, rules = every_field(spec)
    rows = [{"key": key, "ref": f"r-{key}", **columns} for key in ("1", "2")]
    world.vitally.add_fault(match={"method": "POST", "body": "r-2"}, status=200, body={}, times=1)
    world.rows(*rows)
    world.sync(spec.name, rules, settings=settings, removed=rule)
    world.run()
    world.there(spec, "r-2", source="source-1")
    world.rows(rows[0])

    assert {"2": ("skipped", "record_not_found")} == world.run().outcomes
    assert not world.is_gone(spec.name, "r-2")

"""Configuration as code: what is found, where it is found, what an apply does, and what an export gives back."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from headrace.domain.errors import ConfigurationError, NotFound, SourceError, UserError

from .world import PROJECT, World, edits


def test_a_project_without_fault_is_applied_once_and_then_changes_nothing(world: World):
    first, second = world.apply(PROJECT), world.apply()

    assert [] == first.findings
    assert {"create"} == set(edits(first).values())
    assert {"unchanged"} == set(edits(second).values())


def test_an_export_that_is_applied_changes_nothing(world: World, tmp_path: Path):
    """Design, section 4. Else every export would be a commit that nobody wrote."""
    world.write("workspace: {name: acme}\n" + PROJECT.replace("sql: |", "sql_file: sql/accounts.sql #"))
    text = (
        (world.project / "headrace.yaml").read_text().replace("      select id, name, plan\n      from accounts\n", "")
    )
    world.write(text)
    world.write("select id, name, plan\nfrom accounts\n", "sql/accounts.sql")
    world.apply()

    files = world.catalog.export(world.project)
    for name, content in files.items():
        (world.project / name).write_text(content, encoding="utf-8")
    again = world.check()

    assert {"headrace.yaml", "sql/accounts.sql"} == set(files)
    assert [] == again.findings
    assert {"unchanged"} == set(edits(again).values())
    assert files == world.catalog.export(world.project)
    assert "warehouse.duckdb" in files["headrace.yaml"]
    assert str(tmp_path) not in files["headrace.yaml"]


def test_a_key_that_yaml_takes_for_null_is_the_option_of_that_name(world: World):
    """`null: skip` is an option of every rule, and a bare `null` is no text to a YAML parser."""
    text = PROJECT.replace("{column: plan}", "{column: plan, null: skip}")

    applied = world.apply(text)
    files = world.catalog.export(world.project)
    again = world.apply(files["headrace.yaml"])

    assert [] == applied.findings
    assert "skip" == world.catalog.get("sync", "accounts-to-vitally").fields["traits"].object["plan"].null
    assert {"unchanged"} == set(edits(again).values())


def test_the_sections_of_events_and_analytics_objects_return_from_an_export(world: World):
    events = """
          events:
            model: accounts
            destination: vitally
            type: events
            event: {static: Seen}
            fields: {accountId: {column: id}}
            properties: {columns: [plan]}
          usage:
            model: accounts
            destination: vitally
            type: analytics_objects
            object: account
            match: {column: id, field: externalId}
            traits: {plan: {column: plan, null: skip}}
        """
    token = "    rest_api_token: {env: REST_TOKEN}\n"
    text = PROJECT.replace(token, token + "    analytics_api_token: {env: REST_TOKEN}\n")

    applied = world.apply(text + textwrap.indent(textwrap.dedent(events), "  "))
    again = world.apply(world.catalog.export(world.project)["headrace.yaml"])

    assert [] == applied.findings
    assert {"unchanged"} == set(edits(again).values())


def test_a_sync_whose_token_is_not_set_is_refused_by_the_name_of_the_token(world: World):
    text = PROJECT + textwrap.indent(
        "events: {model: accounts, destination: vitally, type: events, event: {static: Seen}, "
        "fields: {accountId: {column: id}}}\n",
        "  ",
    )

    findings = world.check(text).findings

    assert ["token_missing"] == [one.code for one in findings]
    assert "analytics_api_token" in findings[0].message


def test_two_sql_files_of_one_name_are_not_exported_onto_each_other(world: World):
    """Each lies beside the file that says it; an export is one file, so one of them would be lost."""
    model = "models:\n  {name}: {{source: warehouse, primary_key: id, sql_file: query.sql}}\n"
    world.write("sources:\n  warehouse: {type: duckdb, path: w.duckdb}\n")
    for name in ("a", "b"):
        world.write(model.format(name=name), f"{name}/model.yaml")
        world.write(f"select id from {name}", f"{name}/query.sql")
    world.apply()

    files = world.catalog.export(world.project)

    assert "select id from a" == files["query.sql"]
    assert "select id from b" in files["headrace.yaml"]


@pytest.mark.parametrize("name", ["../outside.sql", "/etc/outside.sql"])
def test_an_export_writes_into_its_folder_only(world: World, name: str):
    world.apply(PROJECT)
    document = world.catalog.documents("model")["accounts"] | {"sql_file": name}
    world.workspace.catalog.put("model", "accounts", document)

    assert ["headrace.yaml"] == list(world.catalog.export(world.project))


def test_no_secret_is_exported(world: World):
    world.apply(PROJECT)

    assert "sk_live" not in repr(world.catalog.export(None))
    assert "env: REST_TOKEN" in world.catalog.export(None)["headrace.yaml"]


# Findings and their places ---------------------------------------------------------------------------------------


def mended(old: str, new: str) -> str:
    assert old in PROJECT
    return PROJECT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (mended("mode: upsert", "mode: upsrt"), [(21, "unknown_value")]),
        (mended("    mode: upsert", "    modus: upsert"), [(21, "unknown_key")]),
        (mended("name: {column: name}", "name: {column: nam}"), [(24, "column_missing")]),
        (mended("name: {column: name}", "name: column"), [(24, "wrong_type")]),
        (mended("plan: {column: plan}", "plan: {column: plan, as: int}"), [(27, "unknown_value")]),
        (mended("plan: {column: plan}", "plan: {colum: plan}"), [(27, "wrong_type")]),
        (mended("primary_key: id", "primary_key: idd"), [(6, "column_missing")]),
        (mended("    primary_key: id\n", ""), [(4, "key_missing")]),
        (mended("source: warehouse", "source: warehous"), [(5, "not_found")]),
        (mended("model: accounts", "model: acounts"), [(17, "not_found")]),
        (mended("destination: vitally", "destination: vitaly"), [(18, "not_found")]),
        (mended("type: duckdb", "type: duckbd"), [(2, "unknown_value")]),
        (mended("type: vitally", "type: vitaly"), [(12, "unknown_value")]),
        (mended("region: us", "region: asia"), [(13, "unknown_value")]),
        (mended("    region: us\n", ""), [(11, "key_missing")]),
        (mended("{env: REST_TOKEN}", "sk_live_1"), [(14, "unknown_value")]),
        (mended("{env: REST_TOKEN}", "{env: OTHER}"), [(14, "secret_missing")]),
        (mended("    rest_api_token: {env: REST_TOKEN}\n", ""), [(18, "token_missing")]),
        (mended("{every: 15m}", "{every: soon}"), [(28, "unknown_value")]),
        (mended("  accounts-to-vitally:", '  "to vitally":'), [(16, "unknown_value")]),
        (mended("from accounts", "from accounts limit 5"), [(7, "limit_without_order")]),
        (PROJECT + "workspace: {name: a b}\n", [(29, "unknown_value")]),
        (PROJECT + "workspace: {nam: a}\n", [(29, "unknown_key")]),
        (PROJECT + "modles: {}\n", [(29, "unknown_key")]),
        (mended("models:", "models: []\nmodles:"), [(3, "wrong_type"), (4, "unknown_key"), (18, "not_found")]),
        (PROJECT + "  accounts-to-vitally: {}\n", [(29, "yaml_invalid")]),
        (mended("  accounts:", "  accounts: ["), [(6, "yaml_invalid")]),
        (mended("    source: warehouse", "\tsource: warehouse"), [(5, "yaml_invalid")]),
        ("[" * 5000, [(1, "yaml_invalid")]),
        ("- just\n- a list\n", [(1, "wrong_type")]),
        ("sources: &a {a: *a}\n", [(1, "wrong_type")]),
        ("base: &b {type: csv, path: a}\nsources: {x: {<<: *b}}\n", [(1, "unknown_key")]),
    ],
)
def test_a_finding_names_the_line_that_is_wrong(world: World, text: str, found: list[tuple[int, str]]):
    """`file:line: code: message`: an editor jumps there."""
    assert found == world.found(text)


def test_an_alias_bomb_is_refused_before_it_grows(world: World):
    """324 bytes that would be 387 million leaves."""
    bomb = "sources:\n  a0: &a0 {type: x}\n"
    bomb += "".join(f"  a{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(9))}}}\n" for n in range(1, 10))

    assert (1, "yaml_invalid") in world.found(bomb)


def test_a_file_that_is_no_text_or_too_large_is_told(world: World):
    world.write("x")
    (world.project / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (world.project / "b.yaml").write_text("#" * (1 << 20) + "\n")

    assert ["yaml_invalid", "yaml_invalid", "wrong_type"] == [one.code for one in world.check().findings]


def test_all_findings_of_all_files_come_together_and_nothing_is_saved(world: World):
    world.write(mended("mode: upsert", "mode: upsrt"))
    world.write("models:\n  other: {source: nowhere, primary_key: id, table: t, sql_fil: x}\n", "more.yaml")
    world.write("models:\n  third: {source: nowhere, primary_key: id, table: t}\n", "third.yaml")

    checked = world.check()

    assert {"unknown_value", "unknown_key", "not_found"} == {one.code for one in checked.findings}
    with pytest.raises(ConfigurationError) as caught:
        world.catalog.apply(checked)
    assert 3 == len(caught.value.findings)
    assert [] == world.catalog.names("sync")


def test_the_same_name_in_two_files_is_told_where_it_stands_again(world: World):
    world.write()
    world.write("\nmodels:\n  accounts: {source: warehouse, primary_key: id, table: t}\n", "other.yaml")

    (finding,) = world.check().findings

    assert "declared_twice" == finding.code


def test_a_link_to_something_faulty_is_no_second_finding(world: World):
    """One slip, one finding: the sync of a model with a typo is not itself wrong."""
    assert [(4, "key_missing")] == world.found(mended("    primary_key: id\n", ""))
    named = PROJECT.replace("accounts:", "my.accounts:", 1).replace("model: accounts", "model: my.accounts")
    assert [(4, "key_missing")] == world.found(named.replace("    primary_key: id\n", ""))


def test_a_source_that_can_not_be_reached_is_one_finding_and_offline_none(world: World):
    world.broken = SourceError("no such file", code="source_unreachable")

    assert [(2, "source_unreachable")] == world.found(PROJECT)
    assert [] == world.found(PROJECT, offline=True)


def test_a_model_whose_sql_fails_is_told_at_its_sql(world: World):
    world.broken = SourceError("no column x, line 1", code="sql_error")

    assert [(7, "sql_error")] == world.found(PROJECT)


def test_a_model_has_its_sql_in_one_place(world: World):
    world.write("select 1", "a.sql")

    text = mended("    sql: |\n", "    sql_file: a.sql\n    sql: |\n")

    assert [(7, "unknown_value")] == [one for one in world.found(text) if one[1] != "not_found"]


def test_a_sql_file_that_is_not_there_is_told(world: World):
    text = "models:\n  m:\n    source: s\n    primary_key: id\n    sql_file: nowhere.sql\n"

    assert (5, "file_unreadable") in world.found(text)


# Applying --------------------------------------------------------------------------------------------------------


def test_what_the_files_do_not_say_stays_unless_pruned(world: World):
    world.apply(PROJECT)
    more = PROJECT.replace("accounts-to-vitally", "other")

    kept, pruned = world.check(more), world.check(more, prune=True)

    assert "sync accounts-to-vitally" not in edits(kept)
    assert "delete" == edits(pruned)["sync accounts-to-vitally"]
    world.catalog.apply(pruned)
    assert ["other"] == world.catalog.names("sync")


def test_a_prune_does_not_take_away_what_is_still_needed(world: World):
    """The file keeps a sync whose model only the workspace has: pruned, the sync would hang in the air."""
    world.apply(PROJECT)
    only_syncs = PROJECT[PROJECT.index("destinations:") :]

    assert [] == world.check(only_syncs).findings
    assert [(8, "not_found")] == world.found(only_syncs, prune=True)


def test_a_renamed_sync_without_its_id_is_said_to_be_a_new_one(world: World):
    """Its rows would all be sent again, and events repeated."""
    world.apply(PROJECT)

    renamed = world.check(PROJECT.replace("accounts-to-vitally", "renamed"))
    kept = world.check(PROJECT.replace("  accounts-to-vitally:", "  renamed:\n    id: accounts-to-vitally"))

    assert "new sync" in renamed.notes[0]
    assert "`id: accounts-to-vitally`" in renamed.notes[0]
    assert 'keeps the memory of "accounts-to-vitally"' in kept.notes[0]


def test_a_destination_that_points_elsewhere_is_noted(world: World):
    world.apply(PROJECT)

    (note,) = world.check(mended("region: us", "region: eu")).notes

    assert "--full-resync" in note


def test_a_change_names_the_keys_that_differ(world: World):
    world.apply(PROJECT)

    (edit,) = [one for one in world.check(mended("mode: upsert", "mode: insert")).edits if one.action == "change"]

    assert ("sync", "accounts-to-vitally", ("mode",)) == (edit.kind, edit.name, edit.fields)


def test_what_is_needed_can_not_be_deleted(world: World):
    world.apply(PROJECT)

    with pytest.raises(UserError) as caught:
        world.catalog.delete("source", "warehouse")

    assert "in_use" == caught.value.code


def test_a_missing_path_and_an_empty_folder_are_told(world: World):
    with pytest.raises(NotFound):
        world.catalog.check(world.project / "nowhere")
    with pytest.raises(UserError) as caught:
        world.check()
    assert "no_files" == caught.value.code


def test_paths_are_relative_to_the_file_that_says_them(world: World):
    world.write("sources:\n  w: {type: duckdb, path: data/w.duckdb}\n", "deep/sources.yaml")
    world.apply()

    assert str(world.project / "deep/data/w.duckdb") == world.catalog.documents("source")["w"]["path"]

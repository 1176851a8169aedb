"""Sequences, channels and alerts as configuration: checked, applied, exported and protected like everything else."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from headrace.domain.config import AlertsConfig, SequenceConfig
from headrace.domain.errors import UserError
from headrace.service.schema import configuration_schema

from .world import PROJECT, World, edits

MORE = """\
sequences:
  nightly:
    syncs: [accounts-to-vitally]
    schedule: {cron: 0 3 * * *, timezone: Europe/Berlin}
    stop: rejections
    max_rejected_percent: 2.5
channels:
  team:
    type: webhook
    url: https://hooks.example.com/headrace
    secret: {env: REST_TOKEN}
    headers:
      X-Team: data
  mail: {type: email, host: mail.example.com, from: headrace@example.com, to: ops@example.com}
"""
ALERTS = "\n    alerts: {channels: [team], silent_days: 3}\nsyncs:"
WHOLE = PROJECT.replace("\nsyncs:", ALERTS) + MORE


def test_the_new_kinds_are_applied_and_a_second_apply_changes_nothing(world: World) -> None:
    """Configuration as code: the same files, the same workspace."""
    first = world.apply(WHOLE)
    second = world.check(WHOLE)

    assert "create" == edits(first)["sequence nightly"] == edits(first)["channel team"]
    assert {"unchanged"} == set(edits(second).values())
    assert SequenceConfig(syncs=["accounts-to-vitally"]).syncs == world.catalog.get("sequence", "nightly").syncs
    assert AlertsConfig(channels=["team"], silent_days=3) == world.catalog.get("destination", "vitally").alerts


def test_an_export_of_them_is_what_was_applied(world: World) -> None:
    """An export is the way back when a workspace is lost."""
    world.apply(WHOLE)

    text = world.catalog.export(None)["headrace.yaml"]
    exported, written = YAML(typ="safe").load(text), YAML(typ="safe").load(WHOLE)

    assert written["sequences"] == exported["sequences"]
    assert written["channels"]["team"] == exported["channels"]["team"]
    assert written["destinations"]["vitally"]["alerts"] == exported["destinations"]["vitally"]["alerts"]
    assert {"unchanged"} == set(edits(world.check(text)).values())


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("sequences: {s: {syncs: [nobody]}}", "not_found", 'no sync "nobody"'),
        ("sequences: {s: {syncs: []}}", "wrong_type", "syncs"),
        ("sequences: {s: {syncs: [accounts-to-vitally, accounts-to-vitally]}}", "unknown_value", "twice"),
        ("sequences: {s: {syncs: [accounts-to-vitally], stop: sometimes}}", "unknown_value", "fatal"),
        ("sequences: {s: {syncs: [accounts-to-vitally], schedule: {cron: 0 0 30 2 *}}}", "schedule_invalid", "never"),
        ("channels: {c: {type: pigeon}}", "unknown_value", "A channel needs a type: webhook, email, apprise."),
        ("channels: {c: {type: webhook}}", "key_missing", "url"),
        ("channels: {c: {type: webhook, url: 'https://a.example', secret: plain}}", "unknown_value", "itself"),
        (
            "channels: {c: {type: webhook, url: 'https://a.example', secret: {env: NOT_SET}}}",
            "secret_missing",
            "NOT_SET",
        ),
        ("channels: {c: {type: webhook, url: 'https://a.example', headers: {X: \"a\\nb\"}}}", "unknown_value", "line"),
        ("channels: {c: {type: email, host: m, from: me, to: you@example.com}}", "unknown_value", "no mail address"),
        (
            "channels: {c: {type: email, host: m, from: a@b.example, to: c@d.example, user: u}}",
            "field_required",
            "no password",
        ),
        (
            "channels: {c: {type: email, host: m, from: a@b.example, to: c@d.example, user: u,"
            " password: {env: REST_TOKEN}, tls: none}}",
            "unknown_value",
            "plain text",
        ),
    ],
)
def test_what_is_wrong_with_them_is_found_when_they_are_checked(world: World, text: str, code: str, words: str) -> None:
    """An alert that can't be sent is found out today, not on the night of the outage."""
    found = world.check(PROJECT + text).findings

    assert [code] == [one.code for one in found]
    assert words in found[0].message


@pytest.mark.parametrize(
    ("alerts", "place", "code", "words"),
    [
        ("{channels: [nobody]}", "alerts.channels.0", "not_found", 'no channel "nobody"'),
        ("{chanels: [team]}", "alerts.chanels", "unknown_key", "Did you mean channels"),
        ("{on: [fire]}", "alerts.on.0", "unknown_value", "run_failed"),
        ("{rejected_percent: 100}", "alerts.rejected_percent", "wrong_type", "less than 100"),
    ],
)
def test_alerts_are_checked_on_destinations_and_on_syncs_alike(
    world: World, alerts: str, place: str, code: str, words: str
) -> None:
    """One shape in two places: the sync's keys override those of its destination."""
    destination = PROJECT.replace("\nsyncs:", f"\n    alerts: {alerts}\nsyncs:")

    for text, path in ((destination, "destinations.vitally"), (PROJECT + f"    alerts: {alerts}\n", _SYNC)):
        (found,) = world.check(text).findings

        assert (code, f"{path}.{place}") == (found.code, found.path)
        assert words in found.message


_SYNC = "syncs.accounts-to-vitally"


def test_a_sync_may_switch_its_alerts_off(world: World) -> None:
    """A try-out sync must not wake anybody."""
    world.apply(PROJECT + "    alerts: off\n")

    assert "off" == world.catalog.get("sync", "accounts-to-vitally").alerts


@pytest.mark.parametrize(
    ("kind", "name", "user"),
    [
        ("sync", "accounts-to-vitally", 'sequence "nightly"'),
        ("channel", "team", 'destination "vitally"'),
        ("destination", "vitally", 'sync "accounts-to-vitally"'),
        ("source", "warehouse", 'model "accounts"'),
    ],
)
def test_what_others_name_is_not_deleted(world: World, kind: Any, name: str, user: str) -> None:
    """A sequence without its sync, or alerts without their channel, would fail in the night."""
    world.apply(WHOLE)

    with pytest.raises(UserError) as refused:
        world.catalog.delete(kind, name)

    assert "in_use" == refused.value.code
    assert user in refused.value.message


def test_the_file_of_a_channels_secret_is_found_from_where_the_configuration_stands(world: World) -> None:
    """Paths are relative to the file that says them, here as everywhere."""
    (world.project / "token").write_text("whsec")
    channels = "channels: {c: {type: webhook, url: {file: token}, headers: {Authorization: {file: token}}}}"
    checked = world.apply(PROJECT + channels)

    document = checked.documents[("channel", "c")]
    assert str(world.project / "token") == document["url"]["file"] == document["headers"]["Authorization"]["file"]


def test_an_editor_completes_them() -> None:
    """The JSON Schema has every section that `check` takes."""
    schema = configuration_schema()

    assert {"sequences", "channels"} <= schema["properties"].keys()
    assert "alerts" in schema["$defs"]["SyncConfig"]["properties"]
    assert "overlap" in schema["$defs"]["SyncConfig"]["properties"]

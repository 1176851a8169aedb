"""`schedule`, `pause`, `resume`, `sequences`: what they print, and the codes they exit with."""

import pytest

SEQUENCE = "sequences:\n  nightly: {syncs: [accounts, again], schedule: {cron: 5 3 * * *, timezone: Europe/Berlin}}\n"


@pytest.fixture
def project_with_sequence(project):
    """Two syncs in a sequence; the first runs every quarter of an hour by itself too."""
    text = project.yaml.read_text()
    sync = text[text.index("  accounts:\n    model:") :]
    again = sync.replace("  accounts:\n", "  again:\n")
    project.yaml.write_text(text.rstrip() + "\n    schedule: {every: 15m}\n" + again + SEQUENCE)
    assert 0 == project.headrace("apply", project.yaml).code
    return project


def test_the_overview_tells_when_everything_runs(project_with_sequence):
    """One command answers: what will happen tonight?"""
    shown = project_with_sequence.headrace("schedule")
    told = {one["name"]: one for one in project_with_sequence.headrace("schedule", "--json").json}

    assert "every 15 minutes" in shown.out
    assert "at 03:05 every day, Europe/Berlin" in shown.out
    assert 3 == len(told["nightly"]["next"])
    assert ("manual", []) == (told["again"]["words"], told["again"]["next"])


def test_a_pause_is_seen_and_taken_back(project_with_sequence):
    """Whoever looks must see that it rests, since when and by whom."""
    paused = project_with_sequence.headrace("pause", "accounts")
    shown = project_with_sequence.headrace("schedule")
    resumed = project_with_sequence.headrace("resume", "accounts")

    assert 0 == paused.code == resumed.code
    assert "paused by cli:" in shown.out
    assert "every 15 minutes, next at " in resumed.out
    assert 2 == project_with_sequence.headrace("pause", "again").code
    assert 2 == project_with_sequence.headrace("pause", "nobody").code


def test_a_sequence_runs_to_its_end_without_a_server(project_with_sequence):
    """On a laptop there is no worker: the command does the runs itself, in their order."""
    done = project_with_sequence.headrace("sequences", "run", "nightly", "--json")

    assert 0 == done.code
    assert "succeeded" == done.json["status"]
    assert ["accounts", "again"] == [step["sync"] for step in done.json["steps"]]
    assert ["succeeded", "succeeded"] == [step["status"] for step in done.json["steps"]]
    assert "nightly" in project_with_sequence.headrace("sequences").out
    assert "succeeded" in project_with_sequence.headrace("sequences", "runs").out


def test_a_sequence_that_stops_says_why_and_exits_as_the_run_did(project_with_sequence, vitally):
    """A cron job must see the failure in the exit code."""
    text = project_with_sequence.yaml.read_text()
    project_with_sequence.yaml.write_text(text.replace("table: accounts", "table: gone"))
    project_with_sequence.headrace("apply", project_with_sequence.yaml, "--offline")

    done = project_with_sequence.headrace("sequences", "run", "nightly")

    assert 3 == done.code
    assert 'Stopped after "accounts": its run 1 failed.' in done.out
    (only,) = project_with_sequence.headrace("sequences", "runs", "nightly", "--json").json
    assert [1, None] == [step["run"] for step in only["steps"]]
    assert 2 == project_with_sequence.headrace("sequences", "cancel", only["sequence_run"]).code

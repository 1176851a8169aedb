"""`run`, `approve`, `cancel`: what they print, the code they exit with, what a person sees next."""

import signal
import time

import orjson

SHAPE = [
    "run",
    "sync",
    "status",
    "rows",
    "added",
    "changed",
    "removed",
    "unchanged",
    "delivered",
    "skipped",
    "invalid",
    "rejected",
    "owed",
    "requests",
    "seconds",
]


def test_a_run_prints_one_json_object_in_the_documented_shape(applied):
    """Schedulers and scripts read this line; its keys are a contract."""
    first = applied.process("run", "accounts", "--json")

    assert 0 == first.code
    assert "" == first.err
    (line,) = first.lines
    assert SHAPE == list(line)
    numbers = {name: line[name] for name in ("run", "rows", "added", "unchanged", "delivered", "owed")}
    assert {"run": 1, "rows": 3, "added": 3, "unchanged": 0, "delivered": 3, "owed": 0} == numbers


def test_a_second_run_sends_nothing_and_says_so(delivered):
    again = delivered.headrace("run", "accounts")

    assert 0 == again.code
    assert "accounts: 3 rows, nothing changed in " in again.out
    assert "(no request)" in again.out
    assert "\x1b" not in again.out


def test_a_changed_row_is_told_in_words(delivered):
    delivered.rows(("a1", "Acme", "pro"), ("a2", "Beta", "pro"), ("a3", "Gamma", "pro"), ("a4", "Delta", "free"))

    done = delivered.headrace("run", "--all")

    assert 0 == done.code
    assert "accounts: 4 rows, 1 changed, 1 added -> 2 delivered in " in done.out


def test_a_rejected_row_exits_with_1_and_names_the_next_step(applied, vitally):
    vitally.add_fault(match={"body": "Beta"}, status=422, body={"error": "name is taken"})

    done = applied.headrace("run", "accounts")

    assert 1 == done.code
    assert "2 delivered, 1 rejected" in done.out
    assert "headrace rows 1 --outcome rejected" in done.out


def test_a_wrong_token_fails_with_one_clear_error(applied, monkeypatch):
    """401 stops the run at once: exit 3, and the error stands in the JSON line."""
    monkeypatch.setenv("VITALLY_REST_TOKEN", "sk_live_wrong")

    done = applied.headrace("run", "accounts", "--json")

    assert 3 == done.code
    (line,) = done.lines
    assert "failed" == line["status"]
    assert "credentials_refused" == line["error"]["code"]
    assert [*SHAPE, "error"] == list(line)


def test_a_host_that_does_not_answer_fails_the_run(project):
    project.declare(url="http://127.0.0.1:9")
    assert 0 == project.headrace("apply", project.yaml).code

    done = project.headrace("run", "accounts")

    assert 3 == done.code
    assert "destination_unavailable: http://127.0.0.1:9 can't be reached" in done.out


def test_a_sync_that_is_not_there_is_an_error_object(applied):
    done = applied.headrace("run", "nix", "--json")

    assert 2 == done.code
    assert "not_found" == done.json["error"]["code"]
    assert "accounts" in done.json["error"]["message"]


def test_a_run_that_cannot_start_keeps_the_shape(applied, monkeypatch):
    """Whoever reads a line a sync must find one for this sync too."""
    monkeypatch.delenv("VITALLY_REST_TOKEN")

    done = applied.headrace("run", "accounts", "--json")

    assert 2 == done.code
    (line,) = done.lines
    assert [*SHAPE, "error"] == list(line)
    assert (None, "failed", "secret_missing") == (line["run"], line["status"], line["error"]["code"])


def test_a_held_run_exits_with_4_and_approval_lets_it_go_on(project):
    """A model that suddenly returns nothing must not delete everything."""
    project.declare(removed="delete")
    project.headrace("apply", project.yaml)
    project.headrace("run", "accounts")
    project.rows()

    held = project.headrace("run", "accounts", "--json")
    words = project.headrace("run", "accounts")
    approved = project.headrace("approve", 3, "--json")

    assert 4 == held.code
    assert "held" == held.lines[0]["status"]
    assert "all 3 known records would be removed" in held.lines[0]["held"]
    assert 4 == words.code
    assert "headrace approve 3" in words.out
    assert 0 == approved.code
    assert (3, 3) == (approved.lines[0]["removed"], approved.lines[0]["delivered"])


def test_a_failed_sync_does_not_stop_the_others_and_the_worst_code_wins(applied, monkeypatch):
    second = applied.yaml.read_text().split("syncs:\n")[1].replace("  accounts:\n", "  broken:\n", 1)
    second = second.replace("destination: vitally", "destination: nowhere")
    nowhere = "destinations:\n  nowhere:\n    type: vitally\n    region: us\n"
    nowhere += "    rest_api_token: {env: VITALLY_REST_TOKEN}\n    rest_url: http://127.0.0.1:9\n"
    (applied.folder / "more.yaml").write_text(f"{nowhere}syncs:\n{second}")
    assert 0 == applied.headrace("apply", applied.folder).code

    done = applied.headrace("run", "broken", "accounts", "--json")

    assert 3 == done.code
    assert ["failed", "succeeded"] == [line["status"] for line in done.lines]


def test_sending_everything_again_needs_a_yes(delivered):
    """In a pipe nobody can be asked, so nothing is done."""
    refused = delivered.headrace("run", "accounts", "--full-resync")
    done = delivered.headrace("run", "accounts", "--full-resync", "--yes", "--json")
    baseline = delivered.headrace("run", "accounts", "--reset-cdc", "--yes", "--json")

    assert 2 == refused.code
    assert "all 3 rows" in refused.err
    assert (0, 3) == (done.code, done.lines[0]["delivered"])
    assert (0, 0) == (baseline.code, baseline.lines[0]["requests"])


def test_wrong_use_is_code_2(applied):
    for arguments in (
        ("run",),
        ("run", "accounts", "--all"),
        ("run", "accounts", "--full-resync", "--reset-cdc"),
        ("run", "accounts", "--nope"),
        ("run", "accounts", "--keys", ","),
        ("rnu",),
    ):
        done = applied.headrace(*arguments)
        assert (2, "") == (done.code, done.out), arguments
        assert done.err, arguments
        assert "usage" == applied.headrace(*arguments, "--json").json["error"]["code"]


def test_keys_name_the_rows_to_run(applied):
    done = applied.headrace("run", "accounts", "--keys", "a1,a3", "--json")

    assert (0, 2) == (done.code, done.lines[0]["delivered"])


def test_ctrl_c_ends_with_130_and_what_was_acknowledged_stays(applied, vitally):
    applied.rows(*((f"a{number}", f"Account {number}", "pro") for number in range(600)))
    vitally.add_fault(delay_ms=50)

    process = applied.start("run", "accounts", "--json")
    while len(vitally.journal) < 100:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    vitally.clear_faults()
    rest = applied.headrace("run", "accounts", "--json")

    assert 130 == process.returncode
    assert "" == err
    cut = orjson.loads(out)
    assert ("interrupted", 600) == (cut["status"], cut["delivered"] + cut["owed"])
    assert cut["delivered"] > 0
    assert (0, cut["owed"]) == (rest.code, rest.lines[0]["delivered"])


def test_a_second_run_of_a_sync_waits_or_is_refused_and_the_first_can_be_cancelled(applied, vitally):
    applied.rows(*((f"a{number}", f"Account {number}", "pro") for number in range(600)))
    vitally.add_fault(delay_ms=200)

    process = applied.start("run", "accounts")
    while len(vitally.journal) < 40:
        time.sleep(0.01)
        assert process.poll() is None
    second = applied.headrace("run", "accounts", "--no-wait", "--json")
    cancelled = applied.headrace("cancel", 1)
    out, _ = process.communicate(timeout=30)

    assert 2 == second.code
    assert "sync_busy" == second.lines[0]["error"]["code"]
    assert 0 == cancelled.code
    assert 3 == process.returncode
    assert "accounts: cancelled: 600 rows" in out
    assert 2 == applied.headrace("cancel", 1).code

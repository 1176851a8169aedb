"""Lists, dry run, one row, the debugger, rows, secrets, configuration given back."""

import csv
import io
import subprocess
import sys

import orjson
import pytest
import typer

from headrace.cli.bodies import pretty
from headrace.cli.main import build, workspace_first
from headrace.cli.progress import Progress
from headrace.domain.events import RunPlanned, RunProgressed, StageStarted
from headrace.domain.outcome import Counts
from headrace.service.answers import unformulated


def commands(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = list(commands(typer.main.get_command(build())))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help(project, path):
    done = project.headrace(*path, "--help")

    assert 0 == done.code
    assert f"Usage: headrace {' '.join(path)}".rstrip() in done.out
    assert len(done.out.splitlines()) > 4


def test_the_commands_of_the_design_are_there():
    wanted = (
        "demo init apply export check schema sources models destinations syncs runs preview plan run test-row calls"
    )
    wanted += " rows cancel approve secret key delete emulate suggest sequences channels schedule pause resume worker"
    wanted += " serve retention sweep users api-keys audit"

    assert set(wanted.split()) == {path[0] for path in ALL if len(path) == 1}


def test_help_starts_fast(project):
    """Nothing heavy is loaded before it is needed."""
    heavy = {"aiohttp", "alembic", "duckdb", "pyarrow", "pycurl", "pydantic", "rich", "sqlalchemy", "sqlglot"}
    code = "import sys; from headrace.cli.main import run; run(['--help']); print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set() == heavy & set(done.stdout.splitlines()[-1].split())


def test_the_workspace_may_be_named_after_the_command(delivered):
    assert ["--workspace", "w", "run", "a"] == workspace_first(["run", "--workspace", "w", "a"])
    assert ["--workspace=w", "run", "a"] == workspace_first(["run", "a", "--workspace=w"])
    assert ["run", "--", "--workspace", "w"] == workspace_first(["run", "--", "--workspace", "w"])

    assert 0 == delivered.headrace("syncs", "--workspace", ".headrace").code


def test_bytes_are_shown_as_they_would_be_sent(project):
    project.declare(replace=("table: accounts", "sql: \"select *, x'00ff' as photo from accounts\""))
    assert 0 == project.headrace("apply", project.yaml).code

    plain, told = project.headrace("preview", "accounts"), project.headrace("preview", "accounts", "--json").json

    assert "AP8=" in plain.out
    assert "AP8=" == told["rows"][0][3]


def test_what_is_not_mapped_yet_is_suggested(applied):
    """The names and types are known; nobody should have to type them."""
    applied.declare(
        replace=("traits: {{object: {{plan: {{column: plan}}}}}}".replace("{{", "{").replace("}}", "}"), "")
    )
    assert 0 == applied.headrace("apply", applied.yaml).code
    new = ("suggest", "accounts", "--destination", "vitally", "--type", "rest_objects", "--object", "account")

    plain, told = applied.headrace("suggest", "accounts"), applied.headrace("suggest", "accounts", "--json").json
    whole = applied.headrace(*new)

    assert "      plan: {column: plan} # no field has its name: a key of traits" in plain.out.splitlines()
    (line,) = told["suggestions"]
    assert ("fields.traits.object.plan", {"column": "plan"}) == (line["path"], line["rule"])
    assert told["yaml"] == plain.out
    assert "  accounts-to-vitally:" in whole.out.splitlines()
    assert 2 == applied.headrace(*new[:-4]).code
    assert 2 == applied.headrace("suggest", "nix").code


def test_lists_show_what_there_is(delivered):
    for section, word in (
        ("sources", "sqlite"),
        ("models", "accounts"),
        ("destinations", delivered.url),
        ("syncs", "succeeded"),
    ):
        plain, told = delivered.headrace(section), delivered.headrace(section, "--json")
        assert (0, 0) == (plain.code, told.code)
        assert word in plain.out
        (only,) = told.json
        shown = delivered.headrace(section, "show", only["name"], "--json").json
        assert only == shown
        assert f"{section}:\n" in delivered.headrace(section, "show", only["name"]).out
        assert 2 == delivered.headrace(section, "show", "nix").code


def test_syncs_tell_how_they_last_ran(delivered):
    (sync,) = delivered.headrace("syncs", "--json").json

    assert ("succeeded", 3) == (sync["last_run"]["status"], sync["last_run"]["delivered"])


def test_runs_are_listed_newest_first_and_shown(delivered):
    delivered.headrace("run", "accounts")

    listed = delivered.headrace("runs", "--json").json
    plain = delivered.headrace("runs", "show", "1")

    assert [2, 1] == [one["run"] for one in listed]
    assert [] == delivered.headrace("runs", "--status", "failed", "--json").json
    assert [{"outcome": "delivered", "code": None, "rows": 3}] == delivered.headrace(
        "runs", "show", "1", "--json"
    ).json["outcomes"]
    assert "Run 1 of accounts: succeeded" in plain.out


def test_each_token_of_a_destination_is_tested(applied, monkeypatch):
    fine = applied.headrace("destinations", "test", "vitally", "--json")
    monkeypatch.setenv("VITALLY_REST_TOKEN", "sk_live_wrong")
    refused = applied.headrace("destinations", "test", "vitally")

    assert 0 == fine.code
    rest, analytics = fine.json
    assert ("fine", 200, "GET") == (rest["state"], rest["status"], rest["method"])
    assert "not_set" == analytics["state"]
    assert 3 == refused.code
    assert "rest_api_token: refused: GET http" in refused.out
    assert "The region is set to us" in refused.out
    assert "sk_live_wrong" not in refused.out + refused.err


def test_a_preview_shows_rows_types_and_the_proof_of_the_key(applied):
    applied.rows(("a1", "Acme\x1b[31m", None), ("a1", "Beta", "pro"))

    plain, told = applied.headrace("preview", "accounts"), applied.headrace("preview", "accounts", "--json")

    assert 0 == plain.code
    assert "text" in plain.out.splitlines()[1]
    assert "null" in plain.out
    assert "\x1b" not in plain.out
    assert "does not hold: 2 rows that share one (for example a1)" in plain.out
    assert (2, 0, 2, False) == tuple(told.json["key"][name] for name in ("rows", "nulls", "duplicates", "holds"))
    assert ["id", "name", "plan"] == [one["name"] for one in told.json["columns"]]


def test_a_plan_shows_counts_changes_and_exact_requests_and_sends_nothing(delivered, vitally):
    delivered.rows(("a1", "Acme", "pro"), ("a2", "Beta", "pro"), ("a3", "Gamma", "pro"), ("a4", "Delta", "free"))
    before = len(vitally.journal)

    plain = delivered.headrace("plan", "accounts", "--requests", "2")
    told = delivered.headrace("plan", "accounts", "--requests", "2", "--json").json

    assert 0 == plain.code
    assert "accounts: 4 rows, 1 added, 1 changed, 2 unchanged" in plain.out
    assert "  would do: upsert 2\n" in plain.out
    assert "  plan: free -> pro\n" in plain.out
    assert f" {delivered.url}/resources/accounts" in plain.out
    assert '    "plan": "free"\n' in plain.out
    assert (2, {"upsert": 2}, 2) == (told["to_send"], told["operations"], len(told["requests"]))
    assert before == len(vitally.journal)


def test_a_plan_says_what_the_guard_would_hold(project):
    project.declare(removed="delete")
    project.headrace("apply", project.yaml)
    project.headrace("run", "accounts")
    project.rows()

    plan = project.headrace("plan", "accounts")

    assert 0 == plan.code
    assert "would be held: The model returned no rows" in plan.out


def test_one_row_is_really_sent_and_shown(delivered, vitally):
    done = delivered.headrace("test-row", "accounts", "--key", "a2", "--as", "changed", "--set", "plan=gold")
    told = delivered.headrace("test-row", "accounts", "--key", "a2", "--set", "plan=silver", "--json").json

    assert 0 == done.code
    assert '"plan": "gold"' in done.out
    assert "> Authorization: ***" in done.out
    assert "delivered" == told["row"]["outcome"]
    assert ["silver"] == [one["traits"]["plan"] for one in vitally.state.records("accounts") if one["name"] == "Beta"]
    assert 2 == delivered.headrace("test-row", "accounts", "--key", "nix").code
    assert 2 == delivered.headrace("test-row", "accounts", "--key", "a2", "--set", "plan").code


def test_the_debugger_finds_calls_and_masks_secrets(applied, vitally):
    vitally.add_fault(match={"body": "Beta"}, status=422, body={"error": "name is taken"})
    applied.headrace("run", "accounts")

    refused = applied.headrace("calls", "--status", "422")
    told = applied.headrace("calls", "--key", "a1", "--json").json
    full = applied.headrace("calls", "--status", "422", "--full")
    number = refused.out.splitlines()[1].split()[0]
    one = applied.headrace("calls", "--call", number)

    assert 2 == len(refused.out.splitlines())
    assert ["a1"] == told[0]["keys"]
    assert "Acme" == told[0]["request_body"]["name"]
    assert '"error": "name is taken"' in full.out
    assert one.out == full.out
    for shown in (refused, full, applied.headrace("calls", "--full"), applied.headrace("calls", "--json")):
        assert "sk_live_test" not in shown.out
        assert "c2tfbGl2ZV90ZXN0" not in shown.out  # base64 of the token
    assert 2 == applied.headrace("calls", "--call", "9/9").code
    assert 2 == applied.headrace("calls", "--call", "x").code
    assert 2 == applied.headrace("calls", "--status", "many").code


def test_a_curl_command_can_be_pasted_and_repeats_the_call(applied, vitally):
    """Quotes, dollars and newlines of the data must reach Vitally as they are; the token is a variable."""
    applied.rows(("a1", '"It\'s $HOME `ls` \\ \U0001f950"', "pro"))
    applied.headrace("run", "accounts")
    sent = vitally.requests("POST", "/resources/accounts")[-1]

    done = applied.headrace("calls", "--key", "a1", "--limit", "1", "--curl")
    ran = subprocess.run(["sh", "-c", done.out], capture_output=True, text=True)

    assert "$VITALLY_REST_TOKEN" in done.out
    assert "sk_live_test" not in done.out
    assert 0 == ran.returncode, ran.stderr
    again = vitally.requests("POST", "/resources/accounts")[-1]
    assert sent.number < again.number
    assert (sent.body, 200) == (again.body, again.status)


def test_rows_are_grouped_by_reason_and_listed(applied, vitally):
    vitally.add_fault(match={"body": "Beta"}, status=422, body={"error": "name is taken"})
    applied.headrace("run", "accounts")

    plain = applied.headrace("rows", "1", "--outcome", "rejected")
    told = applied.headrace("rows", "1", "--json").json
    sheet = list(csv.DictReader(io.StringIO(applied.headrace("rows", "1", "--csv").out)))

    assert "rejected destination_rejected - 1 row - " in plain.out.splitlines()[0]
    assert "name is taken" in plain.out
    assert "a1" not in plain.out
    assert ["delivered", "delivered", "rejected"] == sorted(one["outcome"] for one in told)
    assert told[0]["key"] == sheet[0]["key"]
    assert 2 == applied.headrace("rows", "99").code
    assert 2 == applied.headrace("rows", "1", "--outcome", "sideways").code


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_csv_cell_is_a_formula(text):
    """A customer's name must not run in the spreadsheet of whoever looks at rejected rows."""
    assert f"'{text}" == unformulated(text)
    assert "a=1" == unformulated("a=1")
    assert "-1" == unformulated(-1)


def test_a_pipe_that_closes_early_is_no_fault(delivered):
    process = delivered.start("rows", "1", "--json")
    process.stdout.close()
    err = process.stderr.read()
    process.wait(30)
    process.stderr.close()

    assert "" == err
    assert 141 == process.returncode


def test_a_secret_is_kept_and_used_and_never_shown(project, monkeypatch):
    """Never an argument: arguments stand in the shell's history and in the list of processes."""
    monkeypatch.delenv("VITALLY_REST_TOKEN")
    project.declare(replace=("{env: VITALLY_REST_TOKEN}", "{secret: rest}"))

    kept = project.headrace("secret", "set", "rest", "--value-stdin", stdin="sk_live_test\n")
    listed = project.headrace("secret", "list", "--json")
    applied = project.headrace("apply", project.yaml)
    rotated = project.headrace("key", "rotate", "--json")
    ran = project.headrace("run", "accounts")
    gone = project.headrace("secret", "delete", "rest")

    assert [0] * 6 == [one.code for one in (kept, listed, applied, rotated, ran, gone)]
    assert ["rest"] == [one["name"] for one in listed.json]
    assert 1 == rotated.json["encrypted"]
    assert "sk_live_test" not in kept.out + listed.out
    assert 2 == project.headrace("secret", "set", "rest", stdin="").code
    assert 2 == project.headrace("secret", "set", "rest", "sk_live_test").code
    assert 2 == project.headrace("secret", "delete", "rest").code


def test_what_is_applied_can_be_exported_and_applied_without_a_difference(applied):
    written = applied.headrace("export", "out", "--json")
    again = applied.headrace("apply", "out", "--json", "--prune").json
    refused = applied.headrace("export", applied.folder)

    assert [str(applied.folder.joinpath("out/headrace.yaml").relative_to(applied.folder))] == written.json["written"]
    assert {"unchanged"} == {one["action"] for one in again["edits"]}
    assert 2 == refused.code
    assert "--force" in refused.err
    assert "sk_live" not in applied.headrace("export").out


def test_apply_shows_the_difference_and_prunes_only_when_told(applied):
    text = applied.yaml.read_text()
    applied.yaml.write_text(
        text.replace("plan: {column: plan}", "tier: {column: plan}").replace(
            "  accounts:\n    model", "  renamed:\n    id: accounts\n    model"
        )
    )

    dry = applied.headrace("apply", applied.yaml, "--dry-run")
    kept = applied.headrace("apply", applied.yaml)
    pruned = applied.headrace("apply", applied.yaml, "--prune")

    assert "+ sync renamed" in dry.out
    assert "Nothing was saved." in dry.out
    assert "+ sync renamed" in kept.out
    assert 'keeps the memory of "accounts"' in kept.out
    assert "- sync accounts" in pruned.out
    assert ["renamed"] == [one["name"] for one in applied.headrace("syncs", "--json").json]


def test_an_object_in_use_is_not_deleted(applied):
    assert 2 == applied.headrace("delete", "model", "accounts", "--yes").code
    assert 2 == applied.headrace("delete", "sync", "accounts").code
    assert 2 == applied.headrace("delete", "sync", "nix", "--yes").code
    assert 0 == applied.headrace("delete", "sync", "accounts", "--yes").code
    assert [] == applied.headrace("syncs", "--json").json


def test_a_first_project_can_be_checked_as_it_is(project):
    written = project.headrace("init", "first")
    again = project.headrace("init", "first")

    assert 0 == written.code
    assert 2 == again.code
    assert 0 == project.headrace("check", "first").code


def test_the_schema_knows_every_section_and_the_fields_of_every_object(project):
    schema = project.headrace("schema").json

    sections = {"sources", "models", "destinations", "syncs", "sequences", "channels", "workspace"}
    assert sections == set(schema["properties"])
    text = orjson.dumps(schema).decode()
    for word in ("rest_api_token", "organizationIds", "statement_timeout", "max_removed_percent", "empty_string"):
        assert word in text
    settings = [
        schema["$defs"][one["then"]["properties"]["settings"]["$ref"].rpartition("/")[2]]["properties"]
        for one in schema["$defs"]["SyncConfig"]["allOf"]
        if one.get("if", {}).get("properties", {}).get("object") == {"const": "custom_object_instance"}
    ]
    assert [{"custom_object"}] * 2 == [set(one) for one in settings], "by REST and by Analytics"
    references = {part.split('"')[0] for part in text.split('"$ref":"#/$defs/')[1:]}
    assert references <= set(schema["$defs"])


def test_progress_is_told_in_words_and_time_left_only_when_honest():
    """A guess from the first half second is worse than none."""
    progress = Progress()
    progress.take(RunPlanned(Counts(rows=1000, added=400, invalid=2), 400), 0.0)
    progress.take(StageStarted("send"), 1.0)
    progress.take(RunProgressed(Counts(rows=1000, added=400, delivered=95, rejected=5, invalid=2), 400, 1.5, 12.4), 2.0)

    assert progress.left_s(2.0) is None
    assert 15 == progress.left_s(6.0)  # 100 in 5 s, 300 to go
    assert "sent 100 of 400, 20 rows/s, 15 s left, waiting for the rate limit 12 s" == progress.pace(6.0)
    assert "read 1,000, changed 400, delivered 95, rejected 7" == progress.numbers()


def test_numbers_of_a_body_keep_their_digits():
    body = b'{"mrr":19.90,"big":12345678901234567890,"text":"1.50","bad":"\x1b[1m"}'.replace(b"\x1b", b"\\u001b")

    shown = pretty(body)

    assert '"mrr": 19.90,' in shown
    assert '"big": 12345678901234567890,' in shown
    assert '"text": "1.50"' in shown
    assert "\x1b" not in shown
    assert "not json \\x1b" == pretty(b"not json \x1b")

"""Bad input gets a clear error, the right exit code and never a traceback."""

import socket
import sqlite3
from contextlib import closing

import pytest


def findings(result):
    return {(one["code"], one["line"]) for one in result.json}


def line_of(project, text):
    return next(n for n, line in enumerate(project.yaml.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("mode: upsert", "moed: upsert", "unknown_key", "moed"),
        ("region: us", "region: mars", "unknown_value", "region"),
        ("{column: name}", "[name]", "wrong_type", "name:"),
        ("{column: name}", "{column: nmae}", "column_missing", "nmae"),
        ("destination: vitally", "destination: vitaly", "not_found", "vitaly"),
        ("{env: VITALLY_REST_TOKEN}", "{env: NOT_SET}", "secret_missing", "NOT_SET"),
        ("{env: VITALLY_REST_TOKEN}", "sk_live_secret", "unknown_value", "sk_live"),
        ("table: accounts", "sql: select nope from accounts", "sql_error", "nope"),
        ("path: crm.sqlite", "path: gone.sqlite", None, "gone.sqlite"),
        ("sources:", "sources: [", "yaml_invalid", None),
    ],
)
def test_a_fault_in_the_configuration_has_its_place(project, old, new, code, place):
    """`file:line: code: message`, unwrapped, on standard error; the same as a list with --json."""
    project.declare(replace=(old, new))

    plain, told = project.headrace("check", project.yaml), project.headrace("check", project.yaml, "--json")
    applied = project.headrace("apply", project.yaml)

    assert (2, 2, 2) == (plain.code, told.code, applied.code)
    assert "" == plain.out + applied.out
    assert not (project.folder / ".headrace").exists()
    assert "sk_live_secret" not in plain.err + told.out
    first = plain.err.splitlines()[0]
    assert first.startswith(f"{project.yaml}:")
    if code is not None:
        assert code in {found for found, _ in findings(told)}
        assert f": {code}: " in plain.err
    if place is not None:
        assert f"{project.yaml}:{line_of(project, place)}: " in plain.err


def test_all_faults_come_together(project):
    project.declare(replace=("mode: upsert", "moed: upsert"))
    project.yaml.write_text(project.yaml.read_text().replace("path:", "pth:"))

    told = project.headrace("apply", project.yaml, "--json")

    assert 2 == told.code
    assert {"moed", "pth"} <= {one["path"].rpartition(".")[2] for one in told.json}


def test_a_path_that_is_not_there(project):
    assert 2 == project.headrace("apply", "nowhere.yaml").code
    assert "not_found" == project.headrace("check", "nowhere.yaml", "--json").json["error"]["code"]


def test_a_model_without_rows_is_no_fault(project):
    project.rows()

    project.headrace("apply", project.yaml)

    assert 0 == project.headrace("run", "accounts").code


def test_no_workspace_says_how_to_make_one(project):
    for command in ("syncs", "runs", "export", "run accounts", "plan accounts", "calls", "rows 1", "secret list"):
        done = project.headrace(*command.split())
        assert 2 == done.code, command
        assert "headrace apply" in done.err, command


def test_a_workspace_that_is_no_workspace(project):
    """A file in its place, garbage in its database, a database of a newer version."""
    (project.folder / "file").write_text("x")
    folder = project.folder / "garbage"
    folder.mkdir()
    (folder / "store.sqlite").write_text("this is no database, and it is long enough to look like one" * 9)

    in_file = project.headrace("--workspace", "file", "apply", project.yaml, "--json")
    garbage = project.headrace("--workspace", "garbage", "syncs")

    assert (2, "workspace_unreadable") == (in_file.code, in_file.json["error"]["code"])
    assert 3 == garbage.code
    assert str(folder) in garbage.err


def test_a_workspace_of_a_newer_version(applied):
    store = applied.folder / ".headrace" / "store.sqlite"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE headrace_version SET version_num = '9999'")

    done = applied.headrace("syncs", "--json")

    assert (2, "workspace_newer") == (done.code, done.json["error"]["code"])


def test_a_port_in_use(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = project.headrace("emulate", "vitally", "--port", port)

    assert 3 == done.code
    assert f"127.0.0.1:{port}" in done.err


def test_switches_of_the_emulator_that_do_not_fit(project):
    (project.folder / "faults.json").write_text("{}")
    for arguments in (
        ("--rate-limit", "fast"),
        ("--set", "nix=1"),
        ("--set", "deleteStatus"),
        ("--faults", "faults.json"),
        ("--settings", "gone.json"),
    ):
        done = project.headrace("emulate", "vitally", *arguments)
        assert 2 == done.code, arguments
        assert done.err.startswith("Error: "), arguments


def test_a_bug_is_said_in_one_line(project, monkeypatch, capsys):
    """Nobody is helped by a traceback they did not ask for."""
    from headrace import app
    from headrace.cli.main import run

    def broken(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(app, "read_settings", broken)

    code = run(["syncs"])
    plain = capsys.readouterr().err
    monkeypatch.setenv("HEADRACE_DEBUG", "1")
    run(["syncs"])
    asked = capsys.readouterr().err

    assert 3 == code
    assert 1 == len(plain.splitlines())
    assert "bug in Headrace: ZeroDivisionError" in plain
    assert "Traceback" in asked

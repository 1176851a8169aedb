"""Users, API keys and the audit log on the command line."""

import sqlite3
from contextlib import closing

import pytest

from headrace.app import App, read_settings

PASSWORD = "correct horse battery staple"


def accept(link, name="Nia"):
    """What the person does who opens the link."""
    token = link.rpartition("/")[2]
    with App.open(read_settings()) as app:
        return app.access.accept(token, "", name, PASSWORD)


@pytest.fixture
def member(applied):
    """A workspace with one user, an editor."""
    link = applied.headrace("users", "invite", "nia@example.com", "--role", "editor", "--json").json["link"]
    accept(link)
    return applied


def test_a_link_is_printed_that_makes_the_user(applied, monkeypatch):
    monkeypatch.setenv("HEADRACE_URL", "https://headrace.example.com/")

    invited = applied.headrace("users", "invite", "nia@example.com", "--role", "editor")
    pending = applied.headrace("users")
    link = invited.out.splitlines()[-1].strip()
    accept(link)
    listed = applied.headrace("users")

    assert "nia@example.com becomes an editor with this link, once" in invited.out
    assert link.startswith("https://headrace.example.com/welcome/")
    assert "There is no user." in pending.out
    assert "Invited as editor, until" in pending.out
    assert "nia@example.com  Nia   editor  enabled  not yet" in listed.out
    assert "Invited" not in listed.out


def test_roles_and_access_change_by_address(member):
    role = member.headrace("users", "role", "NIA@example.com", "viewer")
    off = member.headrace("users", "disable", "nia@example.com")
    state = member.headrace("users", "--json").json[0]
    on = member.headrace("users", "enable", "nia@example.com", "--json")

    assert "nia@example.com is a viewer now." in role.out
    assert "nia@example.com is disabled now." in off.out
    assert ("viewer", True) == (state["role"], state["disabled"])
    assert on.json["disabled"] is False
    assert "password" not in state


def test_a_link_for_a_new_password_is_for_somebody_who_is_there(member):
    link = member.headrace("users", "link", "nia@example.com").out.splitlines()[-1]
    nobody = member.headrace("users", "link", "nobody@example.com")

    assert "nia@example.com" == accept(link).email
    assert 2 == nobody.code
    assert 'There is no user "nobody@example.com". There are: nia@example.com.' in nobody.err


def test_an_invitation_can_be_taken_back(applied):
    link = applied.headrace("users", "invite", "nia@example.com").out.splitlines()[-1]

    withdrawn = applied.headrace("users", "withdraw", "nia@example.com")

    assert "The link of nia@example.com works no more." in withdrawn.out
    with pytest.raises(Exception, match="This link was used already"):
        accept(link)


def test_a_key_is_printed_alone_in_a_pipe_and_never_again(applied):
    """`KEY=$(headrace api-keys create airflow --scope run | tail -1)` is how it gets into a secret store."""
    made = applied.headrace("api-keys", "create", "airflow", "--scope", "run", "--days", "30")
    secret = made.out.splitlines()[-1]
    listed = applied.headrace("api-keys")

    assert secret.startswith("hr_")
    assert 'The API key "airflow" may read, run, until ' in made.out
    assert secret not in listed.out
    assert f"{secret[:7]}…{secret[-4:]}" in listed.out
    assert "read, run  command line  alive" in listed.out


def test_a_revoked_key_is_dead_and_said_to_be(applied):
    made = applied.headrace("api-keys", "create", "airflow", "--json").json

    revoked = applied.headrace("api-keys", "revoke", made["id"])

    assert "is dead" in revoked.out
    assert "revoked" in applied.headrace("api-keys").out
    with App.open(read_settings()) as app:
        assert app.access.actor_of_key(made["secret"]) is None
    assert 2 == applied.headrace("api-keys", "revoke", 99).code


def test_the_log_says_who_did_what_and_what_that_changed(applied):
    applied.declare(removed="clear")
    applied.headrace("apply", applied.yaml)

    newest = applied.headrace("audit", "--limit", 1)
    changes = applied.headrace("audit", "--subject", "sync accounts", "--changes")
    document = applied.headrace("audit", "--verb", "catalog.apply", "--limit", 2, "--json").json

    assert "cli:" in newest.out
    assert "catalog.apply  sync accounts" in newest.out
    assert "There are more: --cursor" in newest.out
    assert '    removed: "ignore" -> "clear"' in changes.out
    assert '    mode: nothing -> "upsert"' in changes.out
    assert ["sync accounts"] == [one["subject"] for one in document["items"]][:1]


def test_an_altered_log_is_said_to_be_and_ends_with_two(applied):
    whole = applied.headrace("audit", "verify")
    with closing(sqlite3.connect(applied.folder / ".headrace" / "store.sqlite")) as connection, connection:
        connection.execute("UPDATE audit SET actor = 'somebody else' WHERE id = 2")

    altered = applied.headrace("audit", "verify")
    as_json = applied.headrace("audit", "verify", "--json")

    assert 0 == whole.code
    assert "All 4 entries are as they were written." in whole.out
    assert (2, 2) == (altered.code, as_json.code)
    assert "Entry 2 of the audit log is not as it was written" in altered.err
    assert 2 == as_json.json["broken_at"]

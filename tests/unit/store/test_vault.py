from __future__ import annotations

import base64
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from headrace.domain.errors import UserError
from headrace.store.keys import GivenKeys, Key
from headrace.store.vault import Vault
from headrace.store.workspace import Workspace

from .world import on_postgres, on_sqlite, start_python

CANARY = "vt_live_canary_5d1f0e"
OLD = base64.b64encode(b"o" * 32).decode()
NEW = (b"n" * 32).hex()


def vault_of(workspace: Workspace) -> Vault:
    """With the key file where there is one."""
    return workspace.vault(GivenKeys(OLD) if workspace.is_shared else None)


def code_of(vault: Vault, name: str) -> str:
    with pytest.raises(UserError) as caught:
        vault.get(name)
    assert CANARY not in caught.value.message
    return caught.value.code


def files_of(workspace: Workspace) -> bytes:
    return b"".join(path.read_bytes() for path in workspace.path.rglob("*") if path.is_file())


def change(workspace: Workspace, statement: str) -> None:
    with workspace.database.write() as connection:
        connection.execute(text(statement))


@on_sqlite
def test_no_file_of_the_workspace_holds_a_secret(workspace: Workspace) -> None:
    """A copied folder without its key, a backup, a WAL left behind: none gives a token away."""
    workspace.vault().set("token", CANARY)
    key = workspace.key_path.read_text().splitlines()[-1]
    store = b"".join(p.read_bytes() for p in workspace.path.glob("store.sqlite*"))

    assert workspace.vault().get("token") == CANARY
    for form in (CANARY.encode(), base64.b64encode(CANARY.encode()), CANARY.encode().hex().encode()):
        assert form not in files_of(workspace)
    assert key.encode() not in store
    assert base64.b64decode(key) not in store


def test_nothing_prints_a_secret_or_a_key(workspace: Workspace) -> None:
    vault = workspace.vault(GivenKeys(f"{NEW},{OLD}"))
    vault.set("token", CANARY)

    shown = f"{vault!r} {vars(vault)!r} {vault.names()!r} {workspace!r} {Key(b'n' * 32)!r}"

    assert not [secret for secret in (CANARY, NEW, OLD, "nnnn") if secret in shown]


@pytest.mark.parametrize(
    "move",
    [
        "UPDATE secrets SET name = 'b'",
        "UPDATE settings SET value = '\"another-workspace\"' WHERE key = 'workspace.id'",
        "UPDATE secrets SET ciphertext = nonce",
    ],
)
def test_a_ciphertext_is_worth_nothing_elsewhere(workspace: Workspace, move: str) -> None:
    """Else who can write the database could send one customer's token to a host of his own under another name."""
    vault_of(workspace).set("a", CANARY)

    change(workspace, move)

    name = vault_of(workspace).names()[0].name
    assert code_of(vault_of(workspace), name) == "secret_unreadable"


def test_the_same_value_twice_does_not_look_the_same(workspace: Workspace) -> None:
    for name in ("a", "b"):
        vault_of(workspace).set(name, CANARY)

    with workspace.database.read() as connection:
        rows = connection.execute(text("SELECT nonce, ciphertext FROM secrets")).all()

    assert len({row.nonce for row in rows}) == len({row.ciphertext[:8] for row in rows}) == 2


def test_missing_secrets_say_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="headrace secret set token") as caught:
        vault_of(workspace).get("token")

    assert caught.value.code == "secret_missing"


def test_missing_keys_say_what_to_do(workspace: Workspace) -> None:
    vault_of(workspace).set("token", CANARY)
    workspace.key_path.unlink(missing_ok=True)

    other = workspace.vault(GivenKeys(NEW))
    assert code_of(workspace.vault(), "token") == "secret_unreadable"
    assert code_of(other, "token") == "secret_unreadable"
    for act in (lambda: workspace.vault().set("other", "x"), workspace.vault().check):
        with pytest.raises(UserError, match="HEADRACE_KEY_COMMAND") as caught:
            act()
        assert caught.value.code == "vault_key_missing"
    with pytest.raises(UserError, match=r'\(1\) whose .*"token".*older key') as caught:
        other.check()
    assert caught.value.code == "secret_unreadable"


def test_a_start_with_the_right_keys_or_without_secrets_is_let_through(workspace: Workspace) -> None:
    workspace.vault().check()

    vault_of(workspace).set("token", CANARY)

    vault_of(workspace).check()


@on_postgres
def test_on_postgres_no_key_is_made_in_secret(workspace: Workspace) -> None:
    """A key file on one machine would be one that the other machines do not have."""
    with pytest.raises(UserError, match="every machine needs the same key") as caught:
        workspace.vault().set("token", CANARY)

    assert caught.value.code == "vault_key_missing"
    assert workspace.vault().names() == []


def test_a_deleted_secret_is_gone(workspace: Workspace) -> None:
    vault_of(workspace).set("token", CANARY)

    vault_of(workspace).delete("token")

    assert vault_of(workspace).names() == []
    with pytest.raises(UserError, match="no secret"):
        vault_of(workspace).delete("token")


@pytest.mark.skipif(os.name != "posix", reason="rights of this kind are POSIX")
@on_sqlite
def test_a_key_that_others_can_read_is_not_used(workspace: Workspace) -> None:
    workspace.vault().set("token", CANARY)
    assert stat.S_IMODE(workspace.key_path.stat().st_mode) == 0o600

    workspace.key_path.chmod(0o640)

    with pytest.raises(UserError, match="chmod 600") as caught:
        workspace.vault().get("token")
    assert caught.value.code == "key_exposed"


@pytest.mark.parametrize("keys", ["short", "z" * 64, f"{OLD},nonsense", OLD + "!"])
def test_a_key_that_is_none_is_refused_without_showing_it(workspace: Workspace, keys: str) -> None:
    with pytest.raises(UserError, match="openssl rand -base64 32") as caught:
        workspace.vault(GivenKeys(keys)).check()

    assert caught.value.code == "key_invalid"
    assert keys.split(",")[-1] not in caught.value.message


@pytest.mark.parametrize("provider", ["file", "command"])
def test_a_key_comes_from_a_file_or_from_a_command(workspace: Workspace, tmp_path: Path, provider: str) -> None:
    """Container platforms mount secrets as files that all may read; vaults have command lines."""
    path = tmp_path / "the keys"
    path.write_text(f"# ours\n{NEW}\n")
    path.chmod(0o444)
    given = {
        "file": {"HEADRACE_KEY_FILE": str(path)},
        "command": {"HEADRACE_KEY_COMMAND": f"cat '{path}'"},
    }[provider]

    workspace.vault(GivenKeys.read(given)).set("token", CANARY)

    assert workspace.vault(GivenKeys(NEW)).get("token") == CANARY
    assert workspace.vault(GivenKeys.read(given)).get("token") == CANARY


def test_a_key_that_was_added_behind_a_command_is_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    """A server that runs for months sees a rotation that was done elsewhere."""
    path = tmp_path / "keys"
    path.write_text(OLD)
    vault = workspace.vault(GivenKeys(command=f"cat {path}"))
    vault.set("token", CANARY)
    assert vault.get("token") == CANARY

    path.write_text(f"{NEW},{OLD}")
    workspace.vault(GivenKeys(command=f"cat {path}")).rotate()

    assert vault.get("token") == CANARY


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            f'{sys.executable} -c \'import sys; print("{CANARY}"); sys.exit("sealed")\'',
            'ended with 1 and said "sealed"',
        ),
        ("no-such-command-anywhere", "No such file"),
        ("cat 'unbalanced", "it is no command"),
        ("true", "gives none"),
        (f"echo {CANARY}", "not a key"),
        ("echo $HOME", "not a key"),
    ],
)
def test_a_command_that_gives_no_key_is_told_without_what_it_printed(command: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        GivenKeys(command=command).load()

    assert CANARY not in caught.value.message
    assert caught.value.code in ("key_command_failed", "key_invalid")


def test_after_a_rotation_the_old_key_is_not_needed(workspace: Workspace) -> None:
    workspace.vault(GivenKeys(OLD)).set("token", CANARY)

    rotation = workspace.vault(GivenKeys(f"{NEW},{OLD}")).rotate()

    assert rotation.encrypted == 1
    assert workspace.vault(GivenKeys(NEW)).get("token") == CANARY
    assert code_of(workspace.vault(GivenKeys(OLD)), "token") == "secret_unreadable"
    with pytest.raises(UserError, match="Put a new one before it"):
        workspace.vault(GivenKeys(NEW)).rotate()


@on_sqlite
def test_the_key_file_rotates_by_itself(workspace: Workspace) -> None:
    workspace.vault().set("token", CANARY)
    old = workspace.key_path.read_text().splitlines()[-1]

    workspace.vault().rotate()

    assert old not in workspace.key_path.read_text()
    assert workspace.vault().get("token") == CANARY


@on_sqlite
def test_a_rotation_moves_from_the_file_to_the_environment(workspace: Workspace) -> None:
    workspace.vault().set("token", CANARY)

    workspace.vault(GivenKeys(NEW)).rotate()
    workspace.key_path.unlink()

    assert workspace.vault(GivenKeys(NEW)).get("token") == CANARY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("provider", ["own file", "environment", "file", "command"])
def test_a_rotation_cut_short_leaves_every_secret_readable(
    where: str, workspace: Workspace, tmp_path: Path, provider: str
) -> None:
    """kill -9 before the steps that the rotation takes; the next rotation ends what that one began."""
    if provider == "own file" and workspace.is_shared:
        pytest.skip("on Postgres there is no such file")
    script = """if True:
        import os, signal, sys
        from headrace.store.keys import GivenKeys
        from headrace.store.workspace import Workspace

        def given():
            return GivenKeys(*(word or None for word in sys.argv[2:5]))

        def rotate_until(step):
            def die_in_time(frame, event, argument):
                nonlocal step
                if event == "call" and frame.f_code.co_name in ("load", "save", "_sync_folder", "write", "_encrypt"):
                    step -= 1
                    if step == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            with Workspace.open(sys.argv[1]) as workspace:
                sys.setprofile(die_in_time)
                workspace.vault(given()).rotate()

        step = 1
        while True:
            child = os.fork()
            if child == 0:
                rotate_until(step)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            with Workspace.open(sys.argv[1]) as workspace:
                vault = workspace.vault(given())
                print(status, *(vault.get(f"token-{n}") for n in range(100)), flush=True)
            if status == 0:
                break
            step += max(1, step // 3)
    """
    values = [f"{CANARY}-{n}" for n in range(100)]
    before = workspace.vault(None if provider == "own file" else GivenKeys(OLD))
    for n, value in enumerate(values):
        before.set(f"token-{n}", value)
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\n{OLD}\n")
    given = {
        "own file": ("", "", ""),
        "environment": (f"{NEW},{OLD}", "", ""),
        "file": ("", file, ""),
        "command": ("", "", f"cat {file}"),
    }[provider]

    told = [line.split() for line in start_python(script, where, *given).communicate()[0].splitlines()]

    assert [line[1:] for line in told] == [values] * len(told)
    assert [line[0] for line in told] == [str(int(signal.SIGKILL))] * (len(told) - 1) + ["0"]
    assert len(told) > 10
    if provider == "own file":
        assert len([line for line in workspace.key_path.read_text().splitlines() if line[0] != "#"]) == 1
    else:
        workspace.key_path.unlink(missing_ok=True)
        assert [workspace.vault(GivenKeys(NEW)).get(f"token-{n}") for n in range(100)] == values

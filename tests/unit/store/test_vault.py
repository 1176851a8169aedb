from __future__ import annotations

import base64
import os
import signal
import stat

import pytest
from sqlalchemy import text

from headrace.domain.errors import UserError
from headrace.store.keys import Key
from headrace.store.vault import Vault
from headrace.store.workspace import Workspace

from .world import on_sqlite, start_python

CANARY = "vt_live_canary_5d1f0e"
OLD = base64.b64encode(b"o" * 32).decode()
NEW = (b"n" * 32).hex()


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
    vault = workspace.vault(f"{NEW},{OLD}")
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
    workspace.vault().set("a", CANARY)

    change(workspace, move)

    name = workspace.vault().names()[0].name
    assert code_of(workspace.vault(), name) == "secret_unreadable"


def test_the_same_value_twice_does_not_look_the_same(workspace: Workspace) -> None:
    for name in ("a", "b"):
        workspace.vault().set(name, CANARY)

    with workspace.database.read() as connection:
        rows = connection.execute(text("SELECT nonce, ciphertext FROM secrets")).all()

    assert len({row.nonce for row in rows}) == len({row.ciphertext[:8] for row in rows}) == 2


def test_missing_secrets_and_missing_keys_say_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="headrace secret set token") as caught:
        workspace.vault().get("token")
    assert caught.value.code == "secret_missing"

    workspace.vault().set("token", CANARY)
    workspace.key_path.unlink()

    assert code_of(workspace.vault(), "token") == "secret_unreadable"
    assert code_of(workspace.vault(OLD), "token") == "secret_unreadable"
    with pytest.raises(UserError, match="key is gone"):
        workspace.vault().set("other", "x")


def test_a_deleted_secret_is_gone(workspace: Workspace) -> None:
    workspace.vault().set("token", CANARY)

    workspace.vault().delete("token")

    assert workspace.vault().names() == []
    with pytest.raises(UserError, match="no secret"):
        workspace.vault().delete("token")


@pytest.mark.skipif(os.name != "posix", reason="rights of this kind are POSIX")
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
        workspace.vault(keys)

    assert keys.split(",")[-1] not in caught.value.message


def test_after_a_rotation_the_old_key_is_not_needed(workspace: Workspace) -> None:
    workspace.vault(OLD).set("token", CANARY)

    rotation = workspace.vault(f"{NEW},{OLD}").rotate()

    assert rotation.encrypted == 1
    assert workspace.vault(NEW).get("token") == CANARY
    assert code_of(workspace.vault(OLD), "token") == "secret_unreadable"
    with pytest.raises(UserError, match="Put a new one before it"):
        workspace.vault(NEW).rotate()


def test_the_key_file_rotates_by_itself(workspace: Workspace) -> None:
    workspace.vault().set("token", CANARY)
    old = workspace.key_path.read_text().splitlines()[-1]

    workspace.vault().rotate()

    assert old not in workspace.key_path.read_text()
    assert workspace.vault().get("token") == CANARY


def test_a_rotation_moves_from_the_file_to_the_environment(workspace: Workspace) -> None:
    workspace.vault().set("token", CANARY)

    workspace.vault(NEW).rotate()
    workspace.key_path.unlink()

    assert workspace.vault(NEW).get("token") == CANARY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_rotation_cut_short_leaves_every_secret_readable(where: str, workspace: Workspace) -> None:
    """kill -9 before each step that the rotation takes; the next rotation ends what that one began."""
    script = """if True:
        import os, signal, sys
        from headrace.store.workspace import Workspace

        def rotate_until(step):
            def die_in_time(frame, event, argument):
                nonlocal step
                if event == "call" and frame.f_code.co_name in ("load", "save", "_sync_folder", "write", "_encrypt"):
                    step -= 1
                    if step == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            with Workspace.open(sys.argv[1]) as workspace:
                sys.setprofile(die_in_time)
                workspace.vault().rotate()

        for step in range(1, 100):
            child = os.fork()
            if child == 0:
                rotate_until(step)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            with Workspace.open(sys.argv[1]) as workspace:
                print(status, *(workspace.vault().get(f"token-{n}") for n in range(5)), flush=True)
            if status == 0:
                break
    """
    values = [f"{CANARY}-{n}" for n in range(5)]
    for n, value in enumerate(values):
        workspace.vault().set(f"token-{n}", value)

    told = [line.split() for line in start_python(script, where).communicate()[0].splitlines()]

    assert [line[1:] for line in told] == [values] * len(told)
    assert [line[0] for line in told] == [str(int(signal.SIGKILL))] * (len(told) - 1) + ["0"]
    assert len(told) > 10
    assert len([line for line in workspace.key_path.read_text().splitlines() if line[0] != "#"]) == 1

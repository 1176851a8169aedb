"""Where a secret is looked for, in which order, and what is said when it is nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.domain.config import SecretRef
from headrace.domain.errors import UserError
from headrace.service.secrets import Secrets


def secrets(environment: dict[str, str], *folders: Path, **kept: str) -> Secrets:
    return Secrets(environment, folders, kept.get)


def dotenv(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / ".env").write_text(text)
    return folder


def test_the_environment_goes_before_files_and_the_nearer_file_before_the_farther(tmp_path: Path):
    """What a person sets for one command must win over what lies about."""
    near = dotenv(tmp_path / "near", "A=near\nB=near\n")
    far = dotenv(tmp_path / "far", "A=far\nB=far\nC=far\n")
    found = secrets({"A": "set"}, near, far)

    assert ["set", "near", "far"] == [found.resolve(SecretRef(env=name), "x") for name in "ABC"]


def test_blanks_and_line_ends_around_a_secret_are_not_part_of_it(tmp_path: Path):
    """An editor ends every file with a line end; as part of a header it is refused by any server."""
    file = tmp_path / "token"
    file.write_text("  sk_live_1\n")

    assert "sk_live_1" == secrets({}).resolve(SecretRef(file=str(file)), "x")
    assert "sk_live_1" == secrets({"A": " sk_live_1\n"}).resolve(SecretRef(env="A"), "x")


def test_a_kept_secret_is_found_under_its_name_or_under_that_of_the_setting():
    found = secrets({}, **{"vitally.rest_api_token": "one", "shared": "two"})

    assert "one" == found.resolve(None, "vitally.rest_api_token")
    assert "two" == found.resolve(SecretRef(secret="shared"), "vitally.rest_api_token")


@pytest.mark.parametrize(
    ("environment", "reference", "words"),
    [
        ({}, SecretRef(env="A"), "A is not set"),
        ({"A": ""}, SecretRef(env="A"), "A is empty"),
        ({"A": "  "}, SecretRef(env="A"), "A is empty"),
        ({}, SecretRef(file="/nowhere/token"), "can't be read (No such file or directory)"),
        ({}, SecretRef(secret="shared"), "`headrace secret set shared`"),
        ({}, None, "`headrace secret set vitally.rest_api_token`"),
    ],
)
def test_a_secret_that_is_nowhere_is_told_with_the_mend(environment: dict[str, str], reference: SecretRef, words: str):
    with pytest.raises(UserError) as caught:
        secrets(environment).resolve(reference, "vitally.rest_api_token")

    assert "secret_missing" == caught.value.code
    assert words in caught.value.message


def test_an_empty_file_holds_no_secret(tmp_path: Path):
    (tmp_path / "token").write_text("\n")

    with pytest.raises(UserError, match="is empty"):
        secrets({}).resolve(SecretRef(file=str(tmp_path / "token")), "x")

"""From a reference to the secret itself: environment, `.env` files, files, the vault. Values go to connections only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headrace.domain.config import SecretRef
from headrace.domain.errors import UserError

Kept = Callable[[str], str | None]
"""Gives the vault's secret of that name, None where it has none."""


class Secrets:
    """Resolves references. The environment goes before `.env` files, those of the present folder before others."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folders: Sequence[Path],
        kept: Kept,
        given_out: Callable[[str], None] = lambda _secret: None,
    ) -> None:
        """`given_out` is told each secret before whoever asked has it: what masks secrets in logs."""
        self._given_out = given_out
        self._environment = environment
        self._folders = folders
        self._kept = kept
        self._files: dict[str, str] | None = None

    def resolve(self, reference: SecretRef | None, name: str) -> str:
        """The secret. `name` is what the vault calls it where there is no reference (`crm.rest_api_token`).

        Raises UserError `secret_missing` with the mend.
        """
        secret = self._find(reference, name)
        self._given_out(secret)
        return secret

    def _find(self, reference: SecretRef | None, name: str) -> str:
        if reference is None:
            return self._from_vault(name, f"No {name.rpartition('.')[2]} is set")
        if reference.env is not None:
            return self._from_environment(reference.env, name)
        if reference.file is not None:
            return self._from_file(reference.file, name)
        assert reference.secret is not None
        return self._from_vault(reference.secret, f'The workspace keeps no secret "{reference.secret}"')

    def _from_environment(self, variable: str, name: str) -> str:
        value = self._environment.get(variable) or self._dotenv().get(variable)
        if not value or not value.strip():
            state = "empty" if value or variable in (self._environment.keys() | self._dotenv().keys()) else "not set"
            message = f"The environment variable {variable} is {state}; {name} is read from it. "
            message += f"Set it, or write it into a .env file beside the configuration: {variable}=..."
            raise UserError(message, code="secret_missing", variable=variable)
        return value.strip()

    def _from_file(self, path: str, name: str) -> str:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            message = f"The file {path} can't be read ({why}); {name} is kept in it."
            raise UserError(message, code="secret_missing", path=path) from error
        if not value:
            raise UserError(f"The file {path} is empty; {name} is kept in it.", code="secret_missing", path=path)
        return value

    def _from_vault(self, name: str, missing: str) -> str:
        value = self._kept(name)
        if value is None:
            raise UserError(f"{missing}. Set it with `headrace secret set {name}`.", code="secret_missing", name=name)
        return value

    def _dotenv(self) -> Mapping[str, str]:
        if self._files is None:
            from dotenv import dotenv_values

            found: dict[str, str] = {}
            for folder in reversed(self._folders):
                file = folder / ".env"
                if os.path.isfile(file):
                    found |= {key: value for key, value in dotenv_values(file).items() if value is not None}
            self._files = found
        return self._files

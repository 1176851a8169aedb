"""Secrets that the workspace keeps: set, listed by name, forgotten, encrypted again. No value ever comes back."""

from __future__ import annotations

from headrace.domain.access import Scope
from headrace.service.verbs import note, verb
from headrace.store.vault import Rotation, SecretName, Vault


class VaultService:
    """The vault of one workspace."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @verb(Scope.CONFIGURE, changes=lambda name, value: f"secret {name}")
    def set(self, name: str, value: str) -> None:
        """Keeps a secret. Raises what the key ring raises."""
        note(f"secret {name}")
        self._vault.set(name, value)

    @verb(Scope.READ)
    def names(self) -> list[SecretName]:
        """All secrets by name, without their values."""
        return self._vault.names()

    @verb(Scope.CONFIGURE, changes=lambda name: f"secret {name}")
    def delete(self, name: str) -> None:
        """Raises UserError `secret_missing`."""
        note(f"secret {name}")
        self._vault.delete(name)

    @verb(Scope.ADMIN, changes=lambda: "key")
    def rotate(self) -> Rotation:
        """Encrypts every secret again under a new key. Raises UserError `key_not_new`."""
        return self._vault.rotate()

"""Secrets at rest: AES-256-GCM, each bound to its workspace and its name. Never prints a value, never keeps one.

Keys come from the key ring and lie outside the database. A secret says which key it needs.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from headrace.domain.errors import Bug, UserError
from headrace.store.database import Database
from headrace.store.keys import Key, KeyRing
from headrace.store.tables import secrets, settings

NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class SecretName:
    """A secret without its value."""

    name: str
    key_id: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: how many secrets it encrypted again, and under which key all are now."""

    encrypted: int
    key_id: str


class Vault:
    def __init__(self, database: Database, ring: KeyRing, now: Callable[[], datetime]) -> None:
        self._database = database
        self._ring = ring
        self._now = now

    def __repr__(self) -> str:
        return "Vault(***)"

    def set(self, name: str, value: str) -> None:
        """Keeps the value under the first key; makes the key file where there is no key at all."""
        with self._database.write() as connection:
            key = self._first_key(connection)
            row = {
                "name": name,
                "updated_at": self._now(),
                **_encrypt(key, _bound_to(connection, name), value.encode()),
            }
            connection.execute(self._database.upsert(secrets, ["name"]), row)

    def get(self, name: str) -> str:
        """Raises UserError `secret_missing` or `secret_unreadable`, and what the key file raises."""
        try:
            return self._read(name)
        except UserError as error:
            if error.code != "secret_unreadable":
                raise
            # A rotation may have ended between our look at the row and at the keys, or a key was added since.
            self._ring.given.forget()
            return self._read(name)

    def names(self) -> list[SecretName]:
        """All secrets, by name."""
        query = select(secrets.c.name, secrets.c.key_id, secrets.c.updated_at).order_by(secrets.c.name)
        with self._database.read() as connection:
            return [SecretName(*row) for row in connection.execute(query)]

    def delete(self, name: str) -> None:
        """Raises UserError `secret_missing`."""
        with self._database.write() as connection:
            if not connection.execute(delete(secrets).where(secrets.c.name == name)).rowcount:
                raise _missing(name)

    def check(self) -> None:
        """Whether the keys at hand read every secret, by the name of the key that each needs.

        Raises UserError `vault_key_missing` or `secret_unreadable`, and what the key ring raises. Without secrets no
        key is needed.
        """
        known = {key.id for key in self._ring.load()}
        needed: dict[str, list[str]] = {}
        for one in self.names():
            needed.setdefault(one.key_id, []).append(one.name)
        if needed and not known:
            raise _key_gone(self._ring)
        unknown = sorted(name for key, names in needed.items() if key not in known for name in names)
        if unknown:
            shown = ", ".join(f'"{name}"' for name in unknown[:5]) + (" and others" if len(unknown) > 5 else "")
            raise UserError(
                f"The workspace holds secrets ({len(unknown)}) whose key is not at hand: {shown}. Give the older key "
                "too, after the new one, and run `headrace key rotate`; or set these secrets again.",
                code="secret_unreadable",
                names=unknown,
            )

    def rotate(self) -> Rotation:
        """Encrypts every secret again under a new first key. Cut short anywhere, all stay readable; run it again.

        The key file gets a new key by itself and drops the old ones at the end: older backups of the database need
        the copy of the key file that belongs to them. Given keys are the user's: the new one stands first.
        Raises UserError `key_not_new` when the first given key already encrypts everything.
        """
        with self._database.write() as connection:
            self._introduce_key(connection)
        with self._database.write() as connection:
            key, encrypted = self._encrypt_again(connection)
        if not self._ring.is_given:
            with self._database.write():  # the lock: no secret is set while the old keys go
                self._ring.save((key,))
        return Rotation(encrypted, key.id)

    def _introduce_key(self, connection: Connection) -> None:
        """A new first key, unless an earlier rotation was cut short: then that one is finished."""
        keys = self._ring.load()
        used = set(connection.scalars(select(secrets.c.key_id)))
        if keys and used - {keys[0].id}:
            return
        if not self._ring.is_given:
            self._ring.save((Key.generate(), *keys))
        elif used:
            raise UserError(
                f"The first key of {self._ring.given.places()[0]} encrypts every secret already. Put a new one before "
                "it, with a comma or on a line of its own (make it with `openssl rand -base64 32`), then rotate again; "
                "afterwards the old one can go.",
                code="key_not_new",
            )

    def _encrypt_again(self, connection: Connection) -> tuple[Key, int]:
        keys = self._ring.load()
        rows = connection.execute(select(secrets).where(secrets.c.key_id != keys[0].id)).all()
        for row in rows:
            bound_to = _bound_to(connection, row.name)
            again = _encrypt(keys[0], bound_to, _decrypt(row, keys, bound_to))
            connection.execute(update(secrets).where(secrets.c.name == row.name), again)
        return keys[0], len(rows)

    def _first_key(self, connection: Connection) -> Key:
        keys = self._ring.load()
        if keys:
            return keys[0]
        if connection.scalar(select(func.count()).select_from(secrets)):
            raise _key_gone(self._ring)
        key = Key.generate()
        self._ring.save((key,))
        return key

    def _read(self, name: str) -> str:
        with self._database.read() as connection:
            row = connection.execute(select(secrets).where(secrets.c.name == name)).one_or_none()
            if row is None:
                raise _missing(name)
            return _decrypt(row, self._ring.load(), _bound_to(connection, name)).decode()


def _bound_to(connection: Connection, name: str) -> bytes:
    """What a ciphertext is bound to: the workspace's id, which has a fixed length, and the secret's name."""
    workspace_id = connection.scalar(select(settings.c.value).where(settings.c.key == "workspace.id"))
    if not isinstance(workspace_id, str):
        raise Bug("The workspace has no id.")
    return f"{workspace_id}/{name}".encode()


def _encrypt(key: Key, bound_to: bytes, value: bytes) -> dict[str, Any]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = randomness.token_bytes(NONCE_BYTES)
    return {"key_id": key.id, "nonce": nonce, "ciphertext": AESGCM(key.secret).encrypt(nonce, value, bound_to)}


def _decrypt(row: Row[Any], keys: tuple[Key, ...], bound_to: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = next((key for key in keys if key.id == row.key_id), None)
    if key is None:
        raise _unreadable(row.name, f"it was encrypted with the key {row.key_id}, which is not at hand")
    try:
        return AESGCM(key.secret).decrypt(row.nonce, row.ciphertext, bound_to)
    except InvalidTag:
        raise _unreadable(row.name, "it was altered, or it belongs to another name or workspace") from None


def _key_gone(ring: KeyRing) -> UserError:
    nowhere = f"there is no {ring.path} and none is given" if ring.path else "none is given"
    return UserError(
        f"The workspace holds secrets, but no key to read them: {nowhere}. Give the key in HEADRACE_KEY, "
        "HEADRACE_KEY_FILE or HEADRACE_KEY_COMMAND, or delete the secrets and set them again.",
        code="vault_key_missing",
    )


def _missing(name: str) -> UserError:
    return UserError(
        f'There is no secret "{name}". Set it with `headrace secret set {name}`.', code="secret_missing", name=name
    )


def _unreadable(name: str, why: str) -> UserError:
    return UserError(
        f'The secret "{name}" cannot be read: {why}. Bring the key back (HEADRACE_KEY and its like, or the '
        f"workspace's file `key`), or set the secret again with `headrace secret set {name}`.",
        code="secret_unreadable",
        name=name,
    )

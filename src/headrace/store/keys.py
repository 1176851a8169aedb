"""The keys that encrypt secrets: from HEADRACE_KEY, or from the 0600 file of the workspace. Never in the database."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from headrace.domain.errors import UserError

KEY_BYTES = 32
KEY_FILE_HEAD = "# Headrace encrypts secrets with the first of these keys. Keep a copy apart from the database.\n"


@dataclass(frozen=True, slots=True)
class Key:
    """One AES-256 key. `id` says which key it is and tells nothing about it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.blake2b(self.secret, digest_size=6, person=b"headrace key id").hexdigest()

    @classmethod
    def generate(cls) -> Key:
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str, where: str) -> Key:
        """From 64 hex digits, or base64 of 32 bytes. Raises UserError `key_invalid`, which does not show the text."""
        text = text.strip()
        try:
            secret = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else _from_base64(text)
        except (ValueError, binascii.Error):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise UserError(
                f"{where} holds something that is not a key. A key is 32 random bytes in base64 or hex; make one with "
                "`openssl rand -base64 32`.",
                code="key_invalid",
            )
        return cls(secret)


class KeyRing:
    """All keys at hand, the one that encrypts first. Asked anew each time: another process may rotate the file."""

    def __init__(self, path: Path, environment: str | None) -> None:
        self.path = path
        parts = [part for part in (environment or "").split(",") if part.strip()]
        self._given = tuple(Key.parse(part, "HEADRACE_KEY") for part in parts)

    def __repr__(self) -> str:
        return f"KeyRing({str(self.path)!r}, {len(self._given)} from the environment)"

    @property
    def is_given(self) -> bool:
        """Whether the environment holds the keys; then the file only serves to read what is older."""
        return bool(self._given)

    def load(self) -> tuple[Key, ...]:
        """Keys of the environment, then those of the file. Raises UserError `key_exposed`, `key_unreadable`."""
        return (*self._given, *self._read_file())

    def save(self, keys: tuple[Key, ...]) -> None:
        """Replaces the key file: after a crash it holds the old keys or the new ones, never half."""
        text = KEY_FILE_HEAD + "".join(base64.b64encode(key.secret).decode() + "\n" for key in keys)
        unfinished = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            unfinished.unlink(missing_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise self._unreadable(error, "written") from error

    def _read_file(self) -> tuple[Key, ...]:
        try:
            with self.path.open() as file:
                mode = os.fstat(file.fileno()).st_mode
                if os.name == "posix" and mode & 0o077:
                    raise UserError(
                        f"The key file {self.path} can be read by others (its mode is {mode & 0o777:03o}): it is not "
                        f"used. Take their rights away with `chmod 600 {self.path}`; if somebody may have read it, "
                        "also run `headrace key rotate` and change the tokens.",
                        code="key_exposed",
                    )
                lines = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(error, "read") from error
        return tuple(Key.parse(line, f"The key file {self.path}") for line in lines)

    def _unreadable(self, error: Exception, done: str) -> UserError:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        return UserError(
            f"The key file {self.path} could not be {done}: {why}. Give this user the right to read and write it, or "
            "restore it from your copy.",
            code="key_unreadable",
        )


def _from_base64(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


def _sync_folder(path: Path) -> None:
    """Makes a rename durable. Windows has no such call and needs none."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

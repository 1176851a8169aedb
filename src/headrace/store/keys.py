"""The keys that encrypt secrets: given by whoever runs Headrace, or in the 0600 file of a folder.

They are never in the database. Given keys (HEADRACE_KEY, HEADRACE_KEY_FILE, HEADRACE_KEY_COMMAND) are only read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace.domain.errors import UserError

KEY_BYTES = 32
COMMAND_TIMEOUT_S = 10
COMPLAINT_LENGTH = 300
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


class GivenKeys:
    """The keys that the environment gives, or says where to find. All that are given count, in the order below.

    A command is asked once, and again by `forget`: it may ask a vault far away. Never prints a key.
    """

    def __init__(self, text: str | None = None, file: str | None = None, command: str | None = None) -> None:
        self._text = text
        self._file = file
        self._command = command
        self._printed: tuple[Key, ...] | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> GivenKeys:
        return cls(*(environment.get(f"HEADRACE_KEY{name}") or None for name in ("", "_FILE", "_COMMAND")))

    def __repr__(self) -> str:
        return f"GivenKeys({', '.join(self.places()) or 'none'})"

    def places(self) -> list[str]:
        """Where keys are given, as people call it."""
        given = {"HEADRACE_KEY": self._text, "HEADRACE_KEY_FILE": self._file, "HEADRACE_KEY_COMMAND": self._command}
        return [name for name, value in given.items() if value]

    def load(self) -> tuple[Key, ...]:
        """Raises UserError `key_invalid`, `key_unreadable`, `key_command_failed`."""
        keys = _parse_all(self._text or "", "HEADRACE_KEY")
        if self._file:
            keys += _parse_all(_read_text(Path(self._file)), f"The file {self._file} of HEADRACE_KEY_FILE")
        if self._command:
            if self._printed is None:
                self._printed = _parse_all(_run(self._command), "What HEADRACE_KEY_COMMAND printed")
            keys += self._printed
        if self.places() and not keys:
            raise UserError(
                f"{' and '.join(self.places())} should give a key and gives none. Make one with "
                "`openssl rand -base64 32`.",
                code="key_invalid",
            )
        return keys

    def forget(self) -> None:
        """Asks the command anew the next time: a key may have been added."""
        self._printed = None


class KeyRing:
    """All keys at hand, the one that encrypts first. Asked anew each time: another process may rotate the file.

    `path` is the workspace's own file; None where there is none, since several machines use the workspace.
    """

    def __init__(self, path: Path | None, given: GivenKeys) -> None:
        self.path = path
        self.given = given

    def __repr__(self) -> str:
        return f"KeyRing({self.path}, {self.given!r})"

    @property
    def is_given(self) -> bool:
        """Whether the environment gives the keys; then the file only serves to read what is older."""
        return bool(self.given.places())

    def load(self) -> tuple[Key, ...]:
        """Keys that are given, then those of the file. Raises UserError `key_exposed`, and what GivenKeys raises."""
        return (*self.given.load(), *(self._read_file(self.path) if self.path else ()))

    def save(self, keys: tuple[Key, ...]) -> None:
        """Replaces the key file: after a crash it holds the old keys or the new ones, never half.

        Raises UserError `vault_key_missing` where the workspace has no file of its own.
        """
        if self.path is None:
            raise UserError(
                "The workspace keeps secrets encrypted, and no key is given: on Postgres there is no key file, since "
                "every machine needs the same key. Make one with `openssl rand -base64 32`, and give it in "
                "HEADRACE_KEY, HEADRACE_KEY_FILE or HEADRACE_KEY_COMMAND.",
                code="vault_key_missing",
            )
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
            raise _unreadable(self.path, error, "written") from error

    def _read_file(self, path: Path) -> tuple[Key, ...]:
        try:
            text = _read_text(path, private=True)
        except FileNotFoundError:
            return ()
        return _parse_all(text, f"The key file {path}")


def _parse_all(text: str, where: str) -> tuple[Key, ...]:
    """Keys on lines or between commas; a line that begins with # is a comment."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    parts = [part for line in lines for part in line.split(",") if part.strip()]
    return tuple(Key.parse(part, where) for part in parts)


def _read_text(path: Path, *, private: bool = False) -> str:
    """The text of a key file. A `private` one is not used if others can read it, and may be missing."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if private and os.name == "posix" and mode & 0o077:
                raise UserError(
                    f"The key file {path} can be read by others (its mode is {mode & 0o777:03o}): it is not "
                    f"used. Take their rights away with `chmod 600 {path}`; if somebody may have read it, "
                    "also run `headrace key rotate` and change the tokens.",
                    code="key_exposed",
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        if private and isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(path, error, "read") from error


def _run(command: str) -> str:
    """What the command prints. No shell reads it; what it printed is in no message, what it complained of is."""
    try:
        words = shlex.split(command)
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False, text=True
        )
    except subprocess.TimeoutExpired:
        why = f"it did not end within {COMMAND_TIMEOUT_S} s"
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no command, or prints no text"
    else:
        if done.returncode == 0:
            return done.stdout
        complaint = " ".join(done.stderr.split())[-COMPLAINT_LENGTH:]
        why = f"it ended with {done.returncode}" + (f' and said "{complaint}"' if complaint else "")
    raise UserError(
        f"The key of the secrets could not be had: HEADRACE_KEY_COMMAND failed, {why}. Run the same command by hand "
        "as this user; it must print the key and end with 0.",
        code="key_command_failed",
    ) from None


def _unreadable(path: Path, error: Exception, done: str) -> UserError:
    why = error.strerror if isinstance(error, OSError) else "it is not text"
    return UserError(
        f"The key file {path} could not be {done}: {why}. Give this user the right to read and write it, or "
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

"""Passwords: argon2id, a floor of length, a list of what everybody guesses first."""

from __future__ import annotations

import threading
from functools import cache

from headrace.domain.errors import UserError

SHORTEST = 12
LONGEST = 512  # bytes that a stranger can make us hash
MEMORY_KIB = 47_104  # 46 MiB, one pass: the least that OWASP's ASVS 5.0 lets argon2id have
AT_ONCE = 2
"""So many passwords are hashed at the same time: a flood of sign-ins must not take the memory of the runs."""

_STEMS = """
password passwort passw0rd p@ssword p@ssw0rd letmein welcome qwerty qwertz azerty admin administrator root iloveyou
monkey dragon football baseball master sunshine princess shadow superman batman trustno1 starwars whatever freedom hello
changeme default secret login test guest user headrace reverse warehouse summer winter spring autumn january february
march april june july august september october november december
"""
_KEYBOARD = (
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
)
_slots = threading.BoundedSemaphore(AT_ONCE)


@cache
def _hasher():  # type: ignore[no-untyped-def]
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=MEMORY_KIB, parallelism=1)


def check_password(password: str, *about: str) -> None:
    """Raises UserError `password_weak` for one that is too short, too long, or among the first guesses.

    `about` are words about the person: their address and name make no password.
    """
    if len(password) < SHORTEST:
        raise _weak(f"it has {len(password)} characters; use at least {SHORTEST}")
    if len(password.encode()) > LONGEST:
        raise _weak(f"it is longer than {LONGEST} bytes")
    if len(set(password)) < 5:
        raise _weak("it repeats the same few characters")
    plain = _plain(password)
    bare = plain.strip("0123456789")
    rows = (*_KEYBOARD, *(row[::-1] for row in _KEYBOARD))
    if any(plain in row * 3 for row in rows):
        raise _weak("it follows the keys of the keyboard, or the alphabet")
    own = [word for one in about for word in (_plain(one), *one.casefold().replace("@", ".").split("."))]
    for stem in (*_STEMS.split(), *own):
        if len(stem) >= 4 and (bare in (stem, stem * 2, stem * 3) or (stem in plain and len(plain) - len(stem) < 5)):
            raise _weak(f'it is little more than "{stem}"')


def _plain(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def hash_password(password: str) -> str:
    with _slots:
        return str(_hasher().hash(password))


def is_password(hashed: str | None, password: str) -> bool:
    """Whether the password has that hash. Without a hash as much work is done, and the answer is no."""
    from argon2.exceptions import InvalidHashError, VerifyMismatchError

    with _slots:
        try:
            _hasher().verify(hashed or _of_nobody(), password[:LONGEST])
        except (VerifyMismatchError, InvalidHashError):
            return False
    return hashed is not None


@cache
def _of_nobody() -> str:
    return str(_hasher().hash("nobody has this password"))


def _weak(why: str) -> UserError:
    return UserError(f"This password is easy to guess: {why}. Four random words do.", code="password_weak")

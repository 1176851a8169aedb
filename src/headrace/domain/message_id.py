"""The id of a message: decided by the plan, before the first send, and the same at every repeat.

Whoever receives it drops what it has seen. So a retry must have the id of the first try, and a new change another one:
the generation of a row grows with each, also when it returns to what it was.
"""

from __future__ import annotations

import hashlib


def message_id(*parts: str | int) -> str:
    """32 hex digits over the parts, in order. Each is preceded by its length: ("ab", "c") is not ("a", "bc")."""
    return _digest("".join([_sized(one) for one in parts]))


class MessageIds:
    """Ids whose first parts are always the same: `MessageIds("a", "b")("c")` is `message_id("a", "b", "c")`."""

    def __init__(self, *first: str | int) -> None:
        self._first = "".join([_sized(one) for one in first])

    def __call__(self, *parts: str | int) -> str:
        text = self._first
        for one in parts:
            part = str(one)
            text += f"{len(part)}:{part}"
        return _digest(text)


def _sized(part: str | int) -> str:
    text = str(part)
    return f"{len(text)}:{text}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

"""Paths with placeholders: `/contacts/{id}?notify={notify}` and the values of a row make the address of a request.

Every value is percent-encoded, so that none can reach another path than the one that was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_WRITTEN = "/?&=:;,@!$'()*+~%-._"
"""Characters that stand in a path as they are written. Everything else but letters and digits is encoded."""


class Unfilled(Exception):
    """A placeholder has no value that could stand in an address. `why` completes the sentence `"id" ...`."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = why
        super().__init__(f'"{name}" {why}')


class Address:
    """One path, read once. `names` are its placeholders, in order, each once."""

    def __init__(self, text: str) -> None:
        """Raises ValueError, with the mend, for what is no path."""
        parts = _PLACEHOLDER.split(text)
        self._fixed = [quote(part, safe=_WRITTEN) for part in parts[::2]]
        self._wanted = parts[1::2]
        self.names = tuple(dict.fromkeys(self._wanted))
        written = "_".join(parts[::2])
        if "{" in written or "}" in written:
            raise ValueError("has a brace too many: a placeholder is written {name}")
        if text and text[0] not in "/?":
            raise ValueError(
                "must begin with / (it is appended to the destination's base_url): write for example /rows"
            )
        if "#" in written or any(ord(one) <= 32 for one in written):
            raise ValueError("must hold no blank and no #")
        if _climbs(written):
            raise ValueError("must not lead out of base_url with . or ..")

    def fill(self, values: Mapping[str, Any]) -> str:
        """The path with each placeholder's value. Raises Unfilled."""
        if not self._wanted:
            return self._fixed[0]
        filled = [self._fixed[0]]
        for name, fixed in zip(self._wanted, self._fixed[1:], strict=True):
            filled += [quote(_text(name, values.get(name)), safe=""), fixed]
        made = "".join(filled)
        if _climbs(made):
            raise Unfilled(self.names[0], 'makes an address that leads elsewhere ("." or "..")')
        return made


def _text(name: str, value: Any) -> str:
    """A value as it stands in an address."""
    match value:
        case None | "":
            raise Unfilled(name, "is null or empty")
        case str():
            return value
        case bool() | int() | float() | orjson.Fragment():
            return orjson.dumps(value).decode()
        case _:
            raise Unfilled(name, "is a list or an object")


def _climbs(path: str) -> bool:
    return any(
        segment.replace("%2e", ".").replace("%2E", ".") in (".", "..") for segment in path.split("?")[0].split("/")
    )

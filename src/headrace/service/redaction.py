"""The last wall before a log: no secret passes, in whatever form it came to be in a text.

The first wall is that nobody writes one. What this process was given as a secret is known here by its value.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit

MASK = "***"
SHORTEST = 6
"""A shorter value stands in too many innocent words."""

_PATTERNS = (
    # Authorization of any scheme, in headers as dumped by a library and in curl's words.
    re.compile(r"(?i)(\b(?:proxy-)?authorization\\?[\"']?\s*[:=,]\s*(?:b?\\?[\"'])?)((?:\w+\s+)?[^\s\"',;)}\]]+)"),
    re.compile(r"(?i)(\b(?:basic|bearer)\s+)([a-z0-9._~+/=-]{8,})"),
    re.compile(r"(?i)(\b(?:set-)?cookie\\?[\"']?\s*[:=,]\s*(?:b?\\?[\"'])?)([^\r\n\"']+)"),
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)([^\s/@\"']+)(?=@)"),  # scheme://user:password@
    re.compile(r"(?i)([\w-]*(?:password|passwd|secret|token|api[_-]?key)\\?[\"']?\s*[:=]\s*(?:\\?[\"'])?)([^\s\"',;&)}\]]+)"),
    re.compile(r"\b(hr_)([A-Za-z0-9_-]{16,})"),  # our own API keys
)  # fmt: skip


class Redactor:
    """Knows the secrets that this process was given, and takes them out of texts. Usable from any thread."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._values: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """From now on that value is masked, as it is and in the forms in which it travels."""
        new = {secret, *secret.split()}
        if "://" in secret:
            new |= _password_of(secret)
        if (new := {one for one in new if len(one) >= SHORTEST}) <= self._known:
            return
        self._known |= new
        longest_first = sorted(self._known, key=len, reverse=True)
        forms = [*map(_escaped, longest_first)]
        forms += [re.escape(form) for one in longest_first for form in sorted(_in_base64(one))]
        self._values = re.compile("|".join(forms))

    def __call__(self, text: str) -> str:
        if self._values is not None:
            text = self._values.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(lambda found: found[1] + MASK, text)
        return text


def _password_of(address: str) -> set[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()


def _escaped(value: str) -> str:
    """A pattern for the value however often it was escaped: for JSON, for Python, for addresses, one in the other."""
    return "".join(one if one.isascii() and one.isalnum() else _sign(one) for one in value)


def _sign(one: str) -> str:
    """A pattern for one character that somebody may escape."""
    encoded = one.encode("utf-8", "surrogatepass")
    percent = "".join(f"%(?i:{byte:02x})" for byte in encoded)
    hexed = "".join(rf"\\+x(?i:{byte:02x})" for byte in encoded)
    units = one.encode("utf-16-be", "surrogatepass")
    in_json = "".join(rf"\\+u(?i:{units[at : at + 2].hex()})" for at in range(0, len(units), 2))
    short = {"\n": r"\\+n", "\t": r"\\+t", "\r": r"\\+r", " ": r"\+"}.get(one)
    latin = rf"\\+x{ord(one):02x}" if ord(one) < 256 else None
    forms = [rf"\\*{re.escape(one)}", percent, hexed, in_json, *filter(None, (short, latin))]
    return f"(?:{'|'.join(forms)})"


def _in_base64(text: str) -> set[str]:
    """What of the base64 of a longer text tells this part, wherever it begins in it: three places are possible."""
    raw = text.encode("utf-8", "surrogatepass")
    found: set[str] = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        # Characters that also hold bits of what is before or after are left out; the rest gives the value away.
        inner = encoded[(0, 2, 3)[before] : len(encoded) - (0 if (before + len(raw)) % 3 == 0 else 1)]
        if len(inner) >= SHORTEST:
            found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found

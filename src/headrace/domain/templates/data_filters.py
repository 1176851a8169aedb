"""Filters that a person of data needs beside Liquid's own: JSON, types, digests, patterns."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from itertools import islice
from typing import Any

import re2

from headrace.domain.coerce import Mismatch, conversion
from headrace.domain.fitting import AS_TYPES
from headrace.domain.json_values import TooDeep, read_json
from headrace.domain.templates.catalogue import declares
from headrace.domain.templates.text_filters import spread, whole
from headrace.domain.templates.values import (
    MOST_CHARACTERS,
    MOST_ITERATIONS,
    is_object,
    json_text,
    number_in,
    refuse,
    text_of,
)


@declares(
    "data",
    "The other value where this one is null, false or empty. With `allow_false: true`, false stays.",
    '{{ nil | default: "none" }}',
    "none",
)
def default(value: Any, other: Any = "", *, allow_false: Any = False) -> Any:
    if isinstance(value, str | list):
        return value or other
    if value is False and allow_false:
        return value
    return other if value is None or value is False else value


@declares("data", "As JSON, quotes included.", """{{ 'Ann "A"' | json }}""", '"Ann \\"A\\""')
def json(value: Any) -> str:
    return json_text(value)


@declares("data", "The same as json.", "{{ nil | jsonify }}", "null")
def jsonify(value: Any) -> str:
    return json_text(value)


@declares(
    "data",
    "The value of a JSON text, to loop over or to look into. Refuses what is no JSON; null and empty text are null.",
    """{% assign a = '{"city": "Bonn"}' | parse_json %}{{ a.city }}""",
    "Bonn",
)
def parse_json(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        return None if isinstance(value, str) else value
    try:
        return read_json(value)
    except TooDeep as fault:
        return refuse(f"the JSON can't be read: {fault}")
    except ValueError:
        return refuse(f"{value[:40]!r} is no JSON")


@declares(
    "data",
    "As a type: string, integer, number, boolean, datetime, date, object, array. Refuses what is none; nil stays.",
    '{{ "yes" | cast: "boolean" }}',
    "true",
)
def cast(value: Any, to: Any) -> Any:
    if value is None:
        return None
    match to:
        case "string":
            return text_of(value)
        case "integer" | "number":
            return _cast_number(value, to)
        case "object" | "array":
            found = parse_json(value)
            if not (is_object(found) if to == "object" else isinstance(found, list)):
                refuse(f"{text_of(value)[:40]!r} is no {to}")
            return found
        case "boolean" | "datetime" | "date":
            try:
                return conversion(to, None)(value)
            except Mismatch as mismatch:
                return refuse(str(mismatch))
        case _:
            return refuse(f"cast knows the types {', '.join(AS_TYPES)}")


def _cast_number(value: Any, to: str) -> Any:
    number = number_in(value)
    if number is None:
        refuse(f"{text_of(value)[:40]!r} is no number")
    if to == "number" or isinstance(number, int):
        return number
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        refuse(f"{text_of(value)[:40]!r} is no whole number")
    return int(number)


@declares("data", "The number in a text. Refuses what is none; null stays null.", '{{ " 12.50 " | to_number }}', "12.5")
def to_number(value: Any) -> Any:
    return None if value is None else _cast_number(value, "number")


@declares("data", "The whole number in a text. Refuses what is none.", '{{ "12" | to_integer | plus: 1 }}', "13")
def to_integer(value: Any) -> Any:
    return None if value is None else _cast_number(value, "integer")


@declares("data", "The value as it is.", '{{ "<b>" | raw }}', "<b>")
def raw(value: Any) -> Any:
    return value


# Digests ---------------------------------------------------------------------------------------------------------


@declares("data", "MD5, in hexadecimal.", '{{ "ann" | md5 }}', "7e0d7f8a5d96c24ffcc840f31bce72b2")
def md5(value: Any) -> str:
    return hashlib.md5(text_of(value).encode(), usedforsecurity=False).hexdigest()


@declares("data", "SHA-1, in hexadecimal.", '{{ "ann" | sha1 | size }}', "40")
def sha1(value: Any) -> str:
    return hashlib.sha1(text_of(value).encode(), usedforsecurity=False).hexdigest()


@declares("data", "SHA-256, in hexadecimal.", '{{ "ann" | sha256 | truncate: 12, "" }}', "49915e0d7d4b")
def sha256(value: Any) -> str:
    return hashlib.sha256(text_of(value).encode()).hexdigest()


@declares("data", "SHA-512, in hexadecimal.", '{{ "ann" | sha512 | size }}', "128")
def sha512(value: Any) -> str:
    return hashlib.sha512(text_of(value).encode()).hexdigest()


@declares("data", "HMAC with SHA-256 under a key.", '{{ "ann" | hmac_sha256: "key" | size }}', "64")
def hmac_sha256(value: Any, key: Any) -> str:
    return hmac.digest(text_of(key).encode(), text_of(value).encode(), "sha256").hex()


@declares("data", "In base64.", '{{ "Ann" | base64_encode }}', "QW5u")
def base64_encode(value: Any) -> str:
    return base64.b64encode(text_of(value).encode()).decode()


@declares("data", "The text behind base64. Refuses what is none.", '{{ "QW5u" | base64_decode }}', "Ann")
def base64_decode(value: Any) -> str:
    return _decoded(value, b"+/")


@declares("data", "In base64 for URLs: `-` and `_`.", '{{ "??>" | base64_url_safe_encode }}', "Pz8-")
def base64_url_safe_encode(value: Any) -> str:
    return base64.urlsafe_b64encode(text_of(value).encode()).decode()


@declares("data", "The text behind base64 for URLs.", '{{ "Pz8-" | base64_url_safe_decode }}', "??>")
def base64_url_safe_decode(value: Any) -> str:
    return _decoded(value, b"-_")


def _decoded(value: Any, letters: bytes) -> str:
    text = "".join(text_of(value).split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=letters, validate=True).decode()
    except ValueError:
        return refuse("that is no base64 of a text")


# Patterns --------------------------------------------------------------------------------------------------------
# RE2 never goes back over a text, so no pattern can make a row take minutes. It has no look-around for that reason.


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as fault:
        said = fault.args[0].decode(errors="replace") if fault.args and isinstance(fault.args[0], bytes) else str(fault)
        return refuse(f"the pattern {pattern[:40]!r} can't be read: {said}")


@declares(
    "data",
    "Every match of a regular expression (RE2) replaced; `\\1` is the first group. `(?i)` in front ignores case.",
    '{{ "+49 (89) 12-34" | regex_replace: "[^0-9+]", "" }}',
    "+49891234",
    work=20,
)
def regex_replace(value: Any, pattern: Any, replacement: Any = "") -> str:
    text, new, found = text_of(value), text_of(replacement), _pattern(text_of(pattern))
    if (len(text) + 1) * len(new) > MOST_CHARACTERS:
        spread(text, sum(1 for _ in islice(found.finditer(text), MOST_ITERATIONS)), len(new))
    try:
        made, matches = found.subn(new, text, count=MOST_ITERATIONS + 1)
    except (re2.error, IndexError):
        return refuse(f"the replacement {new[:40]!r} names a group that the pattern does not have")
    if matches > MOST_ITERATIONS:
        refuse(f"the pattern matches more than {MOST_ITERATIONS:,} times")
    return str(made)


@declares(
    "data",
    "The first match of a regular expression, or one of its groups; null where nothing matches.",
    '{{ "ann@acme.example" | regex_extract: "@(.+)", 1 }}',
    "acme.example",
)
def regex_extract(value: Any, pattern: Any, group: Any = 0) -> str | None:
    found = _pattern(text_of(pattern))
    number = whole(group)
    if not 0 <= number <= found.groups:
        refuse(f"the pattern has no group {number}")
    match = found.search(text_of(value))
    return None if match is None else match.group(number)


@declares(
    "data",
    "Whether a regular expression matches somewhere.",
    '{{ "DE-1042" | regex_test: "^[A-Z]{2}-" }}',
    "true",
)
def regex_test(value: Any, pattern: Any) -> bool:
    return _pattern(text_of(pattern)).search(text_of(value)) is not None

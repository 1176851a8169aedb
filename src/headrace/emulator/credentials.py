"""Who asks: the key inside an Authorization header, for each API its own form.  vitally.md 2

REST wants base64 of `key:`, Analytics the key as it is; to mix them up is the likeliest mistake of a client.
"""

import base64
import binascii
from functools import lru_cache

from headrace.emulator.answers import Refused
from headrace.emulator.journal import Call
from headrace.emulator.settings import EmulatorSettings


def read_key(call: Call) -> str | None:
    """The key as the call's API reads it; None if there is none to read."""
    header = call.headers.get("Authorization")
    if header is None or not header.startswith("Basic "):
        return None
    return header[len("Basic ") :] if call.api == "analytics" else _rest_key(header)


def check_key(call: Call, key: str | None, settings: EmulatorSettings) -> str:
    """The key, if it is one of ours. Raises Refused (401): the first text was observed, the second is ours."""
    if "Authorization" not in call.headers:
        raise Refused(401, "Authorization header not present.")
    if key is None or key not in (settings.analytics_keys if call.api == "analytics" else settings.rest_keys):
        raise Refused(401, "Unauthorized")
    return key


@lru_cache(maxsize=256)
def _rest_key(header: str) -> str | None:
    """The user name up to the first `:`; the password, and a colon after the base64, are ignored.  vitally.md 2.1"""
    encoded = header[len("Basic ") :].strip().removesuffix(":")
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None

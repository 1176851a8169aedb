"""The id of a message: decided by the plan, before the first send, and the same at every repeat.

Whoever receives it drops what it has seen. So a retry must have the id of the first try, and a new change another one:
the generation of a row grows with each, also when it returns to what it was.
"""

from __future__ import annotations

import hashlib


def message_id(*parts: str | int) -> str:
    """32 hex digits over the parts, in order. Each is preceded by its length: ("ab", "c") is not ("a", "bc")."""
    encoded = [str(part).encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.blake2b(b"".join([b"%d:%b" % (len(one), one) for one in encoded]), digest_size=16).hexdigest()

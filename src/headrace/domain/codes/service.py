"""The codes of the service and of access."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.domain.codes.code import Code

SERVICE: Mapping[str, Code] = MappingProxyType(
    {
        # Access ----------------------------------------------------------------------------------------------------
        "signed_out": Code(
            "access",
            "Something was asked for by nobody in particular.",
            "The session has ended, or the API key is missing, expired, revoked or mistyped.",
            "Sign in again, or send `Authorization: Bearer <key>` with a key that is alive.",
        ),
        "forbidden": Code(
            "access",
            "Who asked may not do this.",
            "The role of the person, or the scopes of the API key, do not cover it.",
            "Ask an admin of the workspace for another role, or use a key with that scope.",
        ),
    }
)

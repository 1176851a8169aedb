"""The codes of the service and of access."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.domain.codes.code import Code

SERVICE: Mapping[str, Code] = MappingProxyType(
    {
        # Runs and workers ------------------------------------------------------------------------------------------
        "run_lost": Code(
            "service",
            "A process went on with a run that was no longer its own, and stopped.",
            "It stood still for longer than its lease: a suspended machine, a stopped container, a lost database.",
            "Nothing: another run of the sync goes on where this one was. Look at the machine if it comes again.",
        ),
        "idempotency_key_reused": Code(
            "service",
            "An Idempotency-Key came a second time, with another request.",
            "A client makes its keys from too little, or uses one key for all it does.",
            "Make a new key for each trigger; repeat a key only together with the very same request.",
        ),
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

"""Settings that destinations have in common: an address, a ceiling for the rate of requests."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class RateLimitSetting(BaseModel):
    """A ceiling: so many requests in any so many seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int = Field(ge=1, description="So many requests.")
    per_seconds: float = Field(gt=0, description="In any so many seconds.")


def _rate_limit(raw: Any) -> Any:
    return None if raw == "none" else raw


def _base_url(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    parts = urlsplit(raw.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is no address: write for example https://api.example.com or http://127.0.0.1:8790")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password")
    return raw.strip().rstrip("/")


BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Ceiling = Annotated[RateLimitSetting | None, BeforeValidator(_rate_limit)]

"""Channels: where alerts go. A webhook, a mail server, or any place that Apprise knows.

Shapes only. An address may itself be a secret, as those of chat services are, so it may be written as a reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from headrace.domain.config import SecretRef


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _kind_of_text(raw: Any) -> str:
    return "written" if isinstance(raw, str) else "reference"


SecretText = Annotated[
    Annotated[str, Tag("written")] | Annotated[SecretRef, Tag("reference")], Discriminator(_kind_of_text)
]
"""A text, or where it is kept as a secret."""


class WebhookChannel(_Strict):
    """Alerts as signed JSON, posted to an address of yours."""

    type: Literal["webhook"]
    url: SecretText = Field(description="Where to; https. An address that is a secret itself is a reference.")
    secret: SecretRef | None = Field(default=None, description="Signs each delivery; see the reference of alerts.")
    headers: dict[str, SecretText] = Field(default_factory=dict, description="Further headers.")

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, SecretText]) -> dict[str, SecretText]:
        for name, value in headers.items():
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
                raise ValueError(f'has a name that no header has: "{name}"')
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f'has a value with a line break or control character: "{name}"')
        return headers


class EmailChannel(_Strict):
    """Alerts by mail."""

    type: Literal["email"]
    host: str = Field(min_length=1, description="The mail server that takes outgoing mail.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`tls` from the first byte (port 465), `starttls`, or `none`."
    )
    user: str | None = Field(default=None, description="Where the server asks for a sign-in.")
    password: SecretRef | None = Field(default=None, description="With `user`.")
    sender: str = Field(alias="from", description="The address that mails come from.")
    to: list[str] = Field(min_length=1, description="One address, or a list of addresses.")

    @field_validator("to", mode="before")
    @classmethod
    def _one_or_many(cls, raw: Any) -> Any:
        return [raw] if isinstance(raw, str) else raw

    @field_validator("sender", "to")
    @classmethod
    def _addresses(cls, given: Any) -> Any:
        for one in given if isinstance(given, list) else [given]:
            if not one.isprintable() or not one.partition("@")[0] or "." not in one.partition("@")[2]:
                raise ValueError(f'is no mail address: "{one}"')
        return given


class AppriseChannel(_Strict):
    """Alerts through Apprise: Slack, Teams and a hundred others."""

    type: Literal["apprise"]
    url: SecretRef = Field(description="The Apprise URL, a secret: it holds the token.")


ChannelConfig = Annotated[WebhookChannel | EmailChannel | AppriseChannel, Field(discriminator="type")]
CHANNEL_MODELS: tuple[type[BaseModel], ...] = (WebhookChannel, EmailChannel, AppriseChannel)
CHANNEL_TYPES = ("webhook", "email", "apprise")


def secret_references(channel: WebhookChannel | EmailChannel | AppriseChannel) -> Mapping[str, SecretRef]:
    """Setting -> reference, of every secret that the channel names."""
    found: dict[str, Any] = {}
    match channel:
        case WebhookChannel():
            found = {"url": channel.url, "secret": channel.secret}
            found |= {f"headers.{name}": value for name, value in channel.headers.items()}
        case EmailChannel():
            found = {"password": channel.password}
        case AppriseChannel():
            found = {"url": channel.url}
    return {name: one for name, one in found.items() if isinstance(one, SecretRef)}

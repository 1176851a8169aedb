"""Who names whom among the objects of a workspace, and the lint that needs no columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from headrace.domain.channels import AppriseChannel, EmailChannel
from headrace.domain.config import SequenceConfig
from headrace.domain.errors import Finding
from headrace.domain.schedule import lint_schedule
from headrace.store.catalog import Kind


def references(kind: Kind, document: Mapping[str, Any]) -> Iterator[tuple[str, Kind, str]]:
    """(address within the object, kind, name) of every other object that a checked document names."""
    match kind:
        case "model":
            yield "source", "source", document["source"]
        case "sync":
            yield "model", "model", document["model"]
            yield "destination", "destination", document["destination"]
        case "sequence":
            for number, name in enumerate(document["syncs"]):
                yield f"syncs.{number}", "sync", name
        case _:
            pass
    alerts = document.get("alerts") if kind in ("sync", "destination") else None
    for number, name in enumerate(alerts.get("channels", []) if isinstance(alerts, Mapping) else []):
        yield f"alerts.channels.{number}", "channel", name


def lint_sequence(name: str, sequence: SequenceConfig) -> Iterator[Finding]:
    if sequence.schedule is not None:
        yield from lint_schedule(f"sequences.{name}.schedule", sequence.schedule)


def lint_channel(name: str, channel: Any) -> Iterator[Finding]:
    """What can be said of a channel without asking anybody."""
    path = f"channels.{name}"
    match channel:
        case AppriseChannel() if find_spec("apprise") is None:
            message = "Apprise is not installed here. Install `headrace[apprise]`, or use a webhook or email channel."
            yield Finding("channel_unavailable", message, f"{path}.type")
        case EmailChannel(user=str(), password=None):
            message = f'The mail channel "{name}" has a user and no password. Give both, or neither.'
            yield Finding("field_required", message, f"{path}.password")
        case EmailChannel(user=str(), tls="none"):
            message = "The password would cross the network as plain text. Use `tls: starttls` or `tls: tls`."
            yield Finding("unknown_value", message, f"{path}.tls")
        case _:
            pass


def lint_sql(name: str, sql: str) -> list[Finding]:
    """A LIMIT without an ORDER BY gives other rows each time: rows would seem to come and go."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql)
    except SqlglotError:
        return []  # the database itself says what is wrong with it
    if isinstance(tree, exp.Query) and tree.args.get("limit") and not tree.args.get("order"):
        message = (
            "LIMIT without ORDER BY may return other rows each time: they look added and removed. Add an ORDER BY."
        )
        return [Finding("limit_without_order", message, f"models.{name}.sql", warning=True)]
    return []

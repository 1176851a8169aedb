"""Vitally, the customer-success platform: what it takes, how a request looks, what an answer means.

Facts and how sure we are of them: the notes on Vitally's APIs, whose sections the comments name ("vitally 5.5").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.destinations import Destination, Origin
from headrace.destinations.vitally.analytics import AnalyticsObjects, Events
from headrace.destinations.vitally.connection import Connection, VitallySettings
from headrace.destinations.vitally.declaration import VITALLY as SPEC
from headrace.destinations.vitally.ingestion import ANALYTICS_OBJECTS, EVENTS
from headrace.destinations.vitally.rest import RestObjects
from headrace.domain.config import SyncConfig


def open_destination(
    settings: Mapping[str, Any], secrets: Mapping[str, str], sync: SyncConfig | None, origin: Origin
) -> Destination:
    """A Vitally workspace for one sync; without a sync, for a connection test."""
    connection = Connection(VitallySettings.model_validate(settings), secrets)
    if sync is not None and sync.type == EVENTS.name:
        return Events(connection, origin)
    if sync is None or sync.object is None or sync.match is None:
        return RestObjects(connection, "account", "externalId")
    if sync.type == ANALYTICS_OBJECTS.name:
        return AnalyticsObjects(connection, origin, sync.object, sync.parents, sync.settings)
    return RestObjects(connection, sync.object, sync.match.field, sync.parents, sync.settings)


__all__ = ["SPEC", "open_destination"]

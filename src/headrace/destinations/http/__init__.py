"""Any HTTP API: a request a row, or a request for many rows, as the person who configures it says.

What other destinations know of their vendor is configured here: address, method, body, meaning of answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.destinations import Destination, Origin
from headrace.destinations.http.batches import Batches
from headrace.destinations.http.connection import Connection, HttpSettings
from headrace.destinations.http.declaration import BATCHES
from headrace.destinations.http.declaration import HTTP as SPEC
from headrace.destinations.http.requests import Requests
from headrace.destinations.http.settings import RecordSettings
from headrace.domain.config import SyncConfig
from headrace.domain.errors import Bug


def open_destination(
    settings: Mapping[str, Any], secrets: Mapping[str, str], sync: SyncConfig | None, origin: Origin
) -> Destination:
    """An HTTP API for one sync; without a sync, for a connection test."""
    connection = Connection(HttpSettings.model_validate(settings), secrets)
    if sync is None:
        return Requests(connection, origin, RecordSettings(), once=False)
    sync_type = SPEC.sync_type(sync.type)
    target = sync_type.object(sync.object) if sync_type else None
    if sync_type is None or target is None or target.settings is None:
        raise Bug("a sync that does not fit its destination was opened", type=sync.type, object=sync.object)
    chosen = target.settings.model.model_validate(sync.settings)
    opens = Batches if sync_type is BATCHES else Requests
    return opens(connection, origin, chosen, once=target.once)  # type: ignore[arg-type]


__all__ = ["SPEC", "open_destination"]

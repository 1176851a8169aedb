"""What requests and batches share: the connection, the body of a row, the id of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.destinations import Limits, Origin, Probe, Task
from headrace.destinations.http.connection import API, Connection
from headrace.destinations.http.declaration import HTTP
from headrace.destinations.http.settings import PARAMETERS
from headrace.domain.errors import Bug
from headrace.domain.mapping import Record
from headrace.domain.message_id import message_id
from headrace.domain.request import NoResponse, Response


class Sender:
    """An HTTP API as one sync sees it, whatever stands in its requests."""

    spec = HTTP
    api = API

    def __init__(self, connection: Connection, origin: Origin, *, once: bool) -> None:
        self._connection = connection
        self._origin = origin
        self._once = once

    def message_id(self, task: Task, *parts: str) -> str:
        """The id of what is sent for one change of one row. An event is sent once: its key alone makes its id."""
        origin = self._origin
        if self._once:
            return message_id(origin.workspace, origin.sync_id, task.key)
        return message_id(origin.workspace, origin.sync_id, *parts, task.key, task.generation, task.row_hash)

    def limits(self, api: str) -> Limits:
        return self._connection.limits(api)

    def authorize(self, api: str) -> Mapping[str, str]:
        return self._connection.authorize(api)

    def probes(self) -> Sequence[Probe]:
        return self._connection.probes()

    def read_probe(self, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
        return self._connection.read_probe(probe, answer)


def record_of(task: Task) -> Record:
    if task.record is None:
        raise Bug("a row without a record reached the destination", key=task.key)
    return task.record


def body_of(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.values.items() if name != PARAMETERS}

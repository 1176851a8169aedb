"""What every sync of Vitally has in common: the declaration, the connection with its limits, the connection test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.destinations import Limits, Probe
from headrace.destinations.vitally.connection import Connection
from headrace.destinations.vitally.declaration import VITALLY
from headrace.destinations.vitally.probes import probes, read_probe
from headrace.domain.request import NoResponse, Response


class VitallyWorkspace:
    """A Vitally workspace over one connection."""

    spec = VITALLY

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def limits(self, api: str) -> Limits:
        return self._connection.limits(api)

    def authorize(self, api: str) -> Mapping[str, str]:
        return self._connection.authorize(api)

    def probes(self) -> Sequence[Probe]:
        return probes(self._connection)

    def read_probe(self, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
        return read_probe(self._connection, probe, answer)

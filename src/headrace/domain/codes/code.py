"""What a code is, and the chapters that codes stand in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

About = Literal["row", "configuration", "source", "destination", "run", "workspace", "command", "service", "access"]

ABOUT: Mapping[About, str] = MappingProxyType(
    {
        "row": "Codes of one row. The run goes on; the row is planned again on the next run.",
        "configuration": "Codes that lint, `check` and `apply` find. Nothing is saved and nothing is sent.",
        "source": "Codes of a source. Nothing that was read in part is ever sent.",
        "destination": "Codes of the destination. What was acknowledged stays.",
        "run": "Codes of a run, and of what is asked about runs.",
        "workspace": "Codes of the workspace: its database, its files, its keys and secrets.",
        "command": "Codes of the command line's own faults: wrong use, and files that it writes.",
        "service": "Codes of the service: its API, schedules, alerts, workers.",
        "access": "Codes of access: who may come in, and who may do what.",
    }
)


class Code(NamedTuple):
    """One code. `about` is the chapter of the reference that it stands in."""

    about: About
    meaning: str
    cause: str
    mend: str

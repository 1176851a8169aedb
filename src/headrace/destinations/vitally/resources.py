"""Where each kind of REST object lives and what may name one of them in a path, as a table (vitally 4 to 6).

`rest` reads it; what a person chooses from stands in the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType


class Address(Enum):
    """What names a record in a path."""

    EITHER = auto()  # its own id or our external id
    WITH_SOURCE = auto()  # its own id; our external id only beside `?source=`, and never to delete
    OWN_ID = auto()


@dataclass(frozen=True, slots=True)
class Resource:
    """How requests for one kind of record look.

    `path` may hold settings of the sync in braces. `searched_by`: fields that only `GET .../search?<field>=` finds a
    record by. `post_updates`: whether a POST is documented to update the record that has the external id.
    """

    path: str
    address: Address = Address.EITHER
    searched_by: frozenset[str] = frozenset()
    post_updates: bool = False
    list_query: str = ""


RESOURCES: Mapping[str, Resource] = MappingProxyType(
    {
        "organization": Resource("/resources/organizations"),
        # vitally 5.2: lists hide churned accounts unless asked.
        "account": Resource("/resources/accounts", list_query="&status=activeOrChurned"),
        # vitally 5.3: the path takes no email.
        "user": Resource("/resources/users", searched_by=frozenset({"email"})),
        # vitally 4, 6.1 and 5.5: notes are unique on their external id; that POST updates is implied (DOC2).
        "note": Resource("/resources/notes", Address.WITH_SOURCE, post_updates=True),
        # vitally 6.2 and 5.5: tasks are created and updated by POST (DOC2).
        "task": Resource("/resources/tasks", Address.WITH_SOURCE, post_updates=True),
        # vitally 6.3: no external id.
        "project": Resource("/resources/projects", Address.OWN_ID),
        # vitally 6.5: created and updated by POST (DOC).
        "nps_response": Resource("/resources/npsResponses", post_updates=True),
        "conversation": Resource("/resources/conversations"),
        # vitally 6.6: there is no GET of one instance; search finds by external id. Whether POST updates is unknown.
        "custom_object_instance": Resource(
            "/resources/customObjects/{custom_object}/instances",
            Address.OWN_ID,
            searched_by=frozenset({"externalId"}),
        ),
    }
)

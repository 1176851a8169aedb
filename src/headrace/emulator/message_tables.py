"""The messages of the Analytics API: what each must and may hold.  vitally.md 7"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageShape:
    """`ids`, `texts` and `objects` are all allowed fields by type; `one_of`: at least one of these must be there."""

    ids: tuple[str, ...]
    required: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    objects: tuple[str, ...] = ("traits",)
    texts: tuple[str, ...] = ()


MESSAGES: dict[str, MessageShape] = {
    "organization": MessageShape(ids=("organizationId",), required=("organizationId",)),
    "account": MessageShape(ids=("accountId", "organizationId"), required=("accountId",)),
    "user": MessageShape(
        ids=("userId", "accountId", "organizationId"),
        required=("userId", "traits"),
        one_of=("accountId", "organizationId"),
    ),
    "track": MessageShape(
        ids=("userId", "accountId", "organizationId"),
        required=("event", "properties"),
        one_of=("userId", "accountId", "organizationId"),
        objects=("properties",),
        texts=("event",),
    ),
    "unlink": MessageShape(ids=("userId", "accountId"), required=("userId", "accountId"), objects=()),
    "customobjectinstance": MessageShape(
        ids=("externalId", "customObjectId", "accountId", "organizationId"),
        required=("externalId", "customObjectId", "traits"),
        one_of=("accountId", "organizationId"),
        texts=("name",),
    ),
}

"""Analytics objects and events: a row's messages, the batch that carries them, and what its answer means (vitally 7).

Fire and forget: Vitally answers that a batch was accepted and processes it later. It is upsert by our own ids, and
`messageId` keeps a repeat from counting twice. Nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from headrace.destinations import (
    Accepted,
    Batching,
    BatchVerdict,
    Origin,
    Refused,
    Stop,
    Task,
    TooLarge,
)
from headrace.destinations.answers import words
from headrace.destinations.vitally.connection import JSON_HEADERS, Connection
from headrace.destinations.vitally.ingestion import ANALYTICS_OBJECTS
from headrace.destinations.vitally.responses import common_verdict
from headrace.destinations.vitally.workspace import VitallyWorkspace
from headrace.domain.errors import Bug
from headrace.domain.mapping import Record
from headrace.domain.message_id import MessageIds
from headrace.domain.request import NoResponse, Request, Response
from headrace.domain.spec import FieldType

_ID = {
    "organization": "organizationId",
    "account": "accountId",
    "user": "userId",
    "custom_object_instance": "externalId",
}
_TYPE = {"custom_object_instance": "customobjectinstance"}
"""What a message calls an object, where that is not its name."""


class _Batches(VitallyWorkspace):
    """What objects and events share: the batch, its answer, the connection."""

    api = "analytics"

    def __init__(self, connection: Connection, *, reads_before: bool) -> None:
        settings = connection.settings
        super().__init__(connection)
        self._url = connection.url("analytics", "/analytics/v1/batch")
        # The body is a bare array (vitally 7.6): two brackets, and a comma between messages.
        self.batching = Batching(
            settings.analytics_batch_messages, settings.analytics_batch_bytes, frame=2, gap=1, reads_before=reads_before
        )

    def batch(self, messages: Sequence[bytes]) -> Request:
        return Request("POST", self._url, "analytics", body=b"[%s]" % b",".join(messages), headers=JSON_HEADERS)

    def judge_batch(self, request: Request, answer: Response | NoResponse) -> BatchVerdict:
        if (verdict := common_verdict(request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        if answer.status < 300:
            return Accepted()
        if answer.status == 413:
            return TooLarge(words(answer))
        if answer.status in (404, 405):
            # No row can be to blame for this: the address is not the one of the API.
            message = f"{self._url} answered {answer.status}: {words(answer)}. Check region, subdomain and "
            return Stop("destination_misconfigured", f"{message}analytics_url.")
        return Refused(answer.status, words(answer))


class AnalyticsObjects(_Batches):
    """A Vitally destination as one sync of analytics objects sees it."""

    def __init__(
        self,
        connection: Connection,
        origin: Origin,
        object_name: str,
        parents: Literal["exact", "add"],
        settings: Mapping[str, str],
    ) -> None:
        target = ANALYTICS_OBJECTS.object(object_name)
        if target is None:
            raise Bug("an object that is not declared reached the destination", object=object_name)
        # The link to an account that a user has left is taken away by a message of its own (vitally 7.5).
        self._unlinks = object_name == "user" and parents == "exact"
        super().__init__(connection, reads_before=self._unlinks)
        self._links = any(one.type is FieldType.REFERENCES for one in target.fields)
        self._always = frozenset(name for rule in target.requirements for name in rule.any_of)
        self._id = _ID[object_name]
        self._fixed = {"type": _TYPE.get(object_name, object_name)}
        if object_id := settings.get("custom_object"):
            self._fixed["customObjectId"] = object_id.strip()
        self._ids = MessageIds(origin.workspace, origin.sync_id, object_name)

    def messages(self, task: Task) -> Sequence[bytes]:
        record = _record_of(task)
        body = {**self._fixed, self._id: record.match, "traits": {}, **record.values}
        if not self._links:
            for name, reference in record.references.items():
                if task.operation.parents or name in self._always:
                    body[name] = reference.ids[0]
            return (self._encoded(body, task),)
        links = _links(record)
        several = len(links) > 1
        found = [self._encoded({**body, **link}, task, *(link.values() if several else ())) for link in links]
        if task.before is not None and task.before.match == record.match:
            found += self._unlinked(task, record, task.before)
        return found

    def _unlinked(self, task: Task, record: Record, before: Record) -> list[bytes]:
        left = set(_ids(before, "accountIds")).difference(_ids(record, "accountIds"))
        return [
            self._encoded({"type": "unlink", "userId": before.match, "accountId": one}, task, "unlink", one)
            for one in sorted(left)
        ]

    def _encoded(self, body: dict[str, Any], task: Task, *parents: str) -> bytes:
        body["messageId"] = self._ids(task.key, *parents, task.generation, task.row_hash)
        return orjson.dumps(body)


class Events(_Batches):
    """A Vitally destination as one sync of events sees it."""

    def __init__(self, connection: Connection, origin: Origin) -> None:
        super().__init__(connection, reads_before=False)
        self._ids = MessageIds(origin.workspace, origin.sync_id)

    def messages(self, task: Task) -> Sequence[bytes]:
        values = _record_of(task).values
        # An event is sent once: its id is that of its key, whatever the row holds and however often it is repeated.
        body = {"type": "track", "messageId": self._ids(task.key)}
        return (orjson.dumps({**body, "properties": {}, **values}),)


def _record_of(task: Task) -> Record:
    if task.record is None:
        raise Bug("a removal reached an API that has none", key=task.key)
    return task.record


def _ids(record: Record, name: str) -> tuple[str, ...]:
    found = record.references.get(name)
    return found.ids if found is not None else ()


def _links(record: Record) -> list[dict[str, str]]:
    """The parents of each message of a user: one account a message (vitally 7.3), and the organization beside it.

    Several organizations can't stand beside one account: each is then a message of its own.
    """
    accounts, organizations = _ids(record, "accountIds"), _ids(record, "organizationIds")
    if len(organizations) == 1 and accounts:
        return [{"accountId": one, "organizationId": organizations[0]} for one in accounts]
    return [{"accountId": one} for one in accounts] + [{"organizationId": one} for one in organizations]

"""One request a row: which one comes next, and what its answer means. Both as the sync's settings say."""

from __future__ import annotations

from typing import Literal, NamedTuple

import orjson

from headrace.destinations import (
    CREATED_INSTEAD,
    Known,
    Learned,
    Origin,
    Page,
    Retry,
    Send,
    Settled,
    Step,
    Stop,
    Task,
    Verdict,
)
from headrace.destinations.answers import words
from headrace.destinations.http.addresses import Address, Unfilled
from headrace.destinations.http.connection import API, Connection, merged
from headrace.destinations.http.messages import Sender, body_of, record_of
from headrace.destinations.http.settings import (
    BODILESS,
    CreateRequest,
    DeleteRequest,
    EventSettings,
    RecordSettings,
    parameters_of,
)
from headrace.destinations.http.statuses import common_verdict, meaning_of
from headrace.domain.errors import Bug
from headrace.domain.outcome import RowFault, RowOutcome
from headrace.domain.request import NoResponse, Request, Response

_NOT_FOUND = RowFault("record_not_found", "There is no such record at the destination, and this mode creates none.")


class _Kind(NamedTuple):
    """One of the requests of a sync: how and where, and the word that tells its message ids apart."""

    word: Literal["send", "create", "delete"]
    method: str
    address: Address


class Requests(Sender):
    """An HTTP API as one sync of requests sees it."""

    batching = None

    def __init__(
        self, connection: Connection, origin: Origin, settings: RecordSettings | EventSettings, *, once: bool
    ) -> None:
        super().__init__(connection, origin, once=once)
        self._base_url = connection.settings.base_url
        self._settings = settings
        self._headers = connection.open_headers(settings.headers)
        self._with_body = merged({"Content-Type": "application/json"}, self._headers)
        self._table = settings.answers.table()
        self._send = _Kind("send", settings.method, Address(settings.path))
        self._create = self._delete = None
        if isinstance(settings, RecordSettings):
            self._create = _kind("create", settings.create)
            self._delete = _kind("delete", settings.delete)

    def next_step(self, task: Task, known: Known) -> Step:
        kind = self._send
        if task.operation.kind == "delete":
            kind = _declared(self._delete, task)
        elif known.exists is False:
            kind = _declared(self._create, task)
        try:
            request = self._request(kind, task)
        except Unfilled as unfilled:
            message = f'The address needs {{{unfilled.name}}}, and "{unfilled.name}" {unfilled.why}.'
            return Settled(RowOutcome.INVALID, RowFault("field_required", message, unfilled.name))
        may_create = kind is self._send and self._create is not None and task.operation.kind == "upsert"
        return Send(request, creates=kind is self._create, note=CREATED_INSTEAD if may_create else "")

    def _request(self, kind: _Kind, task: Task) -> Request:
        record = record_of(task)
        url = self._base_url + kind.address.fill(parameters_of(record.values))
        settings = self._settings
        headers = self._headers if kind.method in BODILESS else self._with_body
        if settings.idempotency_header is not None:
            headers = merged(headers, {settings.idempotency_header: self.message_id(task, kind.word)})
        if kind.method in BODILESS:
            return Request(kind.method, url, API, headers=headers)
        body = body_of(record)
        if settings.message_id_field is not None:
            body[settings.message_id_field] = self.message_id(task, kind.word)
        return Request(kind.method, url, API, body=orjson.dumps(body), headers=headers)

    def judge(self, task: Task, known: Known, request: Request, answer: Response | NoResponse) -> Verdict:
        if (verdict := common_verdict(self._table, request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        meaning = meaning_of(self._table, answer.status)
        if meaning == "delivered":
            return Settled(RowOutcome.DELIVERED)
        if meaning == "not_found":
            if task.operation.kind == "delete":
                return Settled(RowOutcome.DELIVERED)  # what was to be gone is gone
            if task.operation.kind == "update":
                return Settled(RowOutcome.SKIPPED, _NOT_FOUND)
            if self._create is not None and known.exists is None:
                return Learned(known.but(exists=False), "there is no such record; it is created")
        said = words(answer)
        message = f"The destination refused the row ({answer.status}): {said}"
        return Settled(RowOutcome.REJECTED, RowFault("destination_rejected", message, theirs=said))

    # Nothing refers to its records and nothing finds them, so these are never asked ---------------------------------

    def look_up(self, kind: str, external_id: str) -> Request:
        raise Bug("an HTTP destination has nothing to look up", kind=kind)

    def read_look_up(self, request: Request, answer: Response | NoResponse) -> str | Retry | Stop | RowFault | None:
        raise Bug("an HTTP destination has nothing to look up", url=request.url)

    def list_page(self, kind: str, cursor: str | None) -> Request:
        raise Bug("an HTTP destination has nothing to list", kind=kind)

    def read_page(self, request: Request, answer: Response | NoResponse) -> Page | Retry | Stop:
        raise Bug("an HTTP destination has nothing to list", url=request.url)


def _kind(word: Literal["create", "delete"], said: CreateRequest | DeleteRequest | None) -> _Kind | None:
    return _Kind(word, said.method, Address(said.path)) if said is not None else None


def _declared(kind: _Kind | None, task: Task) -> _Kind:
    if kind is None:
        raise Bug("a request that the settings do not have was asked for", operation=task.operation.kind)
    return kind

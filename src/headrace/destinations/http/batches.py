"""Many rows a request: a row's message, the body that carries them, and what its answer means for all."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from headrace.destinations import Accepted, Batching, BatchVerdict, Origin, Refused, Task, TooLarge
from headrace.destinations.answers import words
from headrace.destinations.http.addresses import Address
from headrace.destinations.http.connection import API, Connection, merged
from headrace.destinations.http.messages import Sender, body_of, record_of
from headrace.destinations.http.settings import BatchSettings
from headrace.destinations.http.statuses import common_verdict, meaning_of
from headrace.domain.request import NoResponse, Request, Response

_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson"}


class Batches(Sender):
    """An HTTP API as one sync of batches sees it."""

    def __init__(self, connection: Connection, origin: Origin, settings: BatchSettings, *, once: bool) -> None:
        super().__init__(connection, origin, once=once)
        self._settings = settings
        self._url = connection.settings.base_url + Address(settings.path).fill({})
        self._headers = merged({"Content-Type": _TYPES[settings.format]}, connection.open_headers(settings.headers))
        self._table = settings.answers.table()
        self._before, self._between, self._after = _frame(settings)
        frame = len(self._before) + len(self._after)
        self.batching = Batching(settings.most_rows, settings.most_bytes, frame=frame, gap=len(self._between))

    def messages(self, task: Task) -> Sequence[bytes]:
        body = body_of(record_of(task))
        if self._settings.message_id_field is not None:
            body[self._settings.message_id_field] = self.message_id(task)
        return (orjson.dumps(body),)

    def batch(self, messages: Sequence[bytes]) -> Request:
        body = self._before + self._between.join(messages) + self._after
        return Request(self._settings.method, self._url, API, body=body, headers=self._headers)

    def judge_batch(self, request: Request, answer: Response | NoResponse) -> BatchVerdict:
        if (verdict := common_verdict(self._table, request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        match meaning_of(self._table, answer.status):
            case "delivered":
                return Accepted()
            case "too_large":
                return TooLarge(words(answer))
            case _:
                return Refused(answer.status, words(answer))


def _frame(settings: BatchSettings) -> tuple[bytes, bytes, bytes]:
    """What stands before, between and after the rows of a body."""
    if settings.format == "ndjson":
        return b"", b"\n", b"\n"
    if settings.rows_key is None:
        return b"[", b",", b"]"
    # The list stands last, so that what is around it is two pieces.
    around = orjson.dumps({**settings.beside, settings.rows_key: []})
    return around[:-2], b",", around[-2:]

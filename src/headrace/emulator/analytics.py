"""The Analytics API: which messages are refused, and which are taken.  vitally.md 7 and 10.3

Success means only "validated and accepted"; what a message does is the matter of `ingestion`.
"""

import hashlib
from collections import deque
from typing import Any

import orjson

from headrace.emulator.answers import Answer, Refused, not_found
from headrace.emulator.bodies import read_json
from headrace.emulator.ingestion import apply_message
from headrace.emulator.journal import Call
from headrace.emulator.message_tables import MESSAGES
from headrace.emulator.settings import EmulatorSettings
from headrace.emulator.shelf import Record
from headrace.emulator.state import State
from headrace.emulator.values import is_utc_instant

_SUCCESS = orjson.dumps({"message": "Success."})


class Ingestion:
    """Accepted messages on their way into the state, and the messageIds already seen."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: deque[tuple[float, str, Record]] = deque()
        self._seen_at_s: dict[Any, float] = {}

    @property
    def waiting(self) -> int:
        """Accepted messages whose effect is not yet visible."""
        return len(self._waiting)

    def settle(self) -> None:
        """Do what is due by now: asynchronous processing without a task of its own."""
        now_s = self._state.clock.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s:
            _, message_type, message = self._waiting.popleft()
            apply_message(self._state, message_type, message)

    def accept(self, message_type: str, message: Record) -> None:
        """Take a valid message; one whose id was seen in the scope has no effect.  vitally.md 7, DOC"""
        settings = self._state.settings
        now_s = self._state.clock.monotonic()
        if settings.dedupe_scope != "none":
            message_id = message.get("messageId") or _hash(message)
            key = message_id if settings.dedupe_scope == "global" else (message_type, message_id)
            seen_at_s = self._seen_at_s.get(key)
            if seen_at_s is not None and (
                settings.dedupe_seconds is None or now_s - seen_at_s < settings.dedupe_seconds
            ):
                return
            self._seen_at_s[key] = now_s
        if settings.analytics_delay_ms:
            self._waiting.append((now_s + settings.analytics_delay_ms / 1000, message_type, message))
        else:
            apply_message(self._state, message_type, message)

    def answer(self, call: Call) -> Answer:
        """The answer to an authenticated request under `/analytics`. Raises Refused."""
        match call.method, call.segments():
            case "POST", ["analytics", "v1", "batch"]:
                self._accept_batch(_sized_json(call, self._state.settings))
            case "POST", ["analytics", "v1", name] if name in MESSAGES:
                message = _sized_json(call, self._state.settings)
                check_message(self._state, name, message)
                self.accept(name, message)
            case _, ["analytics", "v1", name] if name in MESSAGES or name == "batch":
                status = self._state.settings.wrong_method_status
                raise Refused(status, "Not Found" if status == 404 else "Method Not Allowed")
            case _:
                raise not_found()
        return Answer(200, _SUCCESS)

    def _accept_batch(self, batch: Any) -> None:
        """All or nothing, unless the switch batchPartial lets the good ones through.  vitally.md 7, INF"""
        settings = self._state.settings
        if not isinstance(batch, list):
            raise Refused(400, "The body of a batch must be an array of messages")
        if len(batch) > settings.batch_max_items:
            raise Refused(settings.batch_limit_status, f"A batch has at most {settings.batch_max_items} messages")
        good: list[Record] = []
        for place, message in enumerate(batch):
            try:
                check_message(self._state, None, message)
            except Refused as refusal:
                if not settings.batch_partial:
                    raise Refused(refusal.status, f"messages[{place}]: {refusal.message}") from refusal
            else:
                good.append(message)
        for message in good:
            self.accept(message["type"], message)


def check_message(state: State, message_type: str | None, message: Any) -> None:
    """Raise Refused (400) for what Vitally would not accept; `message_type` is the endpoint's, None in a batch."""
    settings = state.settings
    if not isinstance(message, dict):
        raise Refused(400, "A message must be a JSON object")
    named = message.get("type", message_type)
    if not isinstance(named, str) or named not in MESSAGES or (message_type is not None and named != message_type):
        raise Refused(400, f"type must be one of: {', '.join(MESSAGES)}" if message_type is None else "type is wrong")
    if named in settings.blocked_types:
        raise Refused(400, f"Messages of the type {named} are blocked")
    if named == "organization" and not settings.organizations_enabled:
        raise Refused(400, "Organizations are not enabled")
    shape = MESSAGES[named]
    for name, value in message.items():
        if name in shape.ids or name == "messageId":
            _check_id(name, value, settings)
        elif name in shape.objects:
            if not isinstance(value, dict):
                raise Refused(400, f"{name} must be a JSON object")
        elif name in shape.texts:
            if not isinstance(value, str):
                raise Refused(400, f"{name} must be a string")
        elif name not in ("type", "timestamp") and settings.unknown_fields == "reject":
            raise Refused(400, f"{name} is not a field of {named}")
    for name in shape.required:
        if message.get(name) in (None, ""):
            raise Refused(400, f"{name} is required")
    if shape.one_of and not any(message.get(name) for name in shape.one_of):
        raise Refused(400, f"Must specify at least one of: {' or '.join(shape.one_of)}")
    if "messageId" not in message and "timestamp" not in message:
        raise Refused(400, "Must specify at least one of: messageId or timestamp")
    if "timestamp" in message and not is_utc_instant(message["timestamp"]):
        raise Refused(400, "timestamp must be an ISO-8601 UTC string")
    if named == "customobjectinstance" and message["customObjectId"] not in state.shelves["customObjects"].records:
        raise Refused(400, f"There is no custom object with the id {message['customObjectId']!r}")


def _check_id(name: str, value: Any, settings: EmulatorSettings) -> None:
    """Strings; the older documents allowed numbers too.  vitally.md 7"""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(value, str) and not (is_number and settings.analytics_numeric_ids):
        raise Refused(400, f"{name} must be a string")
    if name == "messageId" and value == "":
        raise Refused(400, "messageId must not be empty")


def _sized_json(call: Call, settings: EmulatorSettings) -> Any:
    """The body, if it is not too large; Vitally's limit is not documented.  vitally.md 7, INF"""
    if settings.batch_max_bytes is not None and len(call.body) > settings.batch_max_bytes:
        raise Refused(settings.batch_limit_status, f"A body has at most {settings.batch_max_bytes} bytes")
    return read_json(call)


def _hash(message: Record) -> str:
    """The id of a message that has only a timestamp.  vitally.md 7, DOC"""
    return hashlib.blake2b(orjson.dumps(message, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()

"""What the emulator answers: a status, headers and bytes, or a refusal that becomes them at the edge."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from headrace.emulator.settings import EmulatorSettings

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer ready to be written: `body` is bytes of `content_type`; `headers` are the others."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON


class Refused(Exception):
    """The request is refused with `status`; `message` is what the error body says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def answer_json(status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
    """`value` as JSON."""
    return Answer(status, orjson.dumps(value), headers or {})


def answer_refusal(refusal: Refused, settings: EmulatorSettings) -> Answer:
    """The flat error body.  vitally.md 4.3: `error` was observed for 401, `message` appears in one client's comment."""
    return answer_json(refusal.status, {settings.error_shape: refusal.message})


def not_found(what: str = "Not Found") -> Refused:
    """404; the text is ours.  vitally.md 10.2, INF"""
    return Refused(404, what)

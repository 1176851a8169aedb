"""Requests and answers, with everything that stands between them: the rate limit, retries, the record of every call.

In: a request and who reads its answer. Out: what the reader made of it, after as many tries as it took.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from headrace.destinations import Accepted, Connected, Learned, Refused, Retry, Settled, Stop, TooLarge
from headrace.domain.errors import WorldError
from headrace.domain.outcome import RowFault, RowOutcome, VerdictWord
from headrace.domain.request import NoResponse, Request, Response
from headrace.engine.ports import CallRecord, Clock
from headrace.engine.recorder import Recorder
from headrace.engine.retry import MOST_REFUSALS, MOST_TRIES, Health, RetryBudget, backoff_s
from headrace.engine.throttle import Throttle, header_number

if TYPE_CHECKING:
    from headrace.engine.transport import Transport

Read = TypeVar("Read")

MASK = "***"
LARGEST_SENT_KEPT = 1024 * 1024
"""Bytes of a request's body that the record of a call keeps: what we send is kept whole, batches included."""
LARGEST_KEPT = 64 * 1024
"""Bytes of an answer's body that the record of a call keeps."""


class RunStopped(WorldError):
    """The run can't go on: credentials refused, nobody answers, everything fails alike."""


def refused_alike(which: str, fault: RowFault) -> RunStopped:
    """What stops a run of which so many rows were refused with the same words that it is not the rows."""
    rest = "The rest was not tried: mend the mapping or the destination, and run again."
    return RunStopped(f"{which}: {fault.message.rstrip('.')}. {rest}", code=fault.code)


class GaveUp(Exception):
    """A request got no usable answer after all its tries: its row is owed."""

    def __init__(self, fault: RowFault, call: int | None) -> None:
        self.fault = fault
        self.call = call
        super().__init__(fault.message)


class Unknown(Exception):
    """A request that must not be repeated blindly was sent and got no answer."""

    def __init__(self, reason: str, call: int) -> None:
        self.reason = reason
        self.call = call
        super().__init__(reason)


class Cancelled(Exception):
    """The run was told to stop sending."""


class Exchange:
    """Sends requests of one destination for one run."""

    def __init__(
        self,
        destination: Connected,
        transport: Transport,
        throttles: Callable[[str], Throttle],
        recorder: Recorder,
        clock: Clock,
        stop: asyncio.Event,
    ) -> None:
        self._destination = destination
        self._transport = transport
        self._throttles = throttles
        self._recorder = recorder
        self._clock = clock
        self._stop = stop
        self._budget = RetryBudget(clock)
        self.health = Health(clock)
        self._chance = random.Random()
        self._timeouts_s: dict[str, float] = {}
        self._masked: dict[str, Mapping[str, str]] = {}
        self._hidden: dict[str, Sequence[tuple[str, bytes]]] = {}

    async def ask(
        self,
        request: Request,
        keys: Sequence[str],
        read: Callable[[Response | NoResponse], Read | Retry | Stop],
        *,
        once: bool = False,
    ) -> tuple[Read, int]:
        """Sends until `read` makes something of the answer. Returns that, and the number of the last call.

        `once` marks a create: an unknown outcome raises Unknown instead of being repeated. Raises GaveUp when tries or
        budget end, RunStopped when the run can't go on, Cancelled when it was told to end.
        """
        attempt = refusals = 0
        self._budget.first_send()
        while True:
            attempt += 1
            number, answer, verdict = await self._try(request, keys, read, attempt + refusals)
            if isinstance(verdict, Stop):
                raise RunStopped(verdict.message, code=verdict.code)
            if not isinstance(verdict, Retry):
                if isinstance(answer, Response):
                    self.health.good()
                return verdict, number
            if verdict.pause:
                attempt -= 1
                refusals += 1
            elif self.health.failed(attempt, reached=isinstance(answer, Response) or answer.sent):
                raise RunStopped(self._down(request, verdict.why), code="destination_unavailable")
            if once and isinstance(answer, NoResponse) and answer.sent:
                raise Unknown(verdict.why, number)
            if attempt >= MOST_TRIES or refusals >= MOST_REFUSALS:
                code = "rate_limited" if verdict.pause else "destination_unavailable"
                message = f"No usable answer after {attempt + refusals} tries, the last: {verdict.why}. "
                message += "The row is planned again on the next run."
                raise GaveUp(RowFault(code, message), number)
            if verdict.pause:
                continue  # the throttle holds everyone until the floor has passed
            await self._pause(backoff_s(attempt, verdict.floor_s, self._chance))
            while (wait := self._budget.take()) > 0:
                await self._pause(wait)

    async def _try(
        self,
        request: Request,
        keys: Sequence[str],
        read: Callable[[Response | NoResponse], Read | Retry | Stop],
        attempt: int,
    ) -> tuple[int, Response | NoResponse, Read | Retry | Stop]:
        throttle = self._throttles(request.api)
        slot, waited = await throttle.acquire(self._stop.is_set)
        if self._stop.is_set():
            throttle.answered(slot, remaining=None, reset_s=None, refused=False)
            raise Cancelled
        number = self._recorder.next_number()
        at, started = self._clock.now(), self._clock.monotonic()
        timeout_s = self._timeout_s(request.api)
        answer: Response | NoResponse = NoResponse("the run ended before an answer came", sent=True)
        verdict: Read | Retry | Stop = Retry("the run ended before an answer came")
        try:
            answer = await self._transport.send(request, self._destination.authorize, timeout_s)
            if isinstance(answer, Response):
                answer = self._without_secrets(request.api, answer)
            verdict = read(answer)
        finally:
            took = self._clock.monotonic() - started
            status, headers, body = answer if isinstance(answer, Response) else (None, None, None)
            if slot >= 0 or isinstance(verdict, Retry):
                self._steer(throttle, slot, headers or {}, verdict)
            word, reason = describe(verdict, answer)
            # By place, for speed: every request comes by here.
            self._recorder.call(
                CallRecord(
                    number,
                    at,
                    request.api,
                    request.purpose,
                    request.method,
                    request.url,
                    {**request.headers, **self._mask(request.api)},
                    request.body[:LARGEST_SENT_KEPT] if request.body is not None else None,
                    status,
                    headers,
                    body[:LARGEST_KEPT] if body is not None else None,
                    took * 1000,
                    waited * 1000,
                    attempt,
                    word,
                    reason,
                    keys,
                )
            )
        return number, answer, verdict

    @staticmethod
    def _steer(throttle: Throttle, slot: int, headers: Mapping[str, str], verdict: object) -> None:
        """Gives the slot back, and tells the throttle what the answer says of the limit."""
        remaining = header_number(headers.get("ratelimit-remaining"))
        retry = verdict if isinstance(verdict, Retry) else None
        throttle.answered(
            slot,
            remaining=int(remaining) if remaining is not None else None,
            reset_s=retry.floor_s if retry and retry.floor_s else header_number(headers.get("ratelimit-reset")),
            refused=retry is not None and retry.pause,
        )

    def _timeout_s(self, api: str) -> float:
        if api not in self._timeouts_s:
            self._timeouts_s[api] = self._destination.limits(api).timeout_s
        return self._timeouts_s[api]

    def _mask(self, api: str) -> Mapping[str, str]:
        if api not in self._masked:
            self._masked[api] = dict.fromkeys(self._destination.authorize(api), MASK)
        return self._masked[api]

    def _without_secrets(self, api: str, answer: Response) -> Response:
        """The answer, where a proxy, an echo or a page of errors repeats our credential, without it."""
        body, headers = answer.body, answer.headers
        together = "\n".join(headers.values())
        for secret, encoded in self._secrets(api):
            if encoded in body:
                body = body.replace(encoded, MASK.encode())
            if secret in together:
                headers = {name: one.replace(secret, MASK) for name, one in headers.items()}
        return answer if body is answer.body and headers is answer.headers else Response(answer.status, headers, body)

    def _secrets(self, api: str) -> Sequence[tuple[str, bytes]]:
        """What must not be kept: the values of the credential's headers, whole and without their scheme."""
        if api not in self._hidden:
            values = self._destination.authorize(api).values()
            found = {part for value in values for part in (value, value.rpartition(" ")[2]) if part}
            self._hidden[api] = [(one, one.encode()) for one in sorted(found, key=len, reverse=True)]
        return self._hidden[api]

    async def _pause(self, seconds: float) -> None:
        """Sleeps, or raises Cancelled as soon as the run is told to end."""
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            if self._stop.is_set():
                raise Cancelled
            await self._clock.sleep(min(left, 0.5))
        if self._stop.is_set():
            raise Cancelled

    def _down(self, request: Request, why: str) -> str:
        host = "/".join(request.url.split("/")[:3])
        if self.health.answered:
            return f"{host} answers nothing usable: {why}. Nothing is lost: run again when it is back."
        return (
            f"{host} can't be reached: {why}. Check the address in the destination's settings, and that this "
            "machine may reach it. Nothing is lost: run again then."
        )


def describe(verdict: object, answer: Response | NoResponse) -> tuple[VerdictWord, str]:
    """The word and the reason that the record of a call keeps."""
    match verdict:
        case Settled(outcome=RowOutcome.DELIVERED) | Accepted():
            return VerdictWord.DELIVERED, "acknowledged"
        case Settled(fault=RowFault(message=message)):
            return VerdictWord.ROW_FAULT, message
        case Refused(words=words) | TooLarge(words=words):
            return VerdictWord.ROW_FAULT, words
        case Learned(why=why):
            return VerdictWord.LEARNED, why
        case Stop(message=message):
            return VerdictWord.STOP, message
        case Retry(why=why):
            unknown = isinstance(answer, NoResponse) and answer.sent
            return (VerdictWord.UNKNOWN if unknown else VerdictWord.RETRY), why
        case _:
            return VerdictWord.LEARNED, "read"

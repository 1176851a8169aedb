"""One pretended Vitally workspace: it takes a call and says what happens to it, in the order of the live service.

Fault, then key, then rate limit, then route; at the end the journal. No HTTP here: `server` speaks it.
All doors take `lock`, so that a test may look at the state while the server's thread works.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import responses
from typing import Any

import orjson

from headrace.emulator.analytics import Ingestion
from headrace.emulator.answers import Answer, Refused, answer_refusal, not_found
from headrace.emulator.clock import Clock
from headrace.emulator.credentials import check_key, read_key
from headrace.emulator.faults import Faults
from headrace.emulator.journal import Call, Journal
from headrace.emulator.limits import Limiter, limit_headers, new_limiter
from headrace.emulator.rest import answer_rest
from headrace.emulator.seeds import sow
from headrace.emulator.settings import EmulatorSettings, Fault, RateLimit
from headrace.emulator.state import State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do after `delay_s`: write the `answer`; without one, close the connection, unless it `hangs`."""

    answer: Answer | None
    delay_s: float = 0
    hangs: bool = False


class Workspace:
    """State, switches, faults, limits and journal, and the order in which they act."""

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.journal = Journal(settings.journal_limit)
        self.settings = settings
        self._start_afresh()

    def take(self, call: Call) -> Outcome:
        """Let the call have its effect, enter it in the journal, and say what to do with its connection."""
        with self.lock:
            key = read_key(call)
            fault = self.faults.meet(call, key) if len(self.faults) else None
            action = fault.action if fault else "pass"
            if fault is not None and action in ("respond", "drop_before", "hang"):
                answer = _fault_answer(fault, self.settings) if action == "respond" else None
            else:
                answer = self._answer(call, key)
                if action == "drop_after":
                    answer = None
            self.journal.enter(
                call,
                self.clock.now(),
                answer.status if answer else None,
                answer.body if answer else b"",
                answer.headers if answer else {},
                action if fault else None,
            )
            delay_s = (self.settings.delay_ms + (fault.delay_ms if fault else 0)) / 1000
            return Outcome(answer, delay_s, hangs=action == "hang")

    def settle(self) -> State:
        """The state as it stands now, with every Analytics message that is due."""
        with self.lock:
            self._ingestion.settle()
            return self.state

    def sow(self, kind: str, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put records in from outside (see `seeds`). Raises Refused."""
        with self.lock:
            return sow(self.settle(), kind, records)

    def configure(self, settings: EmulatorSettings) -> None:
        """Turn switches; records stay, budgets start full if their limit changed, faults start over if theirs did."""
        with self.lock:
            before, self.settings = self.settings, settings
            self.state.settings = settings
            if (before.rate_limit, before.analytics_rate_limit) != (settings.rate_limit, settings.analytics_rate_limit):
                self._limiters.clear()
            if before.faults != settings.faults:
                self.faults = Faults(settings.faults)
            if before.journal_limit != settings.journal_limit:
                self.journal.resize(settings.journal_limit)

    def reset(self) -> None:
        """As just started: no records, no journal, full budgets, the settings' faults. Switches stay as they are."""
        with self.lock:
            self.journal.clear()
            self._start_afresh()

    @property
    def waiting(self) -> int:
        """Accepted Analytics messages whose effect is not yet visible."""
        return self._ingestion.waiting

    def _start_afresh(self) -> None:
        self.state = State(self.settings, self.clock)
        self.faults = Faults(self.settings.faults)
        self._ingestion = Ingestion(self.state)
        self._limiters: dict[tuple[str, str | None], Limiter] = {}

    def _answer(self, call: Call, key: str | None) -> Answer:
        api = call.api
        limit = self.settings.rate_limit if api == "rest" else self.settings.analytics_rate_limit
        headers: dict[str, str] = {}
        limited_key: str | None = None
        try:
            if api == "other":
                raise not_found()
            limited_key = check_key(call, key, self.settings)
            if limit is not None:
                self._spend(call, limit, limited_key)
            self._ingestion.settle()
            answer = answer_rest(self.state, call) if api == "rest" else self._ingestion.answer(call)
        except Refused as refusal:
            answer = answer_refusal(refusal, self.settings)
        if limit is not None and api != "other":
            headers = self._limit_headers(call, limit, limited_key, answer.status)
        return Answer(answer.status, answer.body, headers) if headers else answer

    def _spend(self, call: Call, limit: RateLimit, key: str) -> None:
        """Pay for the call. Raises Refused (429); the text is ours.  vitally.md 10.2, INF"""
        cost = limit.read_cost if call.method == "GET" else limit.write_cost
        if not self._limiter(call, limit, key).spend(cost, self.clock.monotonic()):
            raise Refused(429, "Too Many Requests")

    def _limit_headers(self, call: Call, limit: RateLimit, key: str | None, status: int) -> dict[str, str]:
        """RateLimit-* on every REST answer, none on Analytics (silence of the documents).  vitally.md 3, DOC"""
        limiter, now_s = self._limiter(call, limit, key), self.clock.monotonic()
        reset_s = limiter.reset_s(now_s)
        remaining = 0 if status == 429 else limiter.remaining(now_s)
        headers = limit_headers(limit, remaining, reset_s) if call.api == "rest" else {}
        if status == 429 and self.settings.retry_after_on_429:
            headers["Retry-After"] = str(reset_s)
        return headers

    def _limiter(self, call: Call, limit: RateLimit, key: str | None) -> Limiter:
        """The key's own budget; calls without a good key share one that nobody spends."""
        found = self._limiters.get((call.api, key))
        if found is None:
            found = self._limiters[(call.api, key)] = new_limiter(limit, self.clock.monotonic())
        return found


def _fault_answer(fault: Fault, settings: EmulatorSettings) -> Answer:
    """What the fault says, and nothing else: a gateway that answers 503 adds no RateLimit headers either."""
    status = fault.status or 500
    if isinstance(fault.body, str):
        return Answer(status, fault.body.encode(), fault.headers, "text/plain; charset=utf-8")
    body = {settings.error_shape: responses.get(status, "Fault")} if fault.body is None else fault.body
    return Answer(status, orjson.dumps(body), fault.headers)

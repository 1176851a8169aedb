"""Time that runs as fast as it can, a transport that asks a function, a destination and a run log in memory."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson

from headrace.destinations import (
    Accepted,
    Batching,
    BatchVerdict,
    Known,
    Learned,
    Limits,
    Listed,
    NeedParents,
    Page,
    Probe,
    RateLimit,
    Refused,
    Retry,
    Send,
    Settled,
    Step,
    Stop,
    Task,
    TooLarge,
    Verdict,
)
from headrace.destinations.vitally import SPEC
from headrace.domain.outcome import Counts, RowFault, RowOutcome
from headrace.domain.request import NoResponse, Request, Response
from headrace.engine import ports
from headrace.engine.transport import Authorize

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOKEN = "Basic c2VjcmV0LXRva2Vu"
HOST = "https://api.example"
Answer = TypeVar("Answer")


class _Selector(selectors.DefaultSelector):
    """Where a loop would wait for time to pass, time has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.passed += timeout
            return super().select(0)
        return super().select(timeout)


class QuickLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due."""

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return 1000.0 + self._waits.passed


def quickly(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs it to its end; hours pass in no time."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(work)


class LoopClock:
    """The clock of the loop it is used in."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class HandClock:
    """A clock that somebody moves by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


Server = Callable[[Request], Response | NoResponse]


class ServerTransport:
    """Sends to a function, after some latency; remembers when each request left."""

    def __init__(self, server: Server, latency_s: float = 0.01) -> None:
        self._server = server
        self._latency_s = latency_s
        self.sent: list[tuple[float, Request]] = []
        self.under_way = self.most_under_way = 0

    async def send(self, request: Request, authorize: Authorize, timeout_s: float) -> Response | NoResponse:
        self.sent.append((asyncio.get_running_loop().time(), request))
        assert authorize(request.api)["Authorization"] == TOKEN
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        await asyncio.sleep(self._latency_s)
        self.under_way -= 1
        return self._server(request)

    @property
    def urls(self) -> list[str]:
        return [f"{request.method} {request.url.removeprefix(HOST)}" for _, request in self.sent]


def said(status: int, words: str = "", **headers: str) -> Response:
    body = orjson.dumps({"error": words} if words else {"id": "v"})
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


class PlainDestination:
    """Writes a record with PUT, or creates it with POST where `creates`; parents are looked up by their ids."""

    spec = SPEC
    api = "rest"
    batching = None

    def __init__(self, *, creates: bool = False, rate: RateLimit | None = None, pages: Sequence[Page] = ()) -> None:
        self._creates = creates
        self._rate = rate
        self._pages = pages

    def next_step(self, task: Task, known: Known) -> Step:
        if task.record is not None:
            wanted = tuple(task.record.references.values())
            missing = [one for one in wanted if any((one.kind, parent) not in known.parents for parent in one.ids)]
            if missing:
                return NeedParents(tuple(missing))
            if any(known.parents[(one.kind, parent)] is None for one in wanted for parent in one.ids):
                return Settled(RowOutcome.INVALID, RowFault("parent_not_found", "no such parent"))
        if self._creates and known.exists is False:
            return Send(self._request("POST", "/records", task), creates=True)
        if self._creates and known.unknown_outcome:
            return Send(Request("GET", f"{HOST}/records/{task.operation.match}", "rest", "look_up"))
        if self._creates and known.exists is None:
            return Send(self._request("POST", "/records", task), creates=True)
        if task.operation.kind in ("clear", "delete"):
            return Send(self._request("DELETE", f"/records/{task.operation.match}", task))
        return Send(self._request("PUT", f"/records/{task.operation.match}", task))

    def _request(self, method: str, path: str, task: Task) -> Request:
        values = {"id": task.operation.match, **(task.record.values if task.record else {})}
        return Request(method, HOST + path, "rest", body=orjson.dumps(values), headers={"Accept": "application/json"})

    def judge(self, task: Task, known: Known, request: Request, answer: Response | NoResponse) -> Verdict:
        if (verdict := self._common(answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        words = orjson.loads(answer.body).get("error", "")
        if request.purpose == "look_up":
            if answer.status == 404:
                return Learned(known.but(exists=False, unknown_outcome=False), "not there")
            return Settled(RowOutcome.DELIVERED, record_id="v")
        if answer.status < 300:
            return Settled(RowOutcome.DELIVERED, record_id="v")
        if answer.status == 404:
            return Settled(RowOutcome.SKIPPED, RowFault("record_not_found", "not there"))
        if "parent" in words and not known.fresh_parents:
            return Learned(known.but(parents={}, fresh_parents=True), "blamed", tuple(known.parents))
        return Settled(RowOutcome.REJECTED, RowFault("destination_rejected", f"refused: {words}", theirs=words))

    @staticmethod
    def _common(answer: Response | NoResponse) -> Retry | Stop | None:
        if isinstance(answer, NoResponse):
            return Retry(answer.reason)
        if answer.status == 401:
            return Stop("credentials_refused", f"the token was refused: {answer.body.decode()}")
        if answer.status == 429 or answer.status >= 500:
            return Retry(str(answer.status), float(answer.headers.get("retry-after", 0)), pause=answer.status == 429)
        return None

    def look_up(self, kind: str, external_id: str) -> Request:
        return Request("GET", f"{HOST}/{kind}/{external_id}", "rest", "look_up")

    def read_look_up(self, request: Request, answer: Response | NoResponse) -> str | Retry | Stop | RowFault | None:
        if (verdict := self._common(answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        return None if answer.status == 404 else str(orjson.loads(answer.body)["id"])

    def list_page(self, kind: str, cursor: str | None) -> Request:
        return Request("GET", f"{HOST}/{kind}?page={cursor or 0}", "rest", "list")

    def read_page(self, request: Request, answer: Response | NoResponse) -> Page | Retry | Stop:
        return self._common(answer) or self._pages[int(request.url.rpartition("=")[2])]

    def limits(self, api: str) -> Limits:
        return Limits(self._rate, 8, 30.0, "credential")

    def authorize(self, api: str) -> Mapping[str, str]:
        return {"Authorization": TOKEN}

    def probes(self) -> Sequence[Probe]:
        return ()

    def read_probe(self, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
        return "fine", ""


class BatchingDestination(PlainDestination):
    """Posts a JSON array of messages, one a row; a row whose name is `n parts` makes n of them."""

    def __init__(self, *, most_messages: int = 100, most_bytes: int = 100_000) -> None:
        super().__init__()
        self.batching = Batching(most_messages, most_bytes)  # type: ignore[assignment]

    def messages(self, task: Task) -> Sequence[bytes]:
        assert task.record is not None
        name = str(task.record.values.get("name"))
        parts = int(name.split()[0]) if name.endswith(" parts") else 1
        return [orjson.dumps({"id": task.key, "part": part, "name": name}) for part in range(parts)]

    def batch(self, messages: Sequence[bytes]) -> Request:
        return Request("POST", f"{HOST}/batch", "rest", body=b"[%s]" % b",".join(messages))

    def judge_batch(self, request: Request, answer: Response | NoResponse) -> BatchVerdict:
        if (verdict := self._common(answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        words = orjson.loads(answer.body).get("error", "")
        if answer.status == 413:
            return TooLarge(words)
        return Accepted() if answer.status < 300 else Refused(answer.status, words)


def pages_of(records: Sequence[Listed], size: int) -> list[Page]:
    """The records as pages of a listing, the last without a cursor."""
    cut = [records[start : start + size] for start in range(0, max(len(records), 1), size)]
    return [Page(part, str(number + 1) if number + 1 < len(cut) else None) for number, part in enumerate(cut)]


class AtOnce(Executor):
    """A disk without a thread: what it is given is done when it returns, so that virtual time can't outrun it."""

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments, **named))
        return done


class MemoryLog:
    """A run log in memory. `fails` is raised by the next group that is written."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.calls: list[ports.CallRecord] = []
        self.outcomes: list[ports.OutcomeRecord] = []
        self.learned: list[ports.Learned] = []
        self.fails: Exception | None = None
        self.cancelled = False

    def append(
        self,
        calls: Sequence[ports.CallRecord],
        outcomes: Sequence[ports.OutcomeRecord],
        learned: Sequence[ports.Learned] = (),
    ) -> None:
        if self.fails is not None:
            raise self.fails
        self.groups.append(len(calls))
        self.calls += calls
        self.outcomes += outcomes
        self.learned += learned

    def progress(self, counts: Counts, to_send: int, waiting_s: float) -> None:
        return

    def cancel_requested(self) -> bool:
        return self.cancelled

    def by_key(self) -> dict[str, str]:
        return {one.key: one.outcome.value for one in self.outcomes}


class MemoryIdentities:
    """Ids of parents that were known before, and what a log has learned since."""

    def __init__(self, known: Mapping[tuple[str, str], str], log: MemoryLog) -> None:
        self._before = known
        self._log = log

    def known(self, kind: str, external_ids: Sequence[str]) -> dict[str, str]:
        kept: dict[tuple[str, str], str | None] = {**self._before}
        kept |= {(one.kind, one.external_id): one.record_id for one in self._log.learned}
        return {one: found for one in external_ids if (found := kept.get((kind, one))) is not None}


Job = Callable[[], Awaitable[None]]

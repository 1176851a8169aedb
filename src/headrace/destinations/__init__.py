"""The port that every destination meets, and the list of them.

A destination declares (its `DestinationSpec`) and decides (`next_step`, `judge`): pure functions over plain values.
It never holds the client; it cannot sleep, retry, log or batch. The engine does all of that, the same for everyone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, cast

from headrace.domain.config import SyncConfig
from headrace.domain.errors import NotFound
from headrace.domain.mapping import Record, Reference
from headrace.domain.outcome import RowFault, RowOutcome
from headrace.domain.plan import Operation
from headrace.domain.request import NoResponse, Request, Response
from headrace.domain.spec import DestinationSpec


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `requests` in any `per_seconds`."""

    requests: int
    per_seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine keeps for one API of a destination: one credential, one budget."""

    rate: RateLimit | None
    concurrency: int
    timeout_s: float
    credential: str
    """What tells credentials apart without giving them away: the budget is shared by all that have the same."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one row's record so far; each answer adds to it."""

    exists: bool | None = None
    record_id: str | None = None
    parents: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    """(kind, external id) -> the record's own id, None where there is no such record."""
    fresh_parents: bool = False
    """True once the parents were looked up anew because an answer blamed them."""
    linked: Mapping[str, tuple[str, ...]] | None = None
    """Reference field -> ids that the record has now, where the union is to be sent."""
    taken: bool | None = None
    """Whether another record has the external id of the one that is to be created; None: not asked."""
    refused: Response | None = None
    """The answer to a create that may mean that the record exists."""
    unknown_outcome: bool = False
    """A create was sent and no answer came: the record may be ours."""

    def but(self, **changes: Any) -> Known:
        return replace(self, **changes)


class Origin(NamedTuple):
    """Where messages come from: no other workspace and no other sync makes the same ids."""

    workspace: str
    sync_id: str


class Task(NamedTuple):
    """One operation on one record. `record` is None for removals.

    `before` is the record as it was last acknowledged, where the destination asks for it (`Batching.reads_before`).
    `generation` and `row_hash` tell one change of a row from every other: see `domain.message_id`.
    """

    operation: Operation
    record: Record | None
    key: str
    before: Record | None = None
    generation: int = 0
    row_hash: int = 0


# What a destination wants next ------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Send this request and let `judge` read the answer. `creates` marks one that must not be repeated blindly.

    `note` is for whoever reads the plan: what the answer may change.
    """

    request: Request
    creates: bool = False
    note: str = ""


CREATED_INSTEAD = "where the record does not exist yet, it is created instead"
UPDATED_INSTEAD = "where the record exists, this updates it"


class NeedParents(NamedTuple):
    """Look these references up first."""

    references: tuple[Reference, ...]


class Settled(NamedTuple):
    """The row's outcome. `record_id` where the record's own id was learned."""

    outcome: RowOutcome
    fault: RowFault | None = None
    record_id: str | None = None


Step = Send | NeedParents | Settled


# What an answer meant ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Learned:
    """The row is not settled: ask `next_step` again with this. `forget` names parents whose cached ids were blamed."""

    known: Known
    why: str
    forget: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the same request again, not before `floor_s` seconds have passed. `pause`: nobody may send before then."""

    why: str
    floor_s: float = 0.0
    pause: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """The run can't go on."""

    code: str
    message: str


Verdict = Settled | Learned | Retry | Stop


@dataclass(frozen=True, slots=True)
class Accepted:
    """Every row that the request carried is acknowledged."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was refused for what it carries: one row of it may be to blame, or all. `words` are theirs."""

    status: int
    words: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The request was refused for its size."""

    words: str


BatchVerdict = Accepted | Refused | TooLarge | Retry | Stop


@dataclass(frozen=True, slots=True)
class Batching:
    """How much one request of a destination that delivers in batches may carry.

    `most_bytes` is of the body, `frame` and `gap` the bytes that stand around and between its messages.
    """

    most_messages: int
    most_bytes: int
    frame: int = 2
    gap: int = 1
    reads_before: bool = False
    """Whether it makes messages from what a row was, too."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A record as a listing shows it: its own id, our external id, and other values it may be matched by."""

    record_id: str
    external_id: str | None
    match: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; `next_cursor` None at the end."""

    records: Sequence[Listed]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Probe:
    """One request of a connection test. `secret` names the token that it proves; None request: can't be tested."""

    secret: str
    request: Request | None
    note: str = ""


class Connected(Protocol):
    """What every configured destination has: a declaration, credentials with their limits, a connection test."""

    spec: DestinationSpec
    api: str
    """The API that rows are delivered through; its limits and credential are the sync's."""

    def limits(self, api: str) -> Limits: ...

    def authorize(self, api: str) -> Mapping[str, str]:
        """The headers of the credential. Called by the transport alone, at the last moment."""
        ...

    def probes(self) -> Sequence[Probe]: ...

    def read_probe(self, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
        """(`fine` | `refused` | `unreachable` | `failed`, one sentence)."""
        ...


class RecordDestination(Connected, Protocol):
    """A destination that takes one record a request and answers for it: look-ups, parents, modes, removals."""

    batching: None

    def next_step(self, task: Task, known: Known) -> Step:
        """What to do next for this task, given what is known. Same arguments, same answer."""
        ...

    def judge(self, task: Task, known: Known, request: Request, answer: Response | NoResponse) -> Verdict:
        """What an answer to `Send.request` means for the row."""
        ...

    def look_up(self, kind: str, external_id: str) -> Request:
        """The request that asks for the record's own id."""
        ...

    def read_look_up(self, request: Request, answer: Response | NoResponse) -> str | Retry | Stop | RowFault | None:
        """The id, None for no such record, or why there is no answer."""
        ...

    def list_page(self, kind: str, cursor: str | None) -> Request:
        """The request for a page of all records of a kind, 100 at a time."""
        ...

    def read_page(self, request: Request, answer: Response | NoResponse) -> Page | Retry | Stop: ...


class BatchDestination(Connected, Protocol):
    """A destination that takes the messages of many rows in one request, and answers for all of them at once."""

    batching: Batching

    def messages(self, task: Task) -> Sequence[bytes]:
        """The messages of one row, encoded; at least one. Same arguments, same bytes: a retry repeats them."""
        ...

    def batch(self, messages: Sequence[bytes]) -> Request:
        """The request that carries these messages, in this order."""
        ...

    def judge_batch(self, request: Request, answer: Response | NoResponse) -> BatchVerdict:
        """What the answer means for everything that the request carried."""
        ...


Destination = RecordDestination | BatchDestination


# The list ---------------------------------------------------------------------------------------------------------


class DestinationKind(Protocol):
    """What the module of a destination offers: its declaration, and a way to open it for one sync."""

    SPEC: DestinationSpec

    def open_destination(
        self, settings: Mapping[str, Any], secrets: Mapping[str, str], sync: SyncConfig | None, origin: Origin
    ) -> Destination:
        """`settings` as configured, `secrets` resolved; `sync` None where only the connection is wanted."""
        ...


DESTINATION_KINDS: Mapping[str, str] = MappingProxyType(
    {"vitally": "headrace.destinations.vitally", "http": "headrace.destinations.http"}
)
"""Every kind of destination and where it lives."""


def destination_kind(name: str) -> DestinationKind:
    """The destination of that type. Raises NotFound."""
    if name not in DESTINATION_KINDS:
        raise NotFound("type of destination", name, list(DESTINATION_KINDS))
    return cast("DestinationKind", import_module(DESTINATION_KINDS[name]))

"""What the destination has already: parents by our ids, and which records exist.

Parents are remembered in the store, asked once however many rows want them, and listed 100 at a time where that costs
less than asking one by one. Existing records are listed before a first sync for the same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from headrace.destinations import Page, RecordDestination, Task
from headrace.domain.mapping import Reference
from headrace.domain.outcome import RowFault
from headrace.engine.exchange import Exchange
from headrace.engine.ports import Identities, Learned
from headrace.engine.recorder import Recorder

LISTING_PAYS_FROM = 20
"""So many unknown records before a list is tried at all."""
LISTING_SHARE = 10
"""A list may cost at most one request for so many records wanted; then it is left, and the rest is asked for."""

Listed = Callable[[str, int, int], None]


@dataclass(slots=True)
class Existing:
    """What a listing found of the records wanted: match value -> own id; `complete` if all pages were read."""

    ids: dict[str, str] = field(default_factory=dict)
    ambiguous: set[str] = field(default_factory=set)
    complete: bool = False

    def exists(self, match: str) -> bool | None:
        """Whether the record exists; None where the listing can't say."""
        if match in self.ambiguous:
            return None
        return True if match in self.ids else (False if self.complete else None)


class Lookups:
    """Answers of one destination about what it has, for one run."""

    def __init__(
        self,
        destination: RecordDestination,
        exchange: Exchange,
        identities: Identities,
        recorder: Recorder,
        listed: Listed,
    ) -> None:
        self._destination = destination
        self._exchange = exchange
        self._identities = identities
        self._recorder = recorder
        self._listed = listed
        self._named_by_own_id = destination.spec.named_by_own_id
        self._known: dict[tuple[str, str], str | None] = {}
        self._asking: dict[tuple[str, str], asyncio.Future[str | RowFault | None]] = {}

    async def parents(self, references: Sequence[Reference], key: str) -> dict[tuple[str, str], str | None] | RowFault:
        """The ids of all these references, asked where they are not known, or the fault of one that can't be had."""
        found: dict[tuple[str, str], str | None] = {}
        for reference in references:
            for external_id in reference.ids:
                answer = await self._one(reference.kind, external_id, key)
                if isinstance(answer, RowFault):
                    return answer
                found[(reference.kind, external_id)] = answer
        return found

    async def _one(self, kind: str, external_id: str, key: str) -> str | RowFault | None:
        wanted = (kind, external_id)
        if wanted in self._known:
            return self._known[wanted]
        if (stored := self._identities.known(kind, [external_id]).get(external_id)) is not None:
            self._known[wanted] = stored
            return stored
        if (asking := self._asking.get(wanted)) is not None:
            return await asyncio.shield(asking)
        future: asyncio.Future[str | RowFault | None] = asyncio.get_running_loop().create_future()
        self._asking[wanted] = future
        try:
            request = self._destination.look_up(kind, external_id)
            answer, _ = await self._exchange.ask(
                request, [key], lambda got: self._destination.read_look_up(request, got)
            )
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # read here, so that nobody waiting is no fault of its own
            raise
        else:
            if not isinstance(answer, RowFault):
                self.remember(kind, external_id, answer)
            future.set_result(answer)
            return answer
        finally:
            del self._asking[wanted]

    def remember(self, kind: str, external_id: str, record_id: str | None) -> None:
        """Keeps an id for this run and, where there is one, for all runs."""
        if record_id is not None and self._known.get((kind, external_id)) == record_id:
            return
        self._known[(kind, external_id)] = record_id
        if record_id is not None:
            self._recorder.learned(Learned(kind, external_id, record_id))

    def remembered(self, kind: str, external_id: str) -> str | None:
        """The own id of a record that nothing else names, as an earlier run learned it; nobody is asked."""
        if kind not in self._named_by_own_id:
            return None
        if (kind, external_id) not in self._known:
            self._known[(kind, external_id)] = self._identities.known(kind, [external_id]).get(external_id)
        return self._known[(kind, external_id)]

    def lacks(self, kind: str, task: Task) -> bool:
        """Whether the own id of the task's record should be kept and is not."""
        return kind in self._named_by_own_id and self.remembered(kind, task.operation.match) is None

    def learn(self, kind: str, external_id: str, record_id: str) -> None:
        """Keeps an id for later runs; this one asked for nothing but the record itself."""
        self._recorder.learned(Learned(kind, external_id, record_id))

    def forget(self, kind: str, external_id: str) -> None:
        """Drops an id that an answer blamed."""
        self._known.pop((kind, external_id), None)
        self._recorder.learned(Learned(kind, external_id, None))
        self._recorder.flush()

    async def prime(self, kind: str, external_ids: Sequence[str]) -> None:
        """Parents that many rows will want: from the store at once, then listed where that is cheaper than asking."""
        for external_id, record_id in self._identities.known(kind, external_ids).items():
            self._known[(kind, external_id)] = record_id
        missing = {one for one in external_ids if (kind, one) not in self._known}
        if len(missing) >= LISTING_PAYS_FROM:
            found = await self.list_existing(kind, missing, "externalId", stop_when_found=True)
            if found.complete:
                for absent in missing - set(found.ids):
                    self._known[(kind, absent)] = None

    async def list_existing(
        self, kind: str, wanted: Collection[str], match_field: str, *, stop_when_found: bool = False
    ) -> Existing:
        """Lists records of a kind, 100 at a time, as long as it is the cheaper way. Keeps only those wanted.

        Finds nothing where the destination declares that a list saves no requests.
        """
        existing = Existing()
        if kind not in self._destination.spec.listed:
            return existing
        folded = {_fold(match_field, one): one for one in wanted}
        most = max(2, len(wanted) // LISTING_SHARE)
        cursor: str | None = None
        records = 0
        for requests in range(1, most + 1):
            request = self._destination.list_page(kind, cursor)
            page, _ = await self._exchange.ask(
                request,
                [],
                lambda got, request=request: self._destination.read_page(request, got),  # type: ignore[misc]
            )
            assert isinstance(page, Page)
            records += len(page.records)
            for record in page.records:
                if record.external_id is not None and match_field == "externalId" and record.external_id in folded:
                    existing.ids[record.external_id] = record.record_id
                    if kind in self._destination.spec.remembered:
                        self.remember(kind, record.external_id, record.record_id)
                elif match_field in record.match:
                    self._add(existing, folded.get(_fold(match_field, record.match[match_field])), record.record_id)
            self._listed(kind, records, requests)
            cursor = page.next_cursor
            if cursor is None:
                existing.complete = True
                break
            if stop_when_found and len(existing.ids) == len(folded):
                break
        return existing

    @staticmethod
    def _add(existing: Existing, wanted: str | None, record_id: str) -> None:
        if wanted is None:
            return
        if wanted in existing.ids or wanted in existing.ambiguous:
            existing.ids.pop(wanted, None)
            existing.ambiguous.add(wanted)
        else:
            existing.ids[wanted] = record_id


def _fold(match_field: str, value: str) -> str:
    return value.strip().casefold() if match_field == "email" else value

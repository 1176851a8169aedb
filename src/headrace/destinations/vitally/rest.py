"""REST objects: which request comes next for a row, and what its answer taught us (vitally 5.5).

The algorithm is right under every reading of what is unknown: a POST of an existing record may upsert, answer 400 or
409; a PUT of parents may replace or add. Two pure functions, `next_step` and `judge`, play ping-pong with the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from headrace.destinations import (
    CREATED_INSTEAD,
    UPDATED_INSTEAD,
    Known,
    Learned,
    Listed,
    NeedParents,
    Page,
    Retry,
    Send,
    Settled,
    Step,
    Stop,
    Task,
    Verdict,
)
from headrace.destinations.answers import parsed, words
from headrace.destinations.vitally.connection import Connection
from headrace.destinations.vitally.objects import REST_OBJECTS
from headrace.destinations.vitally.requests import Choices, Requests
from headrace.destinations.vitally.responses import common_verdict, rejected
from headrace.destinations.vitally.workspace import VitallyWorkspace
from headrace.domain.errors import Bug
from headrace.domain.mapping import Record, Reference
from headrace.domain.outcome import RowFault, RowOutcome
from headrace.domain.request import NoResponse, Request, Response

RECORD_NOT_FOUND = RowFault("record_not_found", "There is no such record in Vitally, and this mode creates none.")
RECORD_EXISTS = RowFault("record_exists", "The record exists in Vitally already, and insert changes none.")
NOT_FOUND_BY_SOURCE = RowFault(
    "record_not_found",
    "Vitally finds no such record of this source by its external id. Check the sync's setting source; or match on id.",
)


class RestObjects(VitallyWorkspace):
    """A Vitally destination as one sync of REST objects sees it."""

    api = "rest"
    batching = None

    def __init__(
        self,
        connection: Connection,
        object_name: str,
        match_field: str,
        parents: Literal["exact", "add"] = "exact",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        target = REST_OBJECTS.object(object_name)
        matching = target.matching(match_field) if target else None
        if target is None or matching is None:
            raise Bug("what is not declared reached the destination", object=object_name, match=match_field)
        super().__init__(connection)
        self._object = target
        self._match = match_field
        self._folds = matching.folds
        self._adds_parents = parents == "add"
        self._requests = Requests(
            connection.url("rest", ""), Choices(target, match_field, self._adds_parents, settings or {})
        )

    # What comes next ----------------------------------------------------------------------------------------------

    def next_step(self, task: Task, known: Known) -> Step:
        kind = task.operation.kind
        if self._requests.is_searched and known.exists is None:
            return Send(self._requests.search(task.operation.match))
        if kind in ("clear", "delete"):
            return self._remove(task, known)
        if known.exists is False:
            if kind == "update":
                return Settled(RowOutcome.SKIPPED, self._not_found)
            return self._create(task, known)
        if kind == "insert":
            return self._insert_where_none(task, known)
        if kind == "upsert" and self._creation_updates(known):
            return self._create(task, known)
        return self._update(task, known)

    @property
    def _not_found(self) -> RowFault:
        return NOT_FOUND_BY_SOURCE if self._requests.needs_source else RECORD_NOT_FOUND

    def _creation_updates(self, known: Known) -> bool:
        """Whether to create without a question, since that updates the record where it exists (vitally 5.5).

        Once such a creation got no answer, the record is asked, if anything can name it. Else it is sent again: what is
        unique on its external id does not become two.
        """
        if not self._requests.post_updates or self._match != "externalId" or known.refused is not None:
            return False
        may_ask = known.unknown_outcome and self._requests.can_name(known)
        return known.exists is None and known.record_id is None and not may_ask

    def _create(self, task: Task, known: Known) -> Step:
        record = _record_of(task)
        if self._may_be_taken(task, record, known):
            return Send(self._requests.read_external(record.values["externalId"]))
        if known.refused is not None:
            return Settled(RowOutcome.REJECTED, rejected(known.refused))
        if (step := self._parents_first(record.references, known)) is not None:
            return step
        note = UPDATED_INSTEAD if self._requests.post_updates and task.operation.kind == "upsert" else ""
        return Send(self._requests.create(record, known), creates=True, note=note)

    def _may_be_taken(self, task: Task, record: Record, known: Known) -> bool:
        """Whether to ask for the external id before a user whom nobody's email found is created, or refused.

        A POST may overwrite the user who has it (vitally 5.5), and insert changes nobody; where POST refuses instead,
        upsert must come to the same end as where it overwrites.
        """
        asks = task.operation.kind == "insert" or known.refused is not None
        return asks and self._match != "externalId" and known.taken is None and "externalId" in record.values

    def _insert_where_none(self, task: Task, known: Known) -> Step:
        if known.exists:
            if known.unknown_outcome:
                # Our own create was sent without an answer, and the record was not there before it.
                return Settled(RowOutcome.DELIVERED, record_id=known.record_id)
            return Settled(RowOutcome.SKIPPED, RECORD_EXISTS, record_id=known.record_id)
        return Send(self._requests.read(task.operation.match, known))

    def _update(self, task: Task, known: Known) -> Step:
        if not self._requests.can_name(known):
            if known.refused is not None:
                return Settled(RowOutcome.REJECTED, rejected(known.refused))
            return Settled(RowOutcome.SKIPPED, self._not_found)
        record, parents = _record_of(task), task.operation.parents
        if references := self._requests.sent_references(record, parents=parents):
            if (step := self._parents_first(references, known)) is not None:
                return step
            if self._adds_parents and self._requests.many and known.linked is None:
                return Send(self._requests.read(task.operation.match, known))
        note = CREATED_INSTEAD if task.operation.kind == "upsert" else ""
        return Send(self._requests.update(task.operation.match, record, known, parents=parents), note=note)

    def _remove(self, task: Task, known: Known) -> Step:
        match, clears = task.operation.match, task.operation.kind == "clear"
        if known.exists is False:
            # What was to be gone is gone, unless only its source was wrong; what was to be cleared is not there.
            surely = known.record_id is not None or not self._requests.needs_source
            gone = surely and not clears
            return Settled(RowOutcome.DELIVERED) if gone else Settled(RowOutcome.SKIPPED, self._not_found)
        if not self._requests.can_name(known):
            return Settled(RowOutcome.SKIPPED, self._not_found)
        if clears:
            return Send(self._requests.clear(match, _record_of(task), known))
        if self._requests.can_delete(known):
            return Send(self._requests.delete(match, known))
        return Send(self._requests.read(match, known))

    def _parents_first(self, references: Mapping[str, Reference], known: Known) -> Step | None:
        """Look-ups that are still needed, or the fault of a parent that does not exist; None when all are known."""
        wanted = [one for one in references.values() if one.by == "external_id"]
        missing = [one for one in wanted if any((one.kind, parent) not in known.parents for parent in one.ids)]
        if missing:
            return NeedParents(tuple(missing))
        for one in wanted:
            for parent in one.ids:
                if known.parents[(one.kind, parent)] is None:
                    message = f'Vitally has no {one.kind} with the external id "{parent}". '
                    message += f"Sync {one.kind}s first, or mend the value; the row is tried again on the next run."
                    return Settled(RowOutcome.INVALID, RowFault("parent_not_found", message, one.kind))
        return None

    # What an answer meant -----------------------------------------------------------------------------------------

    def judge(self, task: Task, known: Known, request: Request, answer: Response | NoResponse) -> Verdict:
        if (verdict := common_verdict(request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        if request.purpose == "look_up":
            return self._judge_read(task, known, answer)
        if request.method == "POST":
            return self._judge_create(task, known, answer)
        return self._judge_write(task, known, request, answer)

    def _judge_read(self, task: Task, known: Known, answer: Response) -> Verdict:
        searched = self._requests.is_searched and known.exists is None
        if answer.status == 404:
            return Learned(known.but(exists=False, taken=known.taken if searched else False), "no such record")
        if answer.status >= 300:
            return Settled(RowOutcome.REJECTED, rejected(answer))
        document = parsed(answer)
        if searched:
            return self._judge_search(task, known, answer)
        linked = {name: _linked(document, name) for name in self._requests.many}
        taken = True if known.exists is False else known.taken
        record_id = _id_of(document) or known.record_id
        if record_id is None and self._requests.needs_source:
            return Settled(RowOutcome.REJECTED, _nameless(answer))
        found = known.but(exists=True, record_id=record_id, linked=linked, taken=taken)
        return Learned(found, "the record exists")

    def _judge_search(self, task: Task, known: Known, answer: Response) -> Verdict:
        document = parsed(answer)
        # vitally 6.6: a search of instances answers with the first match itself, or with a list; which is unverified.
        results = document.get("results", [document])
        found = [
            one
            for one in (results if isinstance(results, list) else [])
            if isinstance(one, dict) and self._is_meant(one, task.operation.match)
        ]
        if len(found) > 1:
            message = f"Vitally has {len(found)} {self._object.title.lower()} with the {self._match} "
            message += f'"{task.operation.match}"; which one is meant can\'t be known. Merge them in Vitally'
            message += ", or match on externalId." if self._match != "externalId" else "."
            return Settled(RowOutcome.INVALID, RowFault("match_ambiguous", message, self._match))
        if not found:
            return Learned(known.but(exists=False), f"no {self._object.name} has this {self._match}")
        if _id_of(found[0]) is None:
            return Settled(RowOutcome.REJECTED, _nameless(answer))
        linked = {name: _linked(found[0], name) for name in self._requests.many}
        known = known.but(exists=True, record_id=_id_of(found[0]), linked=linked)
        return Learned(known, f"one {self._object.name} has this {self._match}")

    def _is_meant(self, record: Mapping[str, Any], match: str) -> bool:
        """Whether the search really found what was asked for: it may be laxer than we are."""
        has = str(record.get(self._match) or "")
        return has.strip().casefold() == match.strip().casefold() if self._folds else has == match

    def _judge_create(self, task: Task, known: Known, answer: Response) -> Verdict:
        if answer.status < 300:
            return Settled(RowOutcome.DELIVERED, record_id=_id_of(parsed(answer)))
        if (blamed := self._blamed_parents(task, known, answer)) is not None:
            return blamed
        if answer.status in (400, 409, 422) and known.refused is None:
            # A create of an existing record may be answered so (vitally 5.5, unresolved): ask the record itself.
            exists = None if self._match == "externalId" else False
            return Learned(known.but(exists=exists, refused=answer), "refused; the record may exist already")
        return Settled(RowOutcome.REJECTED, rejected(answer))

    def _judge_write(self, task: Task, known: Known, request: Request, answer: Response) -> Verdict:
        if answer.status < 300:
            return Settled(RowOutcome.DELIVERED, record_id=_id_of(parsed(answer)) or known.record_id)
        if answer.status == 404:
            if known.refused is not None:
                return Settled(RowOutcome.REJECTED, rejected(known.refused))
            if self._requests.is_searched and task.operation.kind == "upsert":
                # The record that the look-up found is gone.
                return Learned(known.but(exists=False, record_id=None), "the record is gone")
            if self._requests.needs_source and known.record_id is not None and request.method == "PUT":
                # The id that we remember is of a record that is gone; another may have the external id now.
                stale = ((self._object.name, task.operation.match),)
                return Learned(known.but(record_id=None), "the record that we remember is gone", stale)
            return Learned(known.but(exists=False), "no such record")
        if (blamed := self._blamed_parents(task, known, answer)) is not None:
            return blamed
        return Settled(RowOutcome.REJECTED, rejected(answer))

    def _blamed_parents(self, task: Task, known: Known, answer: Response) -> Learned | None:
        """Where an answer blames a parent whose id came from the cache: forget it, and look it up anew, once."""
        if answer.status not in (400, 404, 422) or known.fresh_parents or not known.parents or not task.record:
            return None
        said = words(answer).lower()
        blamed = [
            (kind, external_id)
            for (kind, external_id), record_id in known.parents.items()
            if record_id and (record_id.lower() in said or kind in said)
        ]
        if not blamed:
            return None
        left = {key: value for key, value in known.parents.items() if key not in blamed}
        return Learned(known.but(parents=left, fresh_parents=True), "a parent was blamed", tuple(blamed))

    # Look-ups and listings ----------------------------------------------------------------------------------------

    def look_up(self, kind: str, external_id: str) -> Request:
        return self._requests.look_up(kind, external_id)

    def read_look_up(self, request: Request, answer: Response | NoResponse) -> str | Retry | Stop | RowFault | None:
        if (verdict := common_verdict(request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        if answer.status == 404:
            return None
        record_id = _id_of(parsed(answer)) if answer.status < 300 else None
        return record_id or rejected(answer)

    def list_page(self, kind: str, cursor: str | None) -> Request:
        return self._requests.list_page(kind, cursor)

    def read_page(self, request: Request, answer: Response | NoResponse) -> Page | Retry | Stop:
        if (verdict := common_verdict(request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        document = parsed(answer)
        results = document.get("results")
        if answer.status >= 300 or not isinstance(results, list):
            return Stop("destination_misconfigured", f"A list answered {answer.status}: {words(answer)}")
        records = [
            Listed(str(one["id"]), one.get("externalId"), {"email": str(one["email"])} if one.get("email") else {})
            for one in results
            if isinstance(one, dict) and one.get("id")
        ]
        following = document.get("next")
        return Page(records, following if isinstance(following, str) and following else None)


def _record_of(task: Task) -> Record:
    if task.record is None:
        raise Bug("a write without a record reached the destination", key=task.key)
    return task.record


def _nameless(answer: Response) -> RowFault:
    """The fault of a row whose record was found, and nothing to name it by in a path."""
    message = f"Vitally answered {answer.status} to a look-up, without the record's id, so it can't be addressed. "
    message += "Look at the call; the row is planned again on the next run."
    return RowFault("destination_rejected", message, theirs=words(answer))


def _id_of(document: Mapping[str, Any]) -> str | None:
    found = document.get("id")
    return found if isinstance(found, str) and found else None


def _linked(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Ids of the parents a user has: `accountIds`, or the embedded `accounts` (vitally 5.3: either may come)."""
    ids = document.get(name)
    if isinstance(ids, list):
        return tuple(str(one) for one in ids)
    embedded = document.get(name.removesuffix("Ids") + "s")
    return tuple(str(one["id"]) for one in embedded if isinstance(one, dict)) if isinstance(embedded, list) else ()

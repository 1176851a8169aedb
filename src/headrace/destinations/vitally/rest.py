"""REST objects: which request comes next for a row, and what its answer taught us (vitally 5.5).

The algorithm is right under every reading of what is unknown: a POST of an existing record may upsert, answer 400 or
409; a PUT of parents may replace or add. Two pure functions, `next_step` and `judge`, play ping-pong with the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import orjson

from headrace.destinations import (
    CREATED_INSTEAD,
    Known,
    Learned,
    Limits,
    Listed,
    NeedParents,
    Page,
    Probe,
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
from headrace.destinations.vitally.declaration import VITALLY
from headrace.destinations.vitally.objects import PARENTS, REST_OBJECTS
from headrace.destinations.vitally.probes import probes, read_probe
from headrace.destinations.vitally.responses import common_verdict, rejected
from headrace.domain.errors import Bug
from headrace.domain.mapping import Record
from headrace.domain.outcome import RowFault, RowOutcome
from headrace.domain.request import NoResponse, Request, Response
from headrace.domain.spec import FieldType

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_READ = {"Accept": "application/json"}
PAGE_SIZE = 100  # vitally 4.1: the most a list gives

RECORD_NOT_FOUND = RowFault("record_not_found", "There is no such record in Vitally, and this mode creates none.")
RECORD_EXISTS = RowFault("record_exists", "The record exists in Vitally already, and insert changes none.")


def resource(kind: str) -> str:
    return f"/resources/{kind}s"


class RestObjects:
    """A Vitally destination as one sync of REST objects sees it."""

    spec = VITALLY
    api = "rest"
    batching = None

    def __init__(
        self, connection: Connection, object_name: str, match_field: str, parents: Literal["exact", "add"] = "exact"
    ) -> None:
        target = REST_OBJECTS.object(object_name)
        if target is None:
            raise Bug("an object that is not declared reached the destination", object=object_name)
        self._connection = connection
        self._object = target
        self._path = resource(object_name)
        self._match = match_field
        self._adds_parents = parents == "add"
        # Asked for every row, so made once.
        self._base_url = connection.url("rest", "")
        self._only_new = frozenset(spec.name for spec in target.fields if spec.create_only)

    # What comes next ----------------------------------------------------------------------------------------------

    def next_step(self, task: Task, known: Known) -> Step:
        kind = task.operation.kind
        if self._match == "email" and known.exists is None:
            return Send(self._search(task.operation.match))
        if kind in ("clear", "delete"):
            return self._remove(task, known)
        if known.exists is False:
            if kind == "update":
                return Settled(RowOutcome.SKIPPED, RECORD_NOT_FOUND)
            return self._create(task, known)
        if kind == "insert":
            return self._insert_where_none(task, known)
        return self._update(task, known)

    def _create(self, task: Task, known: Known) -> Step:
        record = _record_of(task)
        if self._may_be_taken(task, record, known):
            return Send(self._read(f"{self._path}/{quote(record.values['externalId'], safe='')}"))
        if known.refused is not None:
            return Settled(RowOutcome.REJECTED, rejected(known.refused))
        if (step := self._parents_first(record, known)) is not None:
            return step
        body = self._body(record, known, with_parents=True, create=True)
        if self._match == "externalId":
            body = {"externalId": record.match, **body}
        elif self._match == "email":
            body = {"email": record.match, **body}
        return Send(self._write("POST", self._path, body), creates=True)

    def _may_be_taken(self, task: Task, record: Record, known: Known) -> bool:
        """Whether to ask for the external id before a user whom nobody's email found is created, or refused.

        A POST may overwrite the user who has it (vitally 5.5), and insert changes nobody; where POST refuses instead,
        upsert must come to the same end as where it overwrites.
        """
        asks = task.operation.kind == "insert" or known.refused is not None
        return asks and self._match == "email" and known.taken is None and "externalId" in record.values

    def _insert_where_none(self, task: Task, known: Known) -> Step:
        if known.exists:
            if known.unknown_outcome:
                # Our own create was sent without an answer, and the record was not there before it.
                return Settled(RowOutcome.DELIVERED, record_id=known.record_id)
            return Settled(RowOutcome.SKIPPED, RECORD_EXISTS, record_id=known.record_id)
        return Send(self._read(self._address(task.operation.match, known)))

    def _update(self, task: Task, known: Known) -> Step:
        record = _record_of(task)
        with_parents = task.operation.parents and bool(record.references)
        if with_parents:
            if (step := self._parents_first(record, known)) is not None:
                return step
            if self._adds_parents and self._object.name == "user" and known.linked is None:
                return Send(self._read(self._address(task.operation.match, known)))
        body = self._body(record, known, with_parents=with_parents, create=False)
        if known.taken:
            body = {"email": record.match, **body}
        note = CREATED_INSTEAD if task.operation.kind == "upsert" else ""
        return Send(self._write("PUT", self._address(task.operation.match, known), body), note=note)

    def _remove(self, task: Task, known: Known) -> Step:
        clears = task.operation.kind == "clear"
        if known.exists is False:
            # What was to be gone is gone; what was to be cleared has nothing to clear.
            return Settled(RowOutcome.SKIPPED, RECORD_NOT_FOUND) if clears else Settled(RowOutcome.DELIVERED)
        address = self._address(task.operation.match, known)
        if clears:
            return Send(self._write("PUT", address, self._cleared(_record_of(task))))
        return Send(Request("DELETE", self._base_url + address, "rest", headers=_READ))

    def _parents_first(self, record: Record, known: Known) -> Step | None:
        """Look-ups that are still needed, or the fault of a parent that does not exist; None when all are known."""
        wanted = [one for one in record.references.values() if one.by == "external_id"]
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

    # Requests -----------------------------------------------------------------------------------------------------

    def _address(self, match: str, known: Known) -> str:
        # vitally 4: the path takes Vitally's id or the external id, never an email.
        wanted = known.record_id if known.record_id and self._match == "email" else match
        return f"{self._path}/{quote(wanted, safe='')}"

    def _body(self, record: Record, known: Known, *, with_parents: bool, create: bool) -> dict[str, Any]:
        body = record.values
        if not create and not self._only_new.isdisjoint(body):
            body = {name: value for name, value in body.items() if name not in self._only_new}
        if not with_parents:
            return body
        body = dict(body)
        for name, reference in record.references.items():
            known_ids = [
                parent if reference.by == "vitally_id" else known.parents[(reference.kind, parent)]
                for parent in reference.ids
            ]
            if reference.many:
                linked = (known.linked or {}).get(name, ()) if self._adds_parents else ()
                body[name] = list(dict.fromkeys([*linked, *known_ids]))
            else:
                body[name] = known_ids[0]
        return body

    def _cleared(self, record: Record) -> dict[str, Any]:
        """Every clearable field that the record was sent with, as null; traits key by key."""
        body: dict[str, Any] = {}
        for spec in self._object.fields:
            if not spec.clearable or spec.inside:
                continue
            if spec.type is FieldType.OBJECT:
                if traits := record.values.get(spec.name):
                    body[spec.name] = dict.fromkeys(traits)
            elif spec.name in record.references or spec.name in record.values:
                body[spec.name] = None
        return body

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Request:
        return Request(method, self._base_url + path, "rest", body=orjson.dumps(body), headers=_JSON)

    def _read(self, path: str) -> Request:
        return Request("GET", self._base_url + path, "rest", "look_up", headers=_READ)

    def _search(self, email: str) -> Request:
        # vitally 5.3: exactly one criterion; `+` must be encoded.
        return self._read(f"{self._path}/search?email={quote(email.strip(), safe='')}")

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
        if answer.status == 404:
            return Learned(known.but(exists=False, taken=False), "no such record")
        if answer.status >= 300:
            return Settled(RowOutcome.REJECTED, rejected(answer))
        document = parsed(answer)
        if self._match == "email" and known.exists is None:
            return self._judge_search(task, known, document)
        linked = {name: _linked(document, name) for name in PARENTS}
        taken = True if known.exists is False else known.taken
        record_id = _id_of(document) or known.record_id
        found = known.but(exists=True, record_id=record_id, linked=linked, taken=taken)
        return Learned(found, "the record exists")

    def _judge_search(self, task: Task, known: Known, document: Mapping[str, Any]) -> Verdict:
        wanted = task.operation.match.strip().casefold()
        results = document.get("results")
        found = [
            one
            for one in (results if isinstance(results, list) else [])
            if isinstance(one, dict) and str(one.get("email") or "").strip().casefold() == wanted
        ]
        if len(found) > 1:
            message = f'Vitally has {len(found)} users with the email "{task.operation.match}"; which one is meant '
            message += "can't be known. Merge them in Vitally, or match on externalId."
            return Settled(RowOutcome.INVALID, RowFault("match_ambiguous", message, "email"))
        if not found:
            return Learned(known.but(exists=False), "no user has this email")
        linked = {name: _linked(found[0], name) for name in PARENTS}
        return Learned(known.but(exists=True, record_id=_id_of(found[0]), linked=linked), "one user has this email")

    def _judge_create(self, task: Task, known: Known, answer: Response) -> Verdict:
        if answer.status < 300:
            return Settled(RowOutcome.DELIVERED, record_id=_id_of(parsed(answer)))
        if (blamed := self._blamed_parents(task, known, answer)) is not None:
            return blamed
        if answer.status in (400, 409, 422) and known.refused is None:
            # A create of an existing record may be answered so (vitally 5.5, unresolved): ask the record itself.
            exists = False if self._match == "email" else None
            return Learned(known.but(exists=exists, refused=answer), "refused; the record may exist already")
        return Settled(RowOutcome.REJECTED, rejected(answer))

    def _judge_write(self, task: Task, known: Known, request: Request, answer: Response) -> Verdict:
        if answer.status < 300:
            return Settled(RowOutcome.DELIVERED, record_id=_id_of(parsed(answer)) or known.record_id)
        if answer.status == 404:
            if known.refused is not None:
                return Settled(RowOutcome.REJECTED, rejected(known.refused))
            if self._match != "externalId" and task.operation.kind == "upsert":
                # The record that the look-up found is gone: look again, once.
                return Learned(known.but(exists=False, record_id=None), "the record is gone")
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
        return self._read(f"{resource(kind)}/{quote(external_id, safe='')}")

    def read_look_up(self, request: Request, answer: Response | NoResponse) -> str | Retry | Stop | RowFault | None:
        if (verdict := common_verdict(request, answer)) is not None:
            return verdict
        assert isinstance(answer, Response)
        if answer.status == 404:
            return None
        record_id = _id_of(parsed(answer)) if answer.status < 300 else None
        return record_id or rejected(answer)

    def list_page(self, kind: str, cursor: str | None) -> Request:
        # vitally 4.1: sorted by creation, pages do not shift while records change; 5.2: churned accounts hide.
        query = f"?limit={PAGE_SIZE}&sortBy=createdAt"
        query += "&status=activeOrChurned" if kind == "account" else ""
        query += f"&from={quote(cursor, safe='')}" if cursor else ""
        return Request("GET", self._base_url + resource(kind) + query, "rest", "list", headers=_READ)

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

    # The connection -----------------------------------------------------------------------------------------------

    def limits(self, api: str) -> Limits:
        return self._connection.limits(api)

    def authorize(self, api: str) -> Mapping[str, str]:
        return self._connection.authorize(api)

    def probes(self) -> Sequence[Probe]:
        return probes(self._connection)

    def read_probe(self, probe: Probe, answer: Response | NoResponse) -> tuple[str, str]:
        return read_probe(self._connection, probe, answer)


def _record_of(task: Task) -> Record:
    if task.record is None:
        raise Bug("a write without a record reached the destination", key=task.key)
    return task.record


def _id_of(document: Mapping[str, Any]) -> str | None:
    found = document.get("id")
    return found if isinstance(found, str) and found else None


def _linked(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Ids of the parents a user has: `accountIds`, or the embedded `accounts` (vitally 5.3: either may come)."""
    ids = document.get(name)
    if isinstance(ids, list):
        return tuple(str(one) for one in ids)
    embedded = document.get({"accountIds": "accounts", "organizationIds": "organizations"}[name])
    return tuple(str(one["id"]) for one in embedded if isinstance(one, dict)) if isinstance(embedded, list) else ()

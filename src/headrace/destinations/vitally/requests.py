"""How requests for REST objects look: paths, queries, bodies (vitally 4 to 6).

In: a record and what is known of it. Out: a request, a plain value without the credential. Which one comes next is
decided in `rest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from headrace.destinations import Known
from headrace.destinations.vitally.connection import JSON_HEADERS
from headrace.destinations.vitally.resources import RESOURCES, Address
from headrace.domain.mapping import Record, Reference
from headrace.domain.request import Request
from headrace.domain.spec import FieldType, Mode, ObjectSpec

_READ = {"Accept": "application/json"}
PAGE_SIZE = 100  # vitally 4.1: the most a list gives


class Choices(NamedTuple):
    """What the sync chose: the object, the field a record is found by, parents to add or to set, its settings."""

    target: ObjectSpec
    match: str
    adds_parents: bool
    settings: Mapping[str, str]


class Requests:
    """Requests for one sync's kind of record, and look-ups and lists of every kind."""

    def __init__(self, base_url: str, choices: Choices) -> None:
        self._base_url = base_url
        self._choices = choices
        self._resource = RESOURCES[choices.target.name]
        self._path = self._path_of(choices.target.name)
        # Asked for every row, so made once.
        fields = choices.target.fields
        self._only_new = frozenset(one.name for one in fields if one.create_only)
        self._always = frozenset(one.name for one in fields if one.refers_to and Mode.UPDATE in one.required_for)
        self.many = tuple(one.name for one in fields if one.type is FieldType.REFERENCES)
        self.is_searched = choices.match in self._resource.searched_by
        self.post_updates = self._resource.post_updates
        self._source = choices.settings.get("source", "").strip()

    def _path_of(self, kind: str) -> str:
        settings = {name: quote(value.strip(), safe="") for name, value in self._choices.settings.items()}
        return RESOURCES[kind].path.format_map(settings)

    # What names the record ----------------------------------------------------------------------------------------

    def can_name(self, known: Known) -> bool:
        """Whether a path can name the record that the row is matched to."""
        by_external_id = self._resource.address is Address.EITHER or bool(self._source)
        return known.record_id is not None or self._choices.match == "id" or by_external_id

    def can_delete(self, known: Known) -> bool:
        """The same for its deletion (vitally 6.1: never by external id, not even with its source)."""
        needs_own = self._resource.address is not Address.EITHER and self._choices.match != "id"
        return known.record_id is not None or not needs_own

    @property
    def needs_source(self) -> bool:
        """Whether its external id names a record only together with where it comes from."""
        return self._resource.address is Address.WITH_SOURCE and self._choices.match == "externalId"

    def _address(self, match: str, known: Known) -> str:
        # vitally 4: the path takes Vitally's id or the external id, never an email.
        takes_own = self.is_searched or self._resource.address is not Address.EITHER
        if known.record_id and takes_own:
            return f"{self._path}/{quote(known.record_id, safe='')}"
        source = f"?source={quote(self._source, safe='')}" if self.needs_source and self._source else ""
        return f"{self._path}/{quote(match, safe='')}{source}"

    # Requests -----------------------------------------------------------------------------------------------------

    def read(self, match: str, known: Known) -> Request:
        return self._read(self._address(match, known))

    def read_external(self, external_id: str) -> Request:
        """Whether somebody has the external id, however the row is matched."""
        return self._read(f"{self._path}/{quote(external_id, safe='')}")

    def search(self, match: str) -> Request:
        # vitally 5.3, 6.6: exactly one criterion; `+` must be encoded.
        field = self._choices.match
        wanted = match.strip() if field == "email" else match
        return self._read(f"{self._path}/search?{field}={quote(wanted, safe='')}")

    def create(self, record: Record, known: Known) -> Request:
        body = {self._choices.match: record.match, **self._body(record, known, parents=True, create=True)}
        return self._write("POST", self._path, body)

    def update(self, match: str, record: Record, known: Known, *, parents: bool) -> Request:
        body = self._body(record, known, parents=parents, create=False)
        if known.taken:
            body = {self._choices.match: record.match, **body}
        return self._write("PUT", self._address(match, known), body)

    def clear(self, match: str, record: Record, known: Known) -> Request:
        return self._write("PUT", self._address(match, known), self._cleared(record))

    def delete(self, match: str, known: Known) -> Request:
        return Request("DELETE", self._base_url + self._address(match, known), "rest", headers=_READ)

    def look_up(self, kind: str, external_id: str) -> Request:
        return self._read(f"{self._path_of(kind)}/{quote(external_id, safe='')}")

    def list_page(self, kind: str, cursor: str | None) -> Request:
        # vitally 4.1: sorted by creation, pages do not shift while records change.
        query = f"?limit={PAGE_SIZE}&sortBy=createdAt{RESOURCES[kind].list_query}"
        query += f"&from={quote(cursor, safe='')}" if cursor else ""
        return Request("GET", self._base_url + self._path_of(kind) + query, "rest", "list", headers=_READ)

    def _read(self, path: str) -> Request:
        return Request("GET", self._base_url + path, "rest", "look_up", headers=_READ)

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Request:
        return Request(method, self._base_url + path, "rest", body=orjson.dumps(body), headers=JSON_HEADERS)

    # Bodies -------------------------------------------------------------------------------------------------------

    def sent_references(self, record: Record, *, parents: bool) -> dict[str, Reference]:
        """Those that are sent: all of them, or where the parents did not change, those that every update needs."""
        if parents or not record.references:
            return record.references
        return {name: one for name, one in record.references.items() if name in self._always}

    def _body(self, record: Record, known: Known, *, parents: bool, create: bool) -> dict[str, Any]:
        body = record.values
        if not create and not self._only_new.isdisjoint(body):
            body = {name: value for name, value in body.items() if name not in self._only_new}
        if not (references := self.sent_references(record, parents=parents)):
            return body
        body = dict(body)
        for name, reference in references.items():
            known_ids = [
                parent if reference.by == "vitally_id" else known.parents[(reference.kind, parent)]
                for parent in reference.ids
            ]
            if reference.many:
                linked = (known.linked or {}).get(name, ()) if self._choices.adds_parents else ()
                body[name] = list(dict.fromkeys([*linked, *known_ids]))
            else:
                body[name] = known_ids[0]
        return body

    def _cleared(self, record: Record) -> dict[str, Any]:
        """Every clearable field that the record was sent with, as null; traits key by key, lists emptied."""
        body: dict[str, Any] = {}
        for spec in self._choices.target.fields:
            if not spec.clearable or spec.inside:
                continue
            if spec.type is FieldType.OBJECT:
                if traits := record.values.get(spec.name):
                    body[spec.name] = dict.fromkeys(traits)
            elif spec.name in record.references or spec.name in record.values:
                body[spec.name] = [] if spec.type is FieldType.TEXTS else None
        return body

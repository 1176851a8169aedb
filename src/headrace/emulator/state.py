"""Everything the pretended Vitally holds, shared by its two APIs: an Analytics accountId is an account's externalId.

Changes come in already checked. State keeps records, who belongs to whom, and events; it knows no HTTP.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from headrace.emulator.clock import Clock, vitally_time
from headrace.emulator.kinds import KINDS, Kind
from headrace.emulator.settings import EmulatorSettings
from headrace.emulator.shelf import Record, Shelf
from headrace.emulator.values import VALUE_TYPES, parse_instant


class State:
    """The records of a workspace. `settings` is replaced by its owner when a switch is turned."""

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.shelves = {name: Shelf("customObjectId" if name == "instances" else None) for name in KINDS}
        self.events: list[Record] = []
        self.user_deletions: dict[str, str] = {}
        self._stamps: dict[str, str] = {}
        self._children: dict[tuple[str, str], dict[str, None]] = {}

    def now(self) -> str:
        return vitally_time(self.clock.now())

    def records(self, kind: str) -> list[Record]:
        """The records as answered, oldest first. Raises KeyError for a kind that Vitally does not have."""
        return [self.render(KINDS[kind], record) for record in list(self.shelves[kind].records.values())]

    def find(self, kind: str, key: str) -> Record | None:
        """The record, as answered, whose id or externalId is `key`."""
        record = self.shelves[kind].find(key)
        return None if record is None else self.render(KINDS[kind], record)

    def by_external_id(self, kind: str) -> dict[str, Record]:
        """The records, as answered, by externalId; those without one are left out."""
        return {record["externalId"]: record for record in self.records(kind) if record.get("externalId") is not None}

    def counts(self) -> dict[str, int]:
        """How many of each kind, and of events."""
        return {name: len(shelf) for name, shelf in self.shelves.items()} | {"events": len(self.events)}

    def children(self, parent_id: str, kind: str) -> Iterable[Record]:
        """The stored records of `kind` that belong to the parent."""
        shelf = self.shelves[kind].records
        return [shelf[child_id] for child_id in self._children.get((parent_id, kind), ())]

    def create(self, kind: Kind, changes: Record, **fixed: Any) -> Record:
        """A new record; `fixed` sets fields that no client may (an id, a source)."""
        record = kind.blank()
        record["id"] = fixed.pop("id", None) or str(uuid.uuid4())
        record["createdAt"] = record["updatedAt"] = self.now()
        record.update(fixed)
        if "externalId" in changes:
            record["externalId"] = changes["externalId"]
        self.shelves[kind.name].add(record)
        for name in kind.belongs_to:
            self._join(kind, record["id"], self._ids(record[name]))
        self.change(kind, record, changes)
        return record

    def change(self, kind: Kind, record: Record, changes: Record) -> None:
        """Lay the changes over the record: traits merge (null deletes), everything else is replaced.  vitally.md 4.2"""
        for name, value in changes.items():
            if name == "traits":
                self._merge_traits(kind, record, value)
            elif name in kind.belongs_to:
                self._leave(kind, record["id"], self._ids(record[name]))
                record[name] = value
                self._join(kind, record["id"], self._ids(value))
            elif name == "externalId":
                if record["externalId"] != value:
                    self.shelves[kind.name].rename(record, value)
            else:
                record[name] = value
        self.touch(kind, record)

    def touch(self, kind: Kind, record: Record) -> None:
        """Only bump updatedAt."""
        record["updatedAt"] = self.now()
        self.shelves[kind.name].touch()

    def stamp(self, record: Record, time: str) -> None:
        """Remember the timestamp of the latest Analytics message about the record."""
        self._stamps[record["id"]] = max(time, self._stamps.get(record["id"], ""))

    def is_stale(self, record: Record, time: str) -> bool:
        """Whether a message of that time is late, and late ones have no effect (unknown).  vitally.md 11.7"""
        return self.settings.stale_timestamps == "ignore" and time < self._stamps.get(record["id"], "")

    def remove(self, kind: Kind, record: Record) -> None:
        """Delete for good, with every record whose last tie this was.  vitally.md 5.2, DOC"""
        record_id = record["id"]
        self.shelves[kind.name].remove(record)
        self.user_deletions.pop(record_id, None)
        for name in kind.belongs_to:
            self._leave(kind, record_id, self._ids(record[name]))
        for child_kind in KINDS.values():
            for child in self.children(record_id, child_kind.name):
                self._orphan(child_kind, child, record_id)
            self._children.pop((record_id, child_kind.name), None)

    def render(self, kind: Kind, record: Record, *, is_embedded: bool = False) -> Record:
        """The record as answered: with counts and, unless it is itself embedded, with what it embeds."""
        if not kind.computed:
            return record
        answer = record.copy()
        for field in kind.computed:
            if field.counts:
                answer[field.name] = len(self._children.get((record["id"], field.counts), ()))
            elif is_embedded:
                del answer[field.name]
            else:
                reference = kind.fields[str(field.embeds)]
                embedded = self._embed(str(reference.refers_to), self._ids(record[reference.name]))
                answer[field.name] = embedded if field.type is VALUE_TYPES["array"] else next(iter(embedded), None)
        return answer

    def _embed(self, kind: str, ids: list[str]) -> list[Record]:
        shelf = self.shelves[kind].records
        return [self.render(KINDS[kind], shelf[each], is_embedded=True) for each in ids if each in shelf]

    def _merge_traits(self, kind: Kind, record: Record, traits: Record) -> None:
        held = record["traits"] = dict(record["traits"])
        top_level = self.settings.trait_field_map if kind.name in ("organizations", "accounts") else {}
        for key, value in traits.items():
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
            if key in top_level and top_level[key] in kind.fields:
                record[top_level[key]] = _fitting(kind, top_level[key], value)

    def _orphan(self, kind: Kind, child: Record, parent_id: str) -> None:
        for name in kind.belongs_to:
            ids = self._ids(child[name])
            if parent_id in ids:
                kept = [each for each in ids if each != parent_id]
                child[name] = kept if kind.fields[name].is_many else None
        self._leave(kind, child["id"], [parent_id])
        if not any(self._ids(child[name]) for name in kind.belongs_to):
            self.remove(kind, child)

    def _join(self, kind: Kind, child_id: str, parent_ids: list[str]) -> None:
        for parent_id in parent_ids:
            self._children.setdefault((parent_id, kind.name), {})[child_id] = None

    def _leave(self, kind: Kind, child_id: str, parent_ids: list[str]) -> None:
        for parent_id in parent_ids:
            self._children.get((parent_id, kind.name), {}).pop(child_id, None)

    @staticmethod
    def _ids(reference: Any) -> list[str]:
        if isinstance(reference, list):
            return reference
        return [] if reference is None else [reference]


def _fitting(kind: Kind, name: str, value: Any) -> Any:
    """The trait's value if the top-level field can hold it, else null: a mismatch is no API error.  vitally.md 4.2"""
    field_type = kind.fields[name].type
    if value is None or not field_type.accepts(value):
        return None
    instant = parse_instant(value) if field_type is VALUE_TYPES["datetime"] else None
    return value if instant is None else vitally_time(instant)

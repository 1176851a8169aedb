"""All records of one kind, found by id or externalId, and read in the order of a list.

A record is the plain dict that Vitally would answer, without its computed fields.
"""

from typing import Any

Record = dict[str, Any]
SortedIds = list[tuple[str, str]]


class Shelf:
    """Records by id. An externalId is unique on the shelf; for instances, within their custom object."""

    def __init__(self, scope_field: str | None = None) -> None:
        self.records: dict[str, Record] = {}
        self._ids: dict[Any, str] = {}
        self._scope_field = scope_field
        self._orders: dict[str, SortedIds] = {}

    def __len__(self) -> int:
        return len(self.records)

    def add(self, record: Record) -> None:
        self.records[record["id"]] = record
        self._name(record)
        self.touch()

    def remove(self, record: Record) -> None:
        del self.records[record["id"]]
        self._unname(record)
        self.touch()

    def rename(self, record: Record, external_id: str | None) -> None:
        """Give the record another externalId."""
        self._unname(record)
        record["externalId"] = external_id
        self._name(record)

    def touch(self) -> None:
        """Forget the sorted orders: a record changed."""
        if self._orders:
            self._orders = {}

    def by_external_id(self, external_id: str, scope: str | None = None) -> Record | None:
        found = self._ids.get((scope, external_id) if self._scope_field else external_id)
        return None if found is None else self.records[found]

    def find(self, key: str) -> Record | None:
        """By Vitally id, else by externalId."""
        return self.records.get(key) or self.by_external_id(key)

    def in_order(self, sort_by: str) -> SortedIds:
        """(value of `sort_by`, id) of every record, ascending; kept until a record changes."""
        order = self._orders.get(sort_by)
        if order is None:
            order = self._orders[sort_by] = sorted_ids(self.records.values(), sort_by)
        return order

    def _key(self, record: Record) -> Any:
        external_id = record["externalId"]
        return (record[self._scope_field], external_id) if self._scope_field else external_id

    def _name(self, record: Record) -> None:
        if record.get("externalId") is not None:
            self._ids[self._key(record)] = record["id"]

    def _unname(self, record: Record) -> None:
        if record.get("externalId") is not None and self._ids.get(self._key(record)) == record["id"]:
            del self._ids[self._key(record)]


def sorted_ids(records: Any, sort_by: str) -> SortedIds:
    """(value of `sort_by`, id) of the records, ascending."""
    return sorted((record[sort_by], record["id"]) for record in records)

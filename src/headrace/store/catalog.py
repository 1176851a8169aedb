"""The objects of the configuration as documents, of whatever kind, and settings. What they mean is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, assert_never

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.exc import IntegrityError

from headrace.domain.errors import NotFound, UserError
from headrace.store.changes import note
from headrace.store.database import Database
from headrace.store.tables import objects, settings

Kind = Literal["source", "model", "destination", "sync", "sequence", "channel"]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of the catalog. `document` is its configuration as plain JSON values."""

    kind: str
    name: str
    document: dict[str, Any]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Put:
    """Create the object, or replace its document."""

    kind: Kind
    name: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    """Give the object another name; references to it in other documents are the caller's to put."""

    kind: Kind
    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class SetSetting:
    """`value` is any JSON value; None takes the setting away."""

    key: str
    value: Any


Edit = Put | Delete | Rename | SetSetting


class Catalog:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def list(self, kind: Kind) -> list[StoredObject]:
        """All objects of a kind, by name."""
        query = select(objects).where(objects.c.kind == kind).order_by(objects.c.name)
        with self._database.read() as connection:
            return [_object(row) for row in connection.execute(query)]

    def get(self, kind: Kind, name: str) -> StoredObject:
        """Raises NotFound, which names what there is."""
        with self._database.read() as connection:
            row = connection.execute(select(objects).where(*_is(kind, name))).one_or_none()
            if row is None:
                raise _not_found(connection, kind, name)
            return _object(row)

    def put(self, kind: Kind, name: str, document: dict[str, Any]) -> StoredObject:
        """Creates the object or replaces its document, and answers what is stored."""
        self.apply([Put(kind, name, document)])
        return self.get(kind, name)

    def delete(self, kind: Kind, name: str) -> None:
        """Raises NotFound."""
        self.apply([Delete(kind, name)])

    def rename(self, kind: Kind, name: str, new_name: str) -> StoredObject:
        """Raises NotFound, and UserError `name_taken` where another object has the new name."""
        self.apply([Rename(kind, name, new_name)])
        return self.get(kind, new_name)

    def apply(self, edits: Iterable[Edit]) -> None:
        """All edits in their order and in one transaction: the first that fails undoes the rest."""
        with self._database.write() as connection:
            for edit in edits:
                self._apply_one(connection, edit)

    def setting(self, key: str, default: Any = None) -> Any:
        with self._database.read() as connection:
            value = connection.scalar(select(settings.c.value).where(settings.c.key == key))
            return default if value is None else value

    def settings(self) -> dict[str, Any]:
        with self._database.read() as connection:
            return {row.key: row.value for row in connection.execute(select(settings).order_by(settings.c.key))}

    def set_setting(self, key: str, value: Any) -> None:
        """`value` is any JSON value; None takes the setting away."""
        self.apply([SetSetting(key, value)])

    def _apply_one(self, connection: Connection, edit: Edit) -> None:
        match edit:
            case Put(kind, name, document):
                note(f"{kind} {name}", _document(connection, kind, name), document)
                row = {"kind": kind, "name": name, "document": document, "updated_at": self._now()}
                connection.execute(self._database.upsert(objects, ["kind", "name"]), row)
            case Delete(kind, name):
                note(f"{kind} {name}", _document(connection, kind, name))
                if not connection.execute(delete(objects).where(*_is(kind, name))).rowcount:
                    raise _not_found(connection, kind, name)
            case Rename():
                self._rename(connection, edit)
            case SetSetting(key, None):
                connection.execute(delete(settings).where(settings.c.key == key))
            case SetSetting(key, value):
                connection.execute(self._database.upsert(settings, ["key"]), {"key": key, "value": value})
            case _:
                assert_never(edit)

    def _rename(self, connection: Connection, edit: Rename) -> None:
        note(f"{edit.kind} {edit.name}", {"name": edit.name}, {"name": edit.new_name})
        statement = update(objects).where(*_is(edit.kind, edit.name))
        try:
            renamed = connection.execute(statement, {"name": edit.new_name, "updated_at": self._now()}).rowcount
        except IntegrityError as error:
            raise UserError(
                f'The {edit.kind} "{edit.name}" cannot be called "{edit.new_name}": another {edit.kind} has that name. '
                "Choose another, or delete that one first.",
                code="name_taken",
            ) from error
        if not renamed:
            raise _not_found(connection, edit.kind, edit.name)


def _document(connection: Connection, kind: str, name: str) -> Any:
    return connection.scalar(select(objects.c.document).where(*_is(kind, name)))


def _is(kind: str, name: str) -> tuple[Any, Any]:
    return objects.c.kind == kind, objects.c.name == name


def _object(row: Row[Any]) -> StoredObject:
    return StoredObject(row.kind, row.name, row.document, row.updated_at)


def _not_found(connection: Connection, kind: str, name: str) -> NotFound:
    known = connection.scalars(select(objects.c.name).where(objects.c.kind == kind).order_by(objects.c.name))
    return NotFound(kind, name, known.all())

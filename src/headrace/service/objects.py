"""Single objects of the configuration, for who edits one at a time: read with its tag, put where the tag still fits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from headrace.domain.access import Scope
from headrace.domain.config import is_name
from headrace.domain.errors import ConfigurationError, Finding, UserError
from headrace.service.catalog import CatalogService, Checked, Edit
from headrace.service.documents import SECTION
from headrace.service.verbs import verb
from headrace.store.catalog import Catalog, Kind, Put, Rename

NEW = "*new*"
"""The tag of what must not be there yet."""
_USERS: dict[Kind, tuple[tuple[Kind, str], ...]] = {
    "source": (("model", "source"),),
    "model": (("sync", "model"),),
    "destination": (("sync", "destination"),),
}


@dataclass(frozen=True, slots=True)
class Described:
    """One object. `tag` changes whenever the document does."""

    kind: Kind
    name: str
    document: dict[str, Any]
    tag: str
    updated_at: str


class ObjectService:
    """The objects of one workspace, one at a time."""

    def __init__(self, catalog: CatalogService, stored: Catalog) -> None:
        self._catalog = catalog
        self._stored = stored

    @verb(Scope.READ)
    def list(self, kind: Kind) -> list[Described]:
        """All of that kind, by name."""
        return [_described(kind, one) for one in self._stored.list(kind)]

    @verb(Scope.READ)
    def get(self, kind: Kind, name: str) -> Described:
        """Raises NotFound."""
        return _described(kind, self._stored.get(kind, name))

    @verb(Scope.CONFIGURE)
    def check(self, kind: Kind, name: str, document: dict[str, Any], *, offline: bool = False) -> Checked:
        """Every finding of the object as it would be, and what putting it would change. Saves nothing."""
        return self._catalog.check_documents({(kind, name): document}, offline=offline)

    @verb(Scope.CONFIGURE, changes=lambda kind, name, **_: f"{kind} {name}")
    def put(
        self,
        kind: Kind,
        name: str,
        document: dict[str, Any],
        *,
        expected: str | None = None,
        offline: bool = False,
    ) -> Described:
        """Creates or replaces the object. `expected` is the tag it must have now, or NEW.

        Raises ConfigurationError with every finding, and UserError `changed_meanwhile` where the tag is another.
        """
        present = next((one for one in self.list(kind) if one.name == name), None)
        if expected is not None and expected != (present.tag if present else NEW):
            message = (
                f'The {kind} "{name}" is there already.' if expected == NEW else f'The {kind} "{name}" was changed'
            )
            message += (
                "" if expected == NEW else " by somebody else, or is gone. Load it again and make your change anew."
            )
            raise UserError(message, code="changed_meanwhile")
        checked = self.check(kind, name, document, offline=offline)
        if checked.faults:
            raise ConfigurationError(checked.faults)
        self._stored.apply([Put(kind, name, checked.documents[(kind, name)])])
        return self.get(kind, name)

    @verb(Scope.CONFIGURE, changes=lambda kind, name, new_name: f"{kind} {name}")
    def rename(self, kind: Kind, name: str, new_name: str) -> Described:
        """Gives it another name, also where others refer to it. A sync keeps its id, and so its memory.

        Raises NotFound, UserError `name_taken`, ConfigurationError for what is no name.
        """
        if not is_name(new_name):
            message = "A name has letters, digits, dots, dashes and underscores, and a letter or digit first."
            raise ConfigurationError([Finding("unknown_value", message, f"{SECTION[kind]}.{new_name}")])
        document = self.get(kind, name).document
        edits: list[Any] = [Rename(kind, name, new_name)]
        if kind == "sync" and "id" not in document:
            edits.append(Put(kind, new_name, document | {"id": name}))
        for user, key in _USERS.get(kind, ()):
            for one in self.list(user):
                if one.document.get(key) == name:
                    edits.append(Put(user, one.name, one.document | {key: new_name}))
        self._stored.apply(edits)
        return self.get(kind, new_name)


def edits_of(checked: Checked) -> list[Edit]:
    """What would change, without what stays as it is."""
    return [one for one in checked.edits if one.action != "unchanged"]


def _described(kind: Kind, one: Any) -> Described:
    body = orjson.dumps([kind, one.name, one.document], option=orjson.OPT_SORT_KEYS)
    tag = hashlib.sha256(body).hexdigest()[:24]
    return Described(kind, one.name, one.document, tag, one.updated_at.isoformat())

"""One object of the catalog at a time, as pages and API edit it: read with its tag, checked, put, renamed.

A tag names exactly what was read. Whoever saves may say what they had loaded, and is refused where it is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from headrace.destinations import DESTINATION_KINDS, destination_kind
from headrace.domain.access import Scope
from headrace.domain.config import is_name
from headrace.domain.errors import ConfigurationError, Finding, UserError
from headrace.service.catalog import Action, CatalogService, Checked
from headrace.service.documents import tag_of
from headrace.service.files import Declaration, Declared, read_configuration
from headrace.service.reach import Reach
from headrace.service.verbs import current_actor, note, verb
from headrace.store.catalog import Catalog, Expect, Kind, Put, Rename, StoredObject, changed_meanwhile

ABSENT = "-"
"""What is expected where there must be no such object yet."""
_USED_BY: dict[Kind, Kind] = {"source": "model", "model": "sync", "destination": "sync"}


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object and the tag of exactly this document."""

    kind: str
    name: str
    document: dict[str, Any]
    tag: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What saving would do: `action`, the keys that differ, every finding, what a person should know first."""

    action: Action
    fields: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    document: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved, and what `check` said of it: warnings only."""

    tagged: Tagged
    verdict: Verdict


class ObjectService:
    """Single objects of one workspace, within the reach of who comes over the network."""

    def __init__(
        self, catalog: CatalogService, store: Catalog, reach: Reach, kept_secrets: Callable[[], Collection[str]]
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._reach = reach
        self._kept_secrets = kept_secrets

    @verb(Scope.READ)
    def all(self, kind: Kind) -> list[Tagged]:
        """By name."""
        return [_tagged(one) for one in self._store.list(kind)]

    @verb(Scope.READ)
    def get(self, kind: Kind, name: str) -> Tagged:
        """Raises NotFound."""
        return _tagged(self._store.get(kind, name))

    @verb(Scope.CONFIGURE)
    def check(self, kind: Kind, name: str, document: Mapping[str, Any], *, offline: bool = False) -> Verdict:
        """Every finding on the object, and how it differs from what is saved. Saves nothing."""
        present = self._present(kind, name) is not None
        return _verdict(kind, name, self._checked(kind, name, document, offline=offline), present=present)

    @verb(Scope.CONFIGURE, changes=lambda kind, name, **_: f"{kind} {name}")
    def put(
        self,
        kind: Kind,
        name: str,
        document: Mapping[str, Any],
        *,
        expected: str | None = None,
        offline: bool = False,
    ) -> Saved:
        """Creates the object or replaces it. `expected` is the tag it must still have, or ABSENT.

        Raises ConfigurationError with every finding, and UserError `changed_meanwhile`.
        """
        before = self._present(kind, name)
        self._demand(kind, name, before, expected)
        checked = self._checked(kind, name, document, offline=offline)
        if checked.faults:
            raise ConfigurationError(checked.findings)
        after = checked.documents[(kind, name)]
        still = Expect(kind, name, before.document if before else None)
        self._store.apply([*([still] if expected else []), Put(kind, name, after)])
        note(f"{kind} {name}", before.document if before else None, after)
        return Saved(self.get(kind, name), _verdict(kind, name, checked, present=before is not None))

    @verb(Scope.CONFIGURE, changes=lambda kind, name, **_: f"{kind} {name}")
    def rename(self, kind: Kind, name: str, new_name: str, *, expected: str | None = None) -> Tagged:
        """Gives the object another name, in what refers to it too. A sync keeps its memory.

        Raises NotFound, UserError `name_invalid`, `name_taken`, `changed_meanwhile`.
        """
        if not is_name(new_name):
            message = f'"{new_name[:100]}" is no name: use letters, digits, dots, dashes and underscores, at most 100, '
            raise UserError(message + "a letter or digit first.", code="name_invalid")
        stored = self._store.get(kind, name)
        self._demand(kind, name, stored, expected)
        if new_name == name:
            return _tagged(stored)
        edits: list[Any] = [Expect(kind, name, stored.document), Rename(kind, name, new_name)]
        kept = self._keeping_memory(kind, name, stored.document)
        if kept != stored.document:
            edits.append(Put(kind, new_name, kept))
        note(f"{kind} {name}", {"name": name}, {"name": new_name})
        if (user := _USED_BY.get(kind)) is not None:
            for one in self._store.list(user):
                if one.document.get(kind) == name:
                    edits.append(Put(user, one.name, {**one.document, kind: new_name}))
                    note(f"{user} {one.name}", {kind: name}, {kind: new_name})
        self._store.apply(edits)
        return self.get(kind, new_name)

    # Configuration as text ------------------------------------------------------------------------------------------

    @verb(Scope.CONFIGURE)
    def check_text(self, text: str, *, offline: bool = False, prune: bool = False) -> Checked:
        """What a YAML text says, every finding with its line, and what applying it would do. Saves nothing."""
        declared = read_configuration(text, "configuration.yaml")
        within: list[Declaration] = []
        outside: list[Finding] = []
        for one in declared.declarations:
            document, findings = self.within_reach(one.kind, one.name, one.document)  # type: ignore[arg-type]
            outside += findings
            within.append(Declaration(one.kind, one.name, document, None))
        declared.declarations = within
        declared.findings += outside
        return self._catalog.check_declared(declared, offline=offline, prune=prune)

    # ----------------------------------------------------------------------------------------------------------------

    def _checked(self, kind: Kind, name: str, document: Mapping[str, Any], *, offline: bool) -> Checked:
        whole, outside = self.within_reach(kind, name, document)
        declared = Declared(declarations=[Declaration(kind, name, whole, None)], findings=outside)
        return self._catalog.check_declared(declared, offline=offline or bool(outside))

    def within_reach(self, kind: Kind, name: str, document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
        """The document with its paths made whole, and what in it is out of reach for who asks."""
        before = self._present(kind, name)
        admin = Scope.ADMIN in current_actor().scopes
        return self._reach.taken(kind, name, document, before.document if before else None, admin=admin)

    def _present(self, kind: Kind, name: str) -> StoredObject | None:
        return next((one for one in self._store.list(kind) if one.name == name), None)

    @staticmethod
    def _demand(kind: Kind, name: str, present: StoredObject | None, expected: str | None) -> None:
        """Raises UserError `changed_meanwhile` unless the object is as expected."""
        if expected is None:
            return
        if (tag_of(present.document) if present else ABSENT) != expected:
            raise changed_meanwhile(kind, name)

    def _keeping_memory(self, kind: Kind, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """The document with what went by its old name written down: a sync's id, secrets that are kept under it."""
        if kind == "sync":
            return {**document, "id": document.get("id") or name}
        if kind == "destination" and document.get("type") in DESTINATION_KINDS:
            kept = self._kept_secrets()
            secrets = [one.name for one in destination_kind(str(document["type"])).SPEC.secrets if not one.many]
            unwritten = [one for one in secrets if one not in document and f"{name}.{one}" in kept]
            return document | {one: {"secret": f"{name}.{one}"} for one in unwritten}
        return document


def _tagged(stored: StoredObject) -> Tagged:
    return Tagged(stored.kind, stored.name, stored.document, tag_of(stored.document), stored.updated_at)


def _verdict(kind: Kind, name: str, checked: Checked, *, present: bool) -> Verdict:
    edit = next((one for one in checked.edits if (one.kind, one.name) == (kind, name)), None)
    # What could not be read has no edit yet; it differs from what is saved all the same.
    action: Action = edit.action if edit else "change" if present else "create"
    document = checked.documents.get((kind, name), {})
    return Verdict(action, edit.fields if edit else (), tuple(checked.findings), tuple(checked.notes), document)


def folders_of(setting: Any) -> list[Path]:
    """The folders that `apply` read, as the workspace remembers them."""
    return [Path(one) for one in setting or []]

"""What a destination declares: its sync types, objects, modes, ways to match, fields and rules, as plain data.

Lint, coercion, the reference, the JSON Schema and the contract tests are all made from these values;
none of them knows a vendor by name.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from headrace.domain.config import SyncConfig
    from headrace.domain.errors import Finding


class Mode(StrEnum):
    UPSERT = "upsert"
    UPDATE = "update"
    INSERT = "insert"


MODE_HELP = {
    Mode.UPSERT: "Creates the record where there is none, else updates it.",
    Mode.UPDATE: "Updates existing records, never creates one; a row without a record is skipped.",
    Mode.INSERT: "Creates records, never changes an existing one; a row that has a record is skipped.",
}

RemovedRule = Literal["ignore", "clear", "delete"]
REMOVED_HELP: dict[RemovedRule, str] = {
    "ignore": "The record is left alone.",
    "clear": "The mapped fields and traits of the record are set to null.",
    "delete": "The record is deleted.",
}


class FieldType(StrEnum):
    """The kinds of value a field of a destination takes."""

    TEXT = "text"
    ID = "id"  # text; a whole number is its digits
    HTML = "html"  # text with tags
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    DATE = "date"
    OBJECT = "object"
    LIST = "list"  # a JSON array, its values as they are
    TEXTS = "texts"  # a list of texts; one text is a list of one
    REFERENCE = "reference"  # the id of one other record
    REFERENCES = "references"  # a list of ids of other records
    ANY = "any"  # inside an object: every type keeps its own


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object, declared once for lint, coercion, reference and tests."""

    name: str
    type: FieldType
    help: str
    required_for: frozenset[Mode] = frozenset()
    refers_to: str | None = None
    """For references: the kind of record that the id names."""
    clearable: bool = False
    """Whether `removed: clear` sets it to null."""
    create_only: bool = False
    """Sent when a record is created, never when one is updated."""
    inside: str | None = None
    """The object field that it is sent in: `mrr` of an account travels inside `traits`."""
    aliases: tuple[str, ...] = ()
    """What columns for it are often called elsewhere; suggestions know them."""
    section: bool = False
    """Whether the configuration writes it as a section of its own beside `fields`, under the field's name."""
    sends_null: bool = False
    """Whether a null is sent unless the rule says otherwise; else it is left out."""
    by: frozenset[str] = frozenset({"external_id", "vitally_id"})
    """For references: whose ids the destination takes."""
    between: tuple[int, int] | None = None
    """The least and the greatest value of an integer."""


@dataclass(frozen=True, slots=True)
class Matching:
    """One way to find a row's record."""

    field: str
    help: str
    modes: frozenset[Mode]
    is_field: bool = True
    """False where the value only finds the record and is not written to it."""
    folds: bool = False
    """Whether it is compared without case and surrounding blanks."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A rule over several fields: at least one of `any_of` must be mapped and not null.

    `matches` are the match fields under which it holds (none: all of them), `modes` the modes.
    """

    any_of: tuple[str, ...]
    matches: frozenset[str]
    code: str
    message: str
    modes: frozenset[Mode] = frozenset(Mode)

    def holds_for(self, match: str | None, mode: Mode | None) -> bool:
        """Under that match and mode; None where they are not chosen yet."""
        return (not self.matches or match in self.matches) and (mode is None or mode in self.modes)


@dataclass(frozen=True, slots=True)
class SettingsSpec:
    """What a person says of an object beside its fields: the section `settings` of a sync."""

    model: builtins.type[BaseModel]
    check: Callable[[Any, SyncConfig], Iterator[Finding]]
    """What the model alone can't see: these settings, checked, against the rest of the sync. Paths are within it."""
    shaping: frozenset[str]
    """Those that shape what is sent: when one of them changes, every row is sent again."""


@dataclass(frozen=True, slots=True)
class ObjectSpec:
    """One kind of record that rows can become. Without `matchings` the primary key alone tells records apart."""

    name: str
    title: str
    help: str
    fields: tuple[Field, ...]
    modes: frozenset[Mode]
    matchings: tuple[Matching, ...]
    requirements: tuple[Requirement, ...] = ()
    removed_rules: frozenset[RemovedRule] = frozenset({"ignore"})
    archives: bool = False
    """Whether `removed: delete` only hides the record."""
    listed: bool = True
    """Whether listing the records that exist can save requests."""
    named_by_own_id: bool = False
    """Whether only its own id surely names it to the destination, so that the id is kept for later runs."""
    notes: tuple[str, ...] = ()
    """What a person must know beside the tables."""
    rank: int = 0
    """Where it stands in the order parents before children."""
    once: bool = False
    """Whether each primary key is sent once for the life of the sync, whatever becomes of its row."""
    others: Field | None = None
    """What a field of any other name is; None: there are no other fields."""
    settings: SettingsSpec | None = None

    def field(self, name: str) -> Field | None:
        """The field of that name: the declared one, else what `others` makes of it."""
        declared = next((one for one in self.fields if one.name == name), None)
        if declared is None and self.others is not None:
            return replace(self.others, name=name)
        return declared

    def matching(self, name: str) -> Matching | None:
        return next((one for one in self.matchings if one.field == name), None)

    def mode(self, chosen: str | None) -> Mode:
        """The mode that was chosen; where there is one only, nobody has to. Raises ValueError for none of them."""
        if chosen is not None:
            return Mode(chosen)
        (only,) = self.modes
        return only


@dataclass(frozen=True, slots=True)
class SyncTypeSpec:
    """One way of delivering: a set of objects under one credential."""

    name: str
    title: str
    help: str
    secret: str | None
    """The secret setting that it needs; None: all that are written."""
    objects: tuple[ObjectSpec, ...]

    def object(self, name: str | None) -> ObjectSpec | None:
        """The object of that name; where there is one only, nobody has to name it."""
        if name is None and len(self.objects) == 1:
            return self.objects[0]
        return next((one for one in self.objects if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret setting: where a person finds it, in steps.

    `many`: the setting maps names of the person's own to a secret each; one of them is known as `setting.name`.
    """

    name: str
    title: str
    steps: tuple[str, ...] = field(default_factory=tuple)
    many: bool = False


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """A destination as data."""

    type: str
    title: str
    help: str
    settings: builtins.type[BaseModel]
    secrets: tuple[Secret, ...]
    sync_types: tuple[SyncTypeSpec, ...]

    def sync_type(self, name: str) -> SyncTypeSpec | None:
        return next((one for one in self.sync_types if one.name == name), None)

    def secret_references(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Name of each secret that there may be -> the reference to it as it is written, None where none is."""
        found: dict[str, Any] = {}
        for secret in self.secrets:
            written = settings.get(secret.name)
            if not secret.many:
                found[secret.name] = written
            elif isinstance(written, Mapping):
                found |= {f"{secret.name}.{name}": reference for name, reference in written.items()}
        return found

    def needed_secrets(self, settings: Mapping[str, Any], sync_type: str) -> frozenset[str]:
        """The names of the secrets that a sync of that type can't do without."""
        found = self.sync_type(sync_type)
        if found is None:
            return frozenset()
        if found.secret is not None:
            return frozenset({found.secret})
        return frozenset(name for name, written in self.secret_references(settings).items() if written is not None)

    @property
    def remembered(self) -> frozenset[str]:
        """The kinds of record whose own ids are kept: fields of others refer to them, or nothing else names them."""
        parents = (one.refers_to for target in self._objects for one in target.fields if one.refers_to)
        return frozenset(parents) | self.named_by_own_id

    @property
    def named_by_own_id(self) -> frozenset[str]:
        """The kinds of record that are surely named by their own id only."""
        return frozenset(one.name for one in self._objects if one.named_by_own_id)

    @property
    def listed(self) -> frozenset[str]:
        """The kinds of record of which a listing can save requests."""
        return frozenset(one.name for one in self._objects if one.listed)

    @property
    def _objects(self) -> list[ObjectSpec]:
        return [target for sync_type in self.sync_types for target in sync_type.objects]

"""The kinds of record the REST API knows, as tables: one line a field, as in vitally.md 5 and 6.

A line reads `name  type  rule...`. A `?` after the type: null is accepted. `->kind`: the value is an id of that kind.
Rules, after the legend of vitally.md 5:
  R required on create   C on create only   U on create and update   RR required on create and on update
  N may only be set to null   - read-only, ignored in a body
  #kind counts the children of that kind   =field embeds the record (or records) that `field` names
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from headrace.emulator.kind_tables import TABLES
from headrace.emulator.values import VALUE_TYPES, ValueType


class Address(Enum):
    """What `:id` in a path may be.  vitally.md 4"""

    ID_OR_EXTERNAL = "id or externalId"
    ID = "Vitally id only"
    ID_OR_SOURCE = "id; externalId only together with ?source="


class Deletion(Enum):
    """What DELETE does."""

    REMOVE = "gone, with all that belonged only to it"
    ARCHIVE = "archivedAt is set"
    SCHEDULE = "as the switch userDelete says"
    NEVER = "no such route"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table."""

    name: str
    type: ValueType
    is_nullable: bool
    rules: frozenset[str]
    refers_to: str | None
    counts: str | None
    embeds: str | None

    def empty(self) -> Any:
        """What the field holds while nobody has set it."""
        return None if self.is_nullable else self.type.empty()

    @property
    def is_many(self) -> bool:
        return self.type is VALUE_TYPES["ids"]


@dataclass(frozen=True)
class Kind:
    """A kind of record. `belongs_to` names the reference fields whose last target takes the record along when deleted.

    `parents` are the fields of which create needs at least one (exactly one if `has_one_parent`).
    `methods` are the documented ones: LIST (GET of the collection), POST, and GET, PUT, DELETE of one record.
    `has_declared_traits`: a key of its traits must be the path of a custom trait.
    `deletes_by_id`: DELETE takes the Vitally id only, whatever else a path takes.
    """

    name: str
    singular: str
    fields: dict[str, Field]
    address: Address
    deletion: Deletion
    parents: tuple[str, ...] = ()
    has_one_parent: bool = False
    belongs_to: tuple[str, ...] = ()
    methods: frozenset[str] = frozenset({"LIST", "POST", "GET", "PUT", "DELETE"})
    has_declared_traits: bool = False
    deletes_by_id: bool = False
    on_create: dict[str, Field] = field(init=False)
    on_update: dict[str, Field] = field(init=False)
    required_on_create: tuple[str, ...] = field(init=False)
    required_on_update: tuple[str, ...] = field(init=False)
    computed: tuple[Field, ...] = field(init=False)
    _empty: tuple[tuple[str, Callable[[], Any]], ...] = field(init=False)

    def __post_init__(self) -> None:
        fields = self.fields.values()
        settle = object.__setattr__
        settle(self, "on_create", {each.name: each for each in fields if each.rules & {"R", "C", "U", "RR"}})
        settle(self, "on_update", {each.name: each for each in fields if each.rules & {"U", "RR", "N"}})
        settle(self, "required_on_create", tuple(each.name for each in fields if each.rules & {"R", "RR"}))
        settle(self, "required_on_update", tuple(each.name for each in fields if "RR" in each.rules))
        settle(self, "computed", tuple(each for each in fields if each.counts or each.embeds))
        settle(self, "_empty", tuple((each.name, each.empty) for each in fields if "hidden" not in each.rules))

    def blank(self) -> dict[str, Any]:
        """A record with every documented field, in order, empty."""
        return {name: empty() for name, empty in self._empty}


def _read_table(table: str) -> dict[str, Field]:
    lines = ["id id -", "createdAt datetime -", "updatedAt datetime -", *table.strip().splitlines()]
    return {found.name: found for found in map(_read_line, lines)}


def _read_line(line: str) -> Field:
    name, type_name, *rules = line.split()
    refers_to = next((rule[2:] for rule in rules if rule.startswith("->")), None)
    counts = next((rule[1:] for rule in rules if rule.startswith("#")), None)
    embeds = next((rule[1:] for rule in rules if rule.startswith("=")), None)
    value_type = VALUE_TYPES[type_name.removesuffix("?")]
    return Field(name, value_type, type_name.endswith("?"), frozenset(rules), refers_to, counts, embeds)


def _kind(
    name: str, singular: str, address: Address = Address.ID, deletion: Deletion = Deletion.NEVER, **more: Any
) -> Kind:
    return Kind(name, singular, _read_table(TABLES[name]), address, deletion, **more)


_READ_ONLY = frozenset({"LIST"})
_OF_CUSTOMER = ("accountId", "organizationId")

KINDS: dict[str, Kind] = {
    each.name: each
    for each in (
        _kind("organizations", "organization", Address.ID_OR_EXTERNAL, Deletion.REMOVE),
        _kind("accounts", "account", Address.ID_OR_EXTERNAL, Deletion.REMOVE, belongs_to=("organizationId",)),
        _kind(
            "users",
            "user",
            Address.ID_OR_EXTERNAL,
            Deletion.SCHEDULE,
            parents=("accountIds", "organizationIds"),
            belongs_to=("accountIds", "organizationIds"),
        ),
        _kind(
            "notes",
            "note",
            Address.ID_OR_SOURCE,
            Deletion.ARCHIVE,
            parents=_OF_CUSTOMER,
            belongs_to=_OF_CUSTOMER,
            has_declared_traits=True,
            deletes_by_id=True,  # vitally.md 6.1
        ),
        _kind(
            "tasks",
            "task",
            Address.ID_OR_SOURCE,
            Deletion.ARCHIVE,
            parents=_OF_CUSTOMER,
            belongs_to=_OF_CUSTOMER,
            has_declared_traits=True,
        ),
        _kind(
            "projects",
            "project",
            Address.ID,
            Deletion.ARCHIVE,
            parents=_OF_CUSTOMER,
            has_one_parent=True,
            belongs_to=_OF_CUSTOMER,
            has_declared_traits=True,
        ),
        _kind("npsResponses", "NPS response", Address.ID_OR_EXTERNAL, Deletion.REMOVE, belongs_to=("userId",)),
        _kind("conversations", "conversation", Address.ID_OR_EXTERNAL, Deletion.REMOVE),
        _kind(
            "messages",
            "message",
            Address.ID_OR_EXTERNAL,
            Deletion.REMOVE,
            belongs_to=("conversationId",),
            methods=frozenset({"GET", "DELETE"}),
            deletes_by_id=True,  # vitally.md 6.4
        ),
        _kind("customObjects", "custom object", methods=frozenset({"LIST", "POST", "GET", "PUT"})),
        _kind(
            "instances",
            "instance",
            deletion=Deletion.ARCHIVE,
            parents=("customerId", "organizationId"),
            belongs_to=("customerId", "organizationId", "customObjectId"),
            methods=frozenset(),
            has_declared_traits=True,
        ),
        _kind("admins", "admin", methods=_READ_ONLY),
        _kind("noteCategories", "note category", methods=_READ_ONLY),
        _kind("taskCategories", "task category", methods=_READ_ONLY),
        _kind("projectTemplates", "project template", methods=_READ_ONLY),
        _kind("projectCategories", "project category", methods=_READ_ONLY),
        _kind("customFields", "custom field", methods=frozenset()),
    )
}

"""What stands around every page: who looks, where they are, what was just said, the page's other faces.

A page is a frozen dataclass, a `Context`, and a template that uses its fields and nothing else; a test holds the two
together. Nothing here asks the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, get_type_hints
from urllib.parse import urlencode

from headrace.domain.access import Scope

Section = Literal["destinations", "sources", "models", "syncs", "runs", "settings", ""]
Theme = Literal["system", "light", "dark"]
SHOW = "show"
"""The parameter of an address that names an open drawer."""


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the way to where I am; the last has no address."""

    title: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """The same view elsewhere: the path of the API with its query, the command, and the YAML of what is configured."""

    api: str
    cli: str
    yaml: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the last deed came to. `tone` is a colour of status."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What a request brings with it, whatever the page.

    `person` is the name of who looks, None before sign-in; `scopes` is what they may do. `path` and `query` are the
    address that was asked for.
    """

    path: str
    query: Mapping[str, str]
    now: datetime
    section: Section = ""
    theme: Theme = "system"
    person: str | None = None
    scopes: frozenset[Scope] = frozenset()
    said: Said | None = None
    workspace: str = "default"

    def may(self, scope: str) -> bool:
        """Whether who looks holds a scope: pages do not offer what would be refused."""
        return Scope(scope) in self.scopes

    @property
    def shown(self) -> str | None:
        """Which drawer is open."""
        return self.query.get(SHOW)

    def here(self, **changes: object) -> str:
        """This address with some parameters changed; None takes one away."""
        query = {**self.query, **changes}
        kept = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return f"{self.path}?{urlencode(kept)}" if kept else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a template may use. Subclasses name their template and add fields, each with a sentence."""

    template: ClassVar[str]

    frame: Annotated[Frame, "What stands around the page."]
    title: Annotated[str, "Of the page, in the window and as its heading."]
    crumbs: Annotated[tuple[Crumb, ...], "The way here, from the section down."] = ()
    faces: Annotated[Faces | None, "The same view as API, command and YAML; None where there is none."] = None


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a filter."""

    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of the filter bar: a parameter of the address, what is chosen, and what could be."""

    name: str
    label: str
    chosen: str
    options: tuple[Option, ...]

    @classmethod
    def of(cls, name: str, label: str, query: Mapping[str, str], values: Iterable[tuple[str, str]]) -> Filter:
        return cls(name, label, query.get(name, ""), tuple(Option(*one) for one in values))


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a list goes on. `shown` says how many are on this page, `noun` what they are."""

    shown: int
    noun: str
    cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: an address, and a tally where there is something to count."""

    title: str
    href: str
    current: bool = False
    tally: int | None = None
    tone: str = "grey"


def describe(page: type[Context]) -> dict[str, str]:
    """Name of each field that the page's template may use -> its sentence."""
    hints: dict[str, Any] = get_type_hints(page, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}

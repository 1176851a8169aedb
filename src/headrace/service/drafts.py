"""What is not saved yet, tried: a model being written, a connection being set up, a template being typed.

Within the reach of who comes over the network, as if it were to be saved; and nothing of it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.domain.access import Scope
from headrace.domain.config import DestinationConfig
from headrace.domain.errors import ConfigurationError, Finding, UserError
from headrace.domain.rules import VARIABLES
from headrace.domain.templates.template import Complaint, TemplateFault, read_template
from headrace.engine.ports import Clock
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.documents import parse
from headrace.service.objects import ObjectService
from headrace.service.trials import Preview, ProbeResult, preview_of, probed
from headrace.service.verbs import verb
from headrace.sources import Query, Source, Table
from headrace.store.catalog import Kind

UNNAMED = "unsaved"
MOST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template made of one row; or why it failed on it."""

    text: str | None
    fault: str | None


class DraftService:
    """Trials of what is not in the catalog, or not yet as it is there."""

    def __init__(self, objects: ObjectService, catalog: CatalogService, assembly: Assembly, clock: Clock) -> None:
        self._objects = objects
        self._catalog = catalog
        self._assembly = assembly
        self._clock = clock

    @verb(Scope.CONFIGURE)
    def preview(self, document: Mapping[str, Any], limit: int, within_s: float) -> Preview:
        """Rows of a model as it is written now; the key is proved where it names one.

        `source` is the name of a saved source. Raises ConfigurationError, NotFound, SourceError.
        """
        key = document.get("primary_key") or []
        columns = [key] if isinstance(key, str) else key
        stand_in = {**document, "primary_key": columns or ["-"]}
        model = self._object("model", UNNAMED, stand_in)
        source = self._assembly.source(model.source, within_s)
        return preview_of(source, Query(sql=model.sql, table=model.table), columns and model.primary_key, limit)

    @verb(Scope.CONFIGURE)
    def test_source(self, document: Mapping[str, Any], within_s: float, name: str = UNNAMED) -> str:
        """Connects, and says in one line what answered. `name` is the source that it is to replace, if any."""
        return self._source(document, within_s, name).check()

    @verb(Scope.CONFIGURE)
    def tables(self, document: Mapping[str, Any], within_s: float, name: str = UNNAMED) -> list[Table]:
        """What models of such a source could name."""
        return self._source(document, within_s, name).tables()

    @verb(Scope.CONFIGURE)
    def test_destination(
        self, document: Mapping[str, Any], typed: Mapping[str, str], name: str = UNNAMED
    ) -> list[ProbeResult]:
        """Each token tested, those among them that were typed and are not kept yet."""
        config: DestinationConfig = self._object("destination", name, document)
        return probed(self._assembly.unsaved_destination(name, config, typed), self._clock)

    @verb(Scope.READ)
    def render(self, template: str, rows: Sequence[Mapping[str, Any]]) -> list[Rendered]:
        """What the template makes of each row. Raises UserError `template_error` where it can't be read."""
        read = read_template(template)
        if isinstance(read, Complaint):
            raise UserError(read.message, code=read.code)
        variables = {name: f"({name})" for name in VARIABLES}
        rendered: list[Rendered] = []
        for row in rows[:MOST_SAMPLES]:
            try:
                rendered.append(Rendered(read.render(row, variables), None))
            except TemplateFault as fault:
                rendered.append(Rendered(None, str(fault)))
        return rendered

    def _source(self, document: Mapping[str, Any], within_s: float, name: str) -> Source:
        return self._assembly.unsaved_source(name, self._object("source", name, document), within_s)

    def _object(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Any:
        """The checked object. Raises ConfigurationError with all that is wrong with its shape or out of reach."""
        whole, outside = self._objects.within_reach(kind, name, document)
        found, faults = parse(kind, name, whole)
        findings: list[Finding] = [*outside, *faults]
        if findings:
            raise ConfigurationError(findings)
        return found

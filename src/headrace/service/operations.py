"""Looking after a workspace: what it keeps how long, how it is, and a copy of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from headrace.domain.access import Scope
from headrace.service.catalog import CatalogService
from headrace.service.retention import Retention
from headrace.service.verbs import note, verb
from headrace.store.retention import Swept
from headrace.store.workspace import Workspace


class OperationsService:
    """What whoever runs Headrace asks of one workspace."""

    def __init__(self, workspace: Workspace, catalog: CatalogService, environment: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._environment = environment

    def kept(self) -> Retention:
        """Raises UserError `retention_invalid` for a variable that is no number of days."""
        return Retention(self._workspace, self._environment)

    @verb(Scope.READ)
    def retention(self) -> dict[str, Any]:
        """How long calls, rows and runs are kept, and under `syncs` where one differs."""
        return self.kept().document()

    @verb(Scope.ADMIN, changes=lambda changes, sync=None: f"retention of {sync}" if sync else "retention")
    def set_retention(self, changes: Mapping[str, Any], sync: str | None = None) -> dict[str, Any]:
        """Sets days (None: for ever, "default": as before), for all syncs or for one. Returns what holds now.

        Raises NotFound, UserError `retention_invalid`.
        """
        if sync is not None:
            self._catalog.get("sync", sync)
        kept = self.kept()
        before, after = kept.change(changes, sync)
        note(f"retention of {sync}" if sync else "retention", before, after)
        return kept.document()

    @verb(Scope.ADMIN, changes=lambda: "retention")
    def sweep(self) -> Swept:
        """Throws away now what is older than it is kept. Takes ten times as long as it works, to hold up nobody."""

        def rest(seconds: float) -> bool:
            time.sleep(seconds)
            return False

        return self.kept().sweep(rest)

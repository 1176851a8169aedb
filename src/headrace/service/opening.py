"""Sources and secrets of a configuration, opened. Light to import: a run opens its source before it loads the rest.

A source that needs a process of its own gets it started then, and it starts while the modules of the engine are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from headrace.destinations import destination_kind
from headrace.domain.channels import secret_references
from headrace.domain.config import DestinationConfig, FileSource, ModelConfig, PostgresSource, SecretRef, SyncConfig
from headrace.domain.errors import HeadraceError, UserError
from headrace.service.catalog import CatalogService
from headrace.service.secrets import Secrets
from headrace.sources import Source, open_source
from headrace.sources.spares import end_early

SOURCE_SHARE = 3
"""The source's own process takes at most this part of the memory limit; the planner takes the rest."""


class Sources:
    """Opens the sources of one workspace, by name."""

    def __init__(self, catalog: CatalogService, secrets: Secrets, scratch: str, memory_limit_mb: int) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._scratch = scratch
        self._memory_limit_mb = memory_limit_mb
        self._ahead: dict[str, Source] = {}

    def open(self, name: str) -> Source:
        """Raises NotFound, and UserError `secret_missing`."""
        if (ahead := self._ahead.pop(name, None)) is not None:
            return ahead
        config = self._catalog.get("source", name)
        return opened_source(name, config, self._secrets, self._scratch, self._memory_limit_mb)

    def start_ahead(self, syncs: Sequence[str]) -> None:
        """Starts what the first of these syncs will need. Whatever is wrong with it is told when it is opened."""
        with suppress(HeadraceError):
            sync: SyncConfig = self._catalog.get("sync", next(iter(syncs), ""))
            model: ModelConfig = self._catalog.get("model", sync.model)
            source = self.open(model.source)
            source.start_ahead()
            self._ahead[model.source] = source
        end_early()


def opened_source(
    name: str, config: FileSource | PostgresSource, secrets: Secrets, scratch: str, memory_limit_mb: int
) -> Source:
    """The source of that configuration, saved or not. Raises UserError `secret_missing`."""
    settings: dict[str, Any] = config.model_dump(exclude_none=True, exclude={"url", "password", "type"})
    settings["statement_timeout"] = config.statement_timeout.total_seconds()
    if isinstance(config, FileSource):
        settings["memory_limit"] = f"{memory_limit_mb // SOURCE_SHARE}MB"
    else:
        for key in ("url", "password"):
            if (reference := getattr(config, key)) is not None:
                settings[key] = secrets.resolve(reference, f"{name}.{key}")
    return open_source(config.type, settings, scratch)


def secret_faults(config: Any, name: str, secrets: Secrets) -> dict[str, str]:
    """Secret setting -> why it can't be had, of those that the destination or channel refers to."""
    faults: dict[str, str] = {}
    if isinstance(config, DestinationConfig):
        references = destination_kind(config.type).SPEC.secret_references(config.settings)
    else:
        references = dict(secret_references(config))
    for secret, written in references.items():
        if written is None:
            continue
        try:
            secrets.resolve(secret_reference(written), f"{name}.{secret}")
        except UserError as error:
            faults[secret] = error.message
    return faults


def secret_reference(raw: Mapping[str, Any] | SecretRef | None) -> SecretRef | None:
    """A secret setting as a reference, however it is held."""
    return raw if raw is None or isinstance(raw, SecretRef) else SecretRef.model_validate(raw)

"""From names to a job: the sync's configuration, its source and destination opened, its secrets resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.destinations import Destination, Origin, destination_kind
from headrace.domain.config import (
    DestinationConfig,
    FileSource,
    ModelConfig,
    PostgresSource,
    SecretRef,
    SyncConfig,
    sync_id,
)
from headrace.domain.errors import ConfigurationError, Finding, UserError
from headrace.domain.shapes import near
from headrace.domain.spec import ObjectSpec
from headrace.engine.job import Job, Paths, RunOptions
from headrace.service.catalog import CatalogService
from headrace.service.secrets import Secrets
from headrace.sources import Source, open_source
from headrace.store.workspace import Workspace

SOURCE_SHARE = 3
"""The source's own process takes at most this part of the memory limit; the planner takes the rest."""


class Assembly:
    """Opens what a sync needs, by name."""

    def __init__(self, workspace: Workspace, catalog: CatalogService, secrets: Secrets, memory_limit_mb: int) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._secrets = secrets
        self._memory_limit_mb = memory_limit_mb

    def source(self, name: str) -> Source:
        return opened_source(
            name,
            self._catalog.get("source", name),
            self._secrets,
            str(self._workspace.tmp_path),
            self._memory_limit_mb // SOURCE_SHARE,
        )

    def destination(self, name: str, sync_name: str = "", sync: SyncConfig | None = None) -> Destination:
        """The destination, with the tokens that are set; with a sync, the one it needs must be."""
        config: DestinationConfig = self._catalog.get("destination", name)
        kind = destination_kind(config.type)
        needed = kind.SPEC.needed_secrets(config.settings, sync.type) if sync is not None else frozenset()
        secrets: dict[str, str] = {}
        for secret, written in kind.SPEC.secret_references(config.settings).items():
            try:
                secrets[secret] = self._secrets.resolve(_reference(written), f"{name}.{secret}")
            except UserError:
                if secret in needed:
                    raise
        origin = Origin(self._catalog.workspace_name(), sync_id(sync_name, sync) if sync else "")
        return kind.open_destination(config.settings, secrets, sync, origin)

    def job(self, name: str, options: RunOptions) -> Job:
        """Everything for a run of that sync. Raises NotFound, ConfigurationError, UserError `secret_missing`."""
        sync: SyncConfig = self._catalog.get("sync", name)
        model: ModelConfig = self._catalog.get("model", sync.model)
        return Job(
            sync_name=name,
            sync=sync,
            model_name=sync.model,
            model=model,
            source=self.source(model.source),
            destination=self.destination(sync.destination, name, sync),
            target=self.target(name),
            paths=self.paths(sync_id(name, sync)),
            workspace_name=self._catalog.workspace_name(),
            memory_limit_mb=self._memory_limit_mb - self._memory_limit_mb // SOURCE_SHARE,
            options=options,
        )

    def target(self, name: str) -> ObjectSpec:
        """What the rows of that sync become. Raises ConfigurationError where its destination has no such thing."""
        return self.target_of(name, self._catalog.get("sync", name))

    def target_of(self, name: str, sync: SyncConfig) -> ObjectSpec:
        """The same for a sync that need not be in the catalog."""
        config: DestinationConfig = self._catalog.get("destination", sync.destination)
        spec = destination_kind(config.type).SPEC
        sync_type = spec.sync_type(sync.type)
        target = sync_type.object(sync.object) if sync_type else None
        if target is None:
            message = (
                f'Sync "{name}" is of type {sync.type} with object {sync.object}, which {config.type} does not have.'
            )
            if sync_type is None:
                message += near(sync.type, [one.name for one in spec.sync_types])
            else:
                message += near(sync.object or "", [one.name for one in sync_type.objects])
            raise ConfigurationError([Finding("unknown_value", message, f"syncs.{name}.type")])
        return target

    def paths(self, identity: str) -> Paths:
        planned = str(self._workspace.planned_path(identity))
        return Paths(
            ledger=str(self._workspace.ledger_path(identity)),
            planned=planned,
            held=planned.removesuffix(".duckdb") + ".held.parquet",
            limits=str(self._workspace.limits_path),
            temporary=str(self._workspace.tmp_path),
        )

    def rank(self, name: str) -> int:
        """Where the sync stands in the order parents before children."""
        return self.target(name).rank


def opened_source(
    name: str, config: FileSource | PostgresSource, secrets: Secrets, scratch: str, memory_limit_mb: int
) -> Source:
    """The source of that configuration. Raises UserError `secret_missing`."""
    settings: dict[str, Any] = config.model_dump(exclude_none=True, exclude={"url", "password", "type"})
    settings["statement_timeout"] = config.statement_timeout.total_seconds()
    if isinstance(config, FileSource):
        settings["memory_limit"] = f"{memory_limit_mb}MB"
    else:
        for key in ("url", "password"):
            if (reference := getattr(config, key)) is not None:
                settings[key] = secrets.resolve(reference, f"{name}.{key}")
    return open_source(config.type, settings, scratch)


def secret_faults(config: DestinationConfig, name: str, secrets: Secrets) -> dict[str, str]:
    """Secret setting -> why it can't be had, of those that the destination refers to."""
    faults: dict[str, str] = {}
    for secret, written in destination_kind(config.type).SPEC.secret_references(config.settings).items():
        if written is None:
            continue
        try:
            secrets.resolve(_reference(written), f"{name}.{secret}")
        except UserError as error:
            faults[secret] = error.message
    return faults


def _reference(raw: Mapping[str, Any] | SecretRef | None) -> SecretRef | None:
    return raw if raw is None or isinstance(raw, SecretRef) else SecretRef.model_validate(raw)

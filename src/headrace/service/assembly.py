"""From names to a job: the sync's configuration, its source and destination opened, its secrets resolved."""

from __future__ import annotations

from headrace.destinations import Destination, Origin, destination_kind
from headrace.domain.config import DestinationConfig, ModelConfig, SyncConfig, sync_id
from headrace.domain.errors import ConfigurationError, Finding, UserError
from headrace.domain.shapes import near
from headrace.domain.spec import ObjectSpec
from headrace.engine.job import Job, Paths, RunOptions
from headrace.service.catalog import CatalogService
from headrace.service.opening import SOURCE_SHARE, Sources, secret_reference
from headrace.service.secrets import Secrets
from headrace.sources import Source
from headrace.store.workspace import Workspace


class Assembly:
    """Opens what a sync needs, by name."""

    def __init__(
        self,
        workspace: Workspace,
        catalog: CatalogService,
        secrets: Secrets,
        sources: Sources,
        memory_limit_mb: int,
    ) -> None:
        self._workspace = workspace
        self._sources = sources
        self._catalog = catalog
        self._secrets = secrets
        self._memory_limit_mb = memory_limit_mb

    def source(self, name: str) -> Source:
        return self._sources.open(name)

    def destination(self, name: str, sync_name: str = "", sync: SyncConfig | None = None) -> Destination:
        """The destination, with the tokens that are set; with a sync, the one it needs must be."""
        config: DestinationConfig = self._catalog.get("destination", name)
        kind = destination_kind(config.type)
        needed = kind.SPEC.needed_secrets(config.settings, sync.type) if sync is not None else frozenset()
        secrets: dict[str, str] = {}
        for secret, written in kind.SPEC.secret_references(config.settings).items():
            try:
                secrets[secret] = self._secrets.resolve(secret_reference(written), f"{name}.{secret}")
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

"""Settings from the environment, and the only place that builds real things and joins them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from headrace.domain.errors import UserError
from headrace.service.allowed import FilesAllowed
from headrace.service.catalog import FOLDERS, CatalogService
from headrace.service.opening import Sources, opened_source, secret_faults
from headrace.service.redaction import Redactor
from headrace.service.secrets import Secrets
from headrace.store.keys import GivenKeys
from headrace.store.workspace import Workspace

if TYPE_CHECKING:
    from headrace.service.access import AccessService
    from headrace.service.assembly import Assembly
    from headrace.service.audit import AuditService
    from headrace.service.history import CurlWriter, History
    from headrace.service.insights import InsightService
    from headrace.service.objects import ObjectService
    from headrace.service.operations import OperationsService
    from headrace.service.queue import Queue
    from headrace.service.running import Runner
    from headrace.service.runs import RunService
    from headrace.service.schedule import ScheduleService
    from headrace.service.sequences import SequenceService
    from headrace.service.suggestions import SuggestionService
    from headrace.service.trials import TrialService
    from headrace.service.vault import VaultService
    from headrace.service.worker import Worker
    from headrace.store.depot import SharedFiles

DEFAULT_WORKSPACE = ".headrace"
DEFAULT_MEMORY_LIMIT_MB = 1024
DEFAULT_LEASE_S = 60.0
BEATS_A_LEASE = 6
DEFAULT_WORKERS = 4


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; `domain/variables.py` tells each. `keys` are those that it gives for the secrets."""

    workspace: str | Path = field(repr=False)  # an address may hold a password
    keys: GivenKeys | None
    memory_limit_mb: int
    environment: Mapping[str, str] = field(repr=False)
    scratch: Path | None = None
    state_url: str | None = field(default=None, repr=False)  # may hold a key of the object storage
    lease_s: float = DEFAULT_LEASE_S
    workers: int = DEFAULT_WORKERS

    @classmethod
    def read(cls, environment: Mapping[str, str], workspace: str | None = None) -> Settings:
        """Raises UserError `setting_invalid`."""
        place = workspace or environment.get("HEADRACE_WORKSPACE") or DEFAULT_WORKSPACE
        scratch = environment.get("HEADRACE_SCRATCH")
        limit = environment.get("HEADRACE_MEMORY_LIMIT")
        limit_mb = _megabytes(limit) if limit else DEFAULT_MEMORY_LIMIT_MB
        return cls(
            place,
            GivenKeys.read(environment),
            limit_mb,
            environment,
            Path(scratch) if scratch else None,
            environment.get("HEADRACE_STATE_URL") or None,
            _number(environment, "HEADRACE_LEASE", DEFAULT_LEASE_S, least=1),
            int(_number(environment, "HEADRACE_WORKERS", DEFAULT_WORKERS, least=1)),
        )


def _number(environment: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        number = float(text.strip().removesuffix("s"))
    except ValueError:
        number = float("nan")
    if not least <= number < 1_000_000:
        raise UserError(f'{name} is "{text}"; write a number, at least {least:g}.', code="setting_invalid")
    return number


def _megabytes(text: str) -> int:
    units = {"KB": 1 / 1024, "MB": 1, "GB": 1024, "KIB": 1 / 1024, "MIB": 1, "GIB": 1024}
    number = text.strip().upper().rstrip("KMGIB")
    unit = text.strip().upper()[len(number) :] or "MB"
    try:
        megabytes = int(float(number) * units[unit])
    except (ValueError, KeyError):
        megabytes = 0
    if megabytes < 128:
        message = f'HEADRACE_MEMORY_LIMIT is "{text}"; write for example 512MB or 2GB, at least 128MB.'
        raise UserError(message, code="setting_invalid")
    return megabytes


class App:
    """A workspace and its services. Use as a context."""

    def __init__(self, settings: Settings, workspace: Workspace | None) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self._workspace = workspace

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False, optional: bool = False) -> App:
        """`create` makes a workspace where there is none; `optional` goes on without one. Raises as Workspace.open."""
        try:
            return cls(settings, Workspace.open(settings.workspace, create=create, scratch=settings.scratch))
        except UserError as error:
            if optional and error.code == "workspace_missing":
                return cls(settings, None)
            raise

    @property
    def workspace(self) -> Workspace:
        if self._workspace is None:
            raise UserError("There is no workspace here yet. `headrace apply` makes one.", code="workspace_missing")
        return self._workspace

    @cached_property
    def redactor(self) -> Redactor:
        """What takes this process's secrets out of its logs."""
        redactor = Redactor()
        for known in (str(self.settings.workspace), self.settings.environment.get("HEADRACE_KEY", "")):
            for part in [known] if "://" in known else known.split(","):
                redactor.add(part)
        return redactor

    @cached_property
    def secrets(self) -> Secrets:
        return self._secrets([])

    def _secrets(self, beside: Sequence[Path]) -> Secrets:
        folders = [*beside, Path.cwd()]
        if self._workspace is not None:
            folders += [Path(one) for one in reversed(self._workspace.catalog.setting(FOLDERS, []))]
        return Secrets(self.settings.environment, folders, self._kept_secret, self.redactor.add)

    def _read_secrets_beside(self, folders: Sequence[Path]) -> None:
        """The `.env` files beside a configuration that is being checked count before those of earlier ones."""
        self.secrets = self._secrets(folders)

    def _kept_secret(self, name: str) -> str | None:
        if self._workspace is None:
            return None
        vault = self._workspace.vault(self.settings.keys)
        return vault.get(name) if name in {one.name for one in vault.names()} else None

    def check_keys(self) -> None:
        """For what starts and stays: refuses with the mend where a secret's key is not at hand. See Vault.check."""
        self.workspace.vault(self.settings.keys).check()

    @cached_property
    def catalog(self) -> CatalogService:
        scratch = str(self._workspace.tmp_path) if self._workspace else ""

        def faults(config: Any, name: str) -> dict[str, str]:
            return secret_faults(config, name, self.secrets)

        return CatalogService(
            self._workspace.catalog if self._workspace else None,
            lambda name, config: opened_source(name, config, self.secrets, scratch, self.settings.memory_limit_mb),
            faults,
            self._read_secrets_beside,
            FilesAllowed(self._allowed_folders),
        )

    def _allowed_folders(self) -> list[Path]:
        named = [Path(one) for one in self.settings.environment.get("HEADRACE_FILES", "").split(os.pathsep) if one]
        applied = self._workspace.catalog.setting(FOLDERS, []) if self._workspace else []
        return [*named, *(Path(one) for one in applied)]

    # What loads the engine is loaded when it is asked for: `start_ahead` goes before it, and many commands need none.

    @cached_property
    def sources(self) -> Sources:
        scratch = str(self.workspace.tmp_path)
        return Sources(self.catalog, self.secrets, scratch, self.settings.memory_limit_mb)

    @cached_property
    def assembly(self) -> Assembly:
        from headrace.service.assembly import Assembly

        return Assembly(self.workspace, self.catalog, self.secrets, self.sources, self.settings.memory_limit_mb)

    @cached_property
    def runs(self) -> RunService:
        from headrace.service.runs import RunService

        runs = RunService(self.workspace, self.catalog, self.assembly, self.runner)
        runs.queued.append(lambda run_id: self.queue.put(run_id))  # the queue is made when a run is queued
        return runs

    @cached_property
    def runner(self) -> Runner:
        """What carries runs out in this process: by the locks of a folder, or by leases in a shared database."""
        from headrace.service.owning import LeaseOwners
        from headrace.service.running import Runner, embedded
        from headrace.store.workspace import file_stem

        owners, depots = embedded(self.workspace)
        if (shared := self.shared_files) is not None:
            lease_s = self.settings.lease_s
            owners = LeaseOwners(self.workspace.runs, lease_s, lease_s / BEATS_A_LEASE)
            depots = lambda run, paths: shared.of_run(run, paths, file_stem(run.sync_id))  # noqa: E731
        return Runner(self.workspace, self.assembly, self.clock, owners, depots)

    @cached_property
    def shared_files(self) -> SharedFiles | None:
        """The files of the syncs where several machines share them; None where they stay in the workspace's folder.

        Raises UserError `setting_invalid`.
        """
        if not self.workspace.is_shared:
            return None
        from headrace.store.depot import SharedFiles

        workspace = self.workspace
        url = self.settings.state_url or (workspace.path / "state").as_uri()
        workspace_id = str(workspace.catalog.setting("workspace.id"))
        return SharedFiles(workspace.database, url, workspace_id, workspace.path, self.clock.now)

    @cached_property
    def queue(self) -> Queue:
        """How workers hear of runs that this process queues."""
        if not self.workspace.is_shared:
            from headrace.service.queue import LocalQueue

            return LocalQueue()
        from headrace.service.postgres_queue import PostgresQueue
        from headrace.store.postgres import Postgres

        backend = self.workspace.database.backend
        assert isinstance(backend, Postgres)
        return PostgresQueue(backend.conninfo, backend.schema)

    def worker(self, **more: Any) -> Worker:
        """A worker of this process; `more` as `Worker`. Start it, and stop it before the application is closed."""
        from headrace.service.worker import LOCAL_SWEEP_S, SWEEP_S, Worker

        lease_s = self.settings.lease_s
        sweep_s = min(SWEEP_S, lease_s / BEATS_A_LEASE) if self.workspace.is_shared else LOCAL_SWEEP_S
        settings: dict[str, Any] = {"concurrency": self.settings.workers, "sweep_s": sweep_s, "queue": self.queue}
        if self.shared_files is not None:
            settings["tidy"] = self.shared_files.sweep
        return Worker(self.workspace, self.runs, self.clock.now, **{**settings, **more})

    @cached_property
    def sequences(self) -> SequenceService:
        from headrace.service.sequences import SequenceService

        return SequenceService(self.workspace, self.catalog, self.runs, self.clock.now)

    @cached_property
    def schedules(self) -> ScheduleService:
        from headrace.service.schedule import ScheduleService

        triggers: dict[Any, Any] = {"sync": self.runs.trigger, "sequence": self.sequences.trigger}
        return ScheduleService(self.catalog, self.workspace.schedules, triggers, self.clock.now)

    @cached_property
    def trials(self) -> TrialService:
        from headrace.service.trials import TrialService

        return TrialService(self.workspace, self.catalog, self.assembly, self.clock, self.shared_files)

    @cached_property
    def history(self) -> History:
        from headrace.service.history import History

        return History(self.workspace)

    @cached_property
    def curl(self) -> CurlWriter:
        from headrace.service.history import CurlWriter

        return CurlWriter(self.catalog, self.assembly, self.secrets)

    @cached_property
    def insights(self) -> InsightService:
        from headrace.service.insights import InsightService

        return InsightService(self.workspace, self.catalog, self.assembly, self.clock.now)

    @cached_property
    def vault(self) -> VaultService:
        from headrace.service.vault import VaultService

        return VaultService(self.workspace.vault(self.settings.keys))

    @cached_property
    def access(self) -> AccessService:
        from headrace.service.access import AccessService

        return AccessService(self.workspace.access, self.clock.now)

    @cached_property
    def audit(self) -> AuditService:
        from headrace.service.audit import AuditService

        return AuditService(self.workspace.audit)

    @cached_property
    def operations(self) -> OperationsService:
        from headrace.service.operations import OperationsService

        return OperationsService(self.workspace, self.catalog, self.settings.environment)

    @cached_property
    def objects(self) -> ObjectService:
        from headrace.service.objects import ObjectService

        return ObjectService(self.catalog, self.workspace.catalog)

    @cached_property
    def suggestions(self) -> SuggestionService:
        from headrace.service.suggestions import SuggestionService

        return SuggestionService(self.catalog, self.assembly)

    def close(self) -> None:
        if "queue" in self.__dict__:
            self.queue.stop(0)
        if self._workspace is not None:
            self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_settings(workspace: str | None = None) -> Settings:
    """The settings of this process."""
    return Settings.read(os.environ, workspace)

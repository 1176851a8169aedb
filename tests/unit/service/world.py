"""A folder of configuration, a workspace, and a catalog over both whose sources answer from memory."""

from __future__ import annotations

import importlib
import pkgutil
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import headrace.service
from headrace.app import App
from headrace.domain.columns import Column, Columns, ColumnType
from headrace.domain.config import DestinationConfig
from headrace.domain.errors import Finding, SourceError
from headrace.service.catalog import CatalogService, Checked
from headrace.service.opening import secret_faults
from headrace.service.secrets import Secrets
from headrace.service.verbs import VERBS, Verb
from headrace.store.runs import NewRun, Run
from headrace.store.workspace import Workspace

SYNC = "accounts-to-vitally"
COLUMNS = tuple(Column(name, ColumnType.TEXT, "VARCHAR") for name in ("id", "name", "plan"))

PROJECT = """\
sources:
  warehouse: {type: duckdb, path: warehouse.duckdb}
models:
  accounts:
    source: warehouse
    primary_key: id
    sql: |
      select id, name, plan
      from accounts
destinations:
  vitally:
    type: vitally
    region: us
    rest_api_token: {env: REST_TOKEN}
syncs:
  accounts-to-vitally:
    model: accounts
    destination: vitally
    type: rest_objects
    object: account
    mode: upsert
    match: {column: id, field: externalId}
    fields:
      name: {column: name}
      traits:
        object:
          plan: {column: plan}
    schedule: {every: 15m}
"""


def all_verbs() -> dict[str, Verb]:
    """Every verb that there is: a module that nobody imported yet has filled in none."""
    for module in pkgutil.iter_modules(headrace.service.__path__):
        importlib.import_module(f"headrace.service.{module.name}")
    return dict(VERBS)


class KnownSource:
    """Answers which columns a model has; `broken` is what it raises instead."""

    def __init__(self, columns: Columns, broken: SourceError | None) -> None:
        self._columns = columns
        self._broken = broken

    def columns(self, query: Any) -> Columns:
        if self._broken is not None:
            raise self._broken
        return self._columns


class World:
    """One workspace and one project folder."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.project = folder / "project"
        self.project.mkdir(exist_ok=True)
        self.workspace = Workspace.open(folder / "ws", create=True)
        self.environment = {"REST_TOKEN": "sk_live_1"} if environment is None else environment
        self.broken: SourceError | None = None
        secrets = Secrets(self.environment, [self.project], lambda _name: None)

        def faults(config: DestinationConfig, name: str) -> dict[str, str]:
            return secret_faults(config, name, secrets)

        self.catalog = CatalogService(
            self.workspace.catalog,
            lambda _name, _config: KnownSource(COLUMNS, self.broken),  # type: ignore[arg-type, return-value]
            faults,
            lambda _folders: None,
        )

    def write(self, text: str = PROJECT, name: str = "headrace.yaml") -> Path:
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def check(self, text: str | None = None, **options: Any) -> Checked:
        if text is not None:
            self.write(text)
        return self.catalog.check(self.project, **options)

    def apply(self, text: str | None = None, **options: Any) -> Checked:
        checked = self.check(text, **options)
        self.catalog.apply(checked)
        return checked

    def found(self, text: str, **options: Any) -> list[tuple[int, str]]:
        """(line, code) of every finding, in order."""
        return [placed(one) for one in self.check(text, **options).findings]


def placed(finding: Finding) -> tuple[int, str]:
    assert finding.place is not None
    assert finding.place.file.endswith(".yaml")
    return finding.place.line, finding.code


def edits(checked: Checked) -> dict[str, str]:
    return {f"{one.kind} {one.name}": one.action for one in checked.edits}


def dead_run(app: App, sync: str, **more: Any) -> Run:
    """A run that says it is running and whose owner is gone."""
    lease = timedelta(0) if app.workspace.is_shared else None
    return app.workspace.runs.create(NewRun(sync, sync, owner="1@gone", lease=lease, **more))

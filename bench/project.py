"""A Headrace project in a scratch folder, driven through the command line only, as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.measure import RESULTS, CommandFailed, Sample, python, run_measured, run_together

# The emulator's own keys; the sink asks for none.
TOKENS = {"VITALLY_REST_TOKEN": "sk_live_test", "VITALLY_ANALYTICS_TOKEN": "analytics_test"}

_HEAD = """\
destinations:
  vitally:
    type: vitally
    region: us
    rest_api_token: {{env: VITALLY_REST_TOKEN}}
    analytics_api_token: {{env: VITALLY_ANALYTICS_TOKEN}}
    rest_url: {url}
    analytics_url: {url}
    rate_limit: {rate_limit}
"""

_SOURCE = "  {name}: {{type: duckdb, path: {path}}}\n"
_MODEL = "  {name}: {{source: {name}, primary_key: account_id, table: accounts}}\n"

# All ten columns are mapped, so that all ten are compared.
_SYNC = """\
  {name}:
    model: {name}
    destination: vitally
    type: rest_objects
    object: account
    mode: upsert
    match: {{column: account_id, field: externalId}}
    fields:
      name: {{column: name}}
      traits: {{columns: [org_id, plan, seats, mrr, renewal, seen, active, region]}}
"""


ANALYTICS_SYNC = """\
  {name}:
    model: {name}
    destination: vitally
    type: analytics_objects
    object: account
    match: {{column: account_id, field: externalId}}
    fields: {{name: {{column: name}}}}
    traits: {{columns: [org_id, plan, seats, mrr, renewal, seen, active, region]}}
"""
ANALYTICS_SYNC_WITH_LIQUID = ANALYTICS_SYNC.replace(
    "{{column: name}}", "{{template: '{{{{ row.name | upcase }}}} ({{{{ row.plan }}}})'}}"
)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with headrace.yaml and a workspace; each sync reads a source file of its own name."""

    folder: Path

    def run(self, sync: str) -> Sample:
        """One measured `headrace run`. Raises CommandFailed unless every row was delivered or unchanged."""
        return run_measured(self._command("run", sync, "--json"), TOKENS)

    def run_side_by_side(self, syncs: list[str]) -> list[Sample]:
        """A process for each sync, all at once, in one workspace."""
        return run_together([self._command("run", sync, "--json") for sync in syncs], TOKENS)

    def take_as_baseline(self, *syncs: str) -> None:
        """Counts the present rows as acknowledged, without sending any."""
        for sync in syncs:
            self.do("run", sync, "--reset-cdc", "--yes")

    def do(self, *arguments: str) -> None:
        """A command that only prepares. Raises CommandFailed with what it said."""
        command = self._command(*arguments)
        ended = subprocess.run(command, env={**os.environ, **TOKENS}, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise CommandFailed(f"{' '.join(command)}\nexit code {ended.returncode}\n{ended.stdout}{ended.stderr}")

    def _command(self, *arguments: str) -> list[str]:
        return python("-m", "headrace", "--workspace", self.folder / "workspace", *arguments)


def make_project(name: str, url: str, sources: dict[str, Path], rate_limit: str = "none", sync: str = _SYNC) -> Project:
    """A new project with a sync for each source, applied to a new workspace; an old one of that name is removed.

    `rate_limit` is YAML: `none`, or `{requests: 100, per_seconds: 6}`.
    """
    folder = RESULTS / "projects" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = (
        "sources:\n"
        + "".join(_SOURCE.format(name=one, path=path) for one, path in sources.items())
        + "models:\n"
        + "".join(_MODEL.format(name=one) for one in sources)
        + _HEAD.format(url=url, rate_limit=rate_limit)
        + "syncs:\n"
        + "".join(sync.format(name=one) for one in sources)
    )
    (folder / "headrace.yaml").write_text(text, encoding="utf-8")
    project = Project(folder)
    project.do("apply", str(folder / "headrace.yaml"))
    return project

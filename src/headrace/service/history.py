"""Looking back: runs, calls and rows as they were recorded, and a call as a command that a person can repeat."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.destinations import destination_kind
from headrace.domain.config import DestinationConfig, SecretRef, SyncConfig
from headrace.domain.errors import UserError
from headrace.domain.outcome import RowOutcome, RunStatus
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.secrets import Secrets
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.outcomes import LoggedOutcome, OutcomeCount, OutcomeFilter
from headrace.store.runs import Run
from headrace.store.workspace import Workspace

AT_ONCE = 500
MASK = "***"
CUT_AT = 64 * 1024
"""So many bytes of a body the record of a call keeps."""


class History:
    """What a workspace remembers."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def runs(self, sync: str | None = None, status: RunStatus | None = None, limit: int = 20) -> list[Run]:
        """Newest first."""
        return list(self._workspace.runs.list(sync=sync, status=status, limit=limit).items)

    def run(self, run_id: int) -> Run:
        """Raises NotFound."""
        return self._workspace.runs.get(run_id)

    def latest(self) -> dict[str, Run]:
        """The last run of each sync, by the sync's identity."""
        return self._workspace.runs.latest()

    def calls(self, wanted: CallFilter, limit: int) -> Iterator[LoggedCall]:
        """Newest first."""
        cursor: str | None = None
        while limit > 0:
            page = self._workspace.calls.find(wanted, min(limit, AT_ONCE), cursor)
            yield from page.items
            limit -= len(page.items)
            cursor = page.cursor
            if cursor is None:
                return

    def call(self, run_id: int, number: int) -> LoggedCall:
        """Raises NotFound."""
        return self._workspace.calls.get(run_id, number)

    def rows(self, wanted: OutcomeFilter, limit: int | None = None) -> Iterator[LoggedOutcome]:
        """Outcomes in the order of the log; all of them without a limit."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            page = self._workspace.outcomes.find(wanted, AT_ONCE if left is None else min(left, AT_ONCE), cursor)
            yield from page.items
            left = None if left is None else left - len(page.items)
            cursor = page.cursor
            if cursor is None:
                return

    def groups(self, run_id: int, outcome: RowOutcome | None = None, code: str | None = None) -> list[OutcomeCount]:
        """Outcomes of a run counted by outcome and code, most first."""
        return [
            one
            for one in self._workspace.outcomes.counts(run_id)
            if outcome in (None, one.outcome) and code in (None, one.code)
        ]


@dataclass(frozen=True, slots=True)
class CurlWriter:
    """Writes recorded calls as curl commands. No secret is in them: a variable of the shell stands for it."""

    catalog: CatalogService
    assembly: Assembly
    secrets: Secrets

    def command(self, logged: LoggedCall) -> str:
        """One command, quoted for a POSIX shell."""
        call = logged.call
        parts = [f"curl -X {shlex.quote(call.method)} {shlex.quote(call.url)}"]
        for name, value in call.request_headers.items():
            masked = value == MASK
            parts.append(self._credential(logged, name) if masked else f"-H {shlex.quote(f'{name}: {value}')}")
        if call.request_body is not None:
            parts.append(f"--data-raw {shlex.quote(call.request_body.decode('utf-8', 'replace'))}")
        command = " \\\n  ".join(parts)
        cut = call.request_body is not None and len(call.request_body) >= CUT_AT
        return f"# The body was longer; the record keeps its first {CUT_AT:,} bytes.\n{command}" if cut else command

    def _credential(self, logged: LoggedCall, header: str) -> str:
        """The option that sends the credential, with the token in a variable, the way that the token is written."""
        variable, token, sent = self._token(logged, header)
        if token and sent == "Basic " + base64.b64encode(f"{token}:".encode()).decode():
            return f'-u "${variable}:"'
        scheme = "Basic " if token and sent == f"Basic {token}" else ""
        return f'-H "{header}: {scheme}${variable}"'

    def _token(self, logged: LoggedCall, header: str) -> tuple[str, str | None, str | None]:
        """(variable, token, header as it was sent); None for what can't be had any more."""
        api = logged.call.api
        variable = f"{api}_token".upper()
        try:
            sync: SyncConfig = self.catalog.get("sync", logged.sync)
            config: DestinationConfig = self.catalog.get("destination", sync.destination)
            variable = f"{config.type}_{variable}".upper()
            secret = next(
                one for one in destination_kind(config.type).SPEC.secrets if one.name.startswith(f"{api.lower()}_")
            )
            raw = config.settings.get(secret.name)
            reference = raw if raw is None or isinstance(raw, SecretRef) else SecretRef.model_validate(raw)
            variable = reference.env if reference is not None and reference.env else variable
            token = self.secrets.resolve(reference, f"{sync.destination}.{secret.name}")
            destination = self.assembly.destination(sync.destination, logged.sync, sync)
            return variable, token, destination.authorize(api).get(header)
        except (UserError, StopIteration):
            return variable, None, None

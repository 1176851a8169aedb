"""Looking back: runs, calls and rows as they were recorded, and a call as a command that a person can repeat."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headrace.destinations import destination_kind
from headrace.domain.access import Scope
from headrace.domain.config import DestinationConfig, SecretRef, SyncConfig
from headrace.domain.errors import UserError
from headrace.domain.outcome import RowOutcome, RunStatus
from headrace.service.assembly import Assembly
from headrace.service.catalog import CatalogService
from headrace.service.secrets import Secrets
from headrace.service.verbs import verb
from headrace.store.calls import CallFilter, LoggedCall
from headrace.store.outcomes import LoggedOutcome, OutcomeCount, OutcomeFilter
from headrace.store.page import Page
from headrace.store.runs import Run
from headrace.store.workers import WorkerEntry
from headrace.store.workspace import Workspace

AT_ONCE = 500
MASK = "***"
CUT_AT = 64 * 1024
"""So many bytes of a body the record of a call keeps."""


class History:
    """What a workspace remembers."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @verb(Scope.READ)
    def runs(self, sync: str | None = None, status: RunStatus | None = None, limit: int = 20) -> list[Run]:
        """Newest first."""
        return list(self._workspace.runs.list(sync=sync, status=status, limit=limit).items)

    @verb(Scope.READ)
    def run_page(
        self, sync: str | None = None, status: RunStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Run]:
        """The same, a page at a time. Raises UserError `cursor_invalid`."""
        return self._workspace.runs.list(sync=sync, status=status, limit=limit, cursor=cursor)

    @verb(Scope.READ)
    def run(self, run_id: int) -> Run:
        """Raises NotFound."""
        return self._workspace.runs.get(run_id)

    @verb(Scope.READ)
    def latest(self) -> dict[str, Run]:
        """The last run of each sync, by the sync's identity."""
        return self._workspace.runs.latest()

    @verb(Scope.READ)
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

    @verb(Scope.READ)
    def workers(self) -> list[WorkerEntry]:
        """Who takes runs; the dead among them are told by when they were last seen."""
        return self._workspace.workers.list()

    @verb(Scope.READ)
    def call_page(self, wanted: CallFilter, limit: int = 50, cursor: str | None = None) -> Page[LoggedCall]:
        """The same, a page at a time. Raises UserError `cursor_invalid`, `filter_invalid`."""
        return self._workspace.calls.find(wanted, limit, cursor)

    @verb(Scope.READ)
    def call(self, run_id: int, number: int) -> LoggedCall:
        """Raises NotFound."""
        return self._workspace.calls.get(run_id, number)

    @verb(Scope.READ)
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

    @verb(Scope.READ)
    def row_page(self, wanted: OutcomeFilter, limit: int = 50, cursor: str | None = None) -> Page[LoggedOutcome]:
        """The same, a page at a time. Raises UserError `cursor_invalid`."""
        return self._workspace.outcomes.find(wanted, limit, cursor)

    @verb(Scope.READ)
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

    @verb(Scope.READ)
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
        """The option that sends the credential, with the secret in a variable, the way that the secret is written."""
        api = logged.call.api
        variable = f"{api}_token".upper()
        try:
            sync: SyncConfig = self.catalog.get("sync", logged.sync)
            config: DestinationConfig = self.catalog.get("destination", sync.destination)
            variable = f"{config.type}_{variable}".upper()
            references = destination_kind(config.type).SPEC.secret_references(config.settings)
            sent = self.assembly.destination(sync.destination, logged.sync, sync).authorize(api).get(header, "")
        except UserError:
            return f'-H "{header}: ${variable}"'  # what is configured is another thing now
        # Several secrets may have one value: the one that is named after the API, or after the header, is meant.
        for name in sorted(
            references, key=lambda one: not one.startswith(f"{api.lower()}_") and not one.endswith(header)
        ):
            named, token = self._secret(name, references[name], sync.destination)
            if token is not None and (option := _option(header, sent, token, named or variable)) is not None:
                return option
        own = next((name for name in references if name.startswith(f"{api.lower()}_")), None)
        named = self._secret(own, references[own], sync.destination)[0] if own else None
        return f'-H "{header}: ${named or variable}"'

    def _secret(self, name: str, written: Any, destination: str) -> tuple[str | None, str | None]:
        """(the environment's variable that holds it, the secret itself); None for what there is not."""
        reference = written if written is None or isinstance(written, SecretRef) else SecretRef.model_validate(written)
        try:
            token = self.secrets.resolve(reference, f"{destination}.{name}")
        except UserError:
            token = None
        return reference.env if reference is not None else None, token


def _option(header: str, sent: str, token: str, variable: str) -> str | None:
    """How curl sends this secret as that header; None where the header was not made from it."""
    for scheme in ("", "Basic ", "Bearer "):
        if sent == scheme + token:
            return f'-H "{header}: {scheme}${variable}"'
    pair = _pair_in(sent)
    if pair == f"{token}:":
        return f'-u "${variable}:"'
    if pair is not None and pair.endswith(f":{token}"):
        return f'-u {shlex.quote(pair.removesuffix(token))}"${variable}"'
    return None


def _pair_in(sent: str) -> str | None:
    """`user:password` of a header of Basic authentication."""
    try:
        return base64.b64decode(sent.removeprefix("Basic "), validate=True).decode()
    except ValueError:
        return None

"""A small warehouse, a workspace and a pretended Vitally, joined by the real program: what a test of delivery needs.

Nothing is faked but Vitally itself: the run is `RunService`'s, over real HTTP, with the real store and ledger.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from headrace.app import App, Settings
from headrace.destinations.vitally import SPEC
from headrace.domain.errors import ConfigurationError
from headrace.domain.outcome import Counts
from headrace.domain.spec import Field, FieldType, Mode, ObjectSpec
from headrace.emulator import Emulator, EmulatorSettings, Entry
from headrace.engine.explain import Explanation
from headrace.engine.job import RunOptions
from headrace.service.runs import RunReport
from headrace.store.outcomes import OutcomeFilter

TOKEN = "sk_live_test"
ANALYTICS_TOKEN = "analytics_test"
SYNC = "the-sync"


def declared_objects() -> list[tuple[str, ObjectSpec]]:
    """(sync type, object) of all that Vitally declares."""
    return [(kind.name, one) for kind in SPEC.sync_types for one in kind.objects]


REST = {one.name: one for kind, one in declared_objects() if kind == "rest_objects"}
OBJECTS = pytest.mark.parametrize("spec", REST.values(), ids=REST)
MODES = pytest.mark.parametrize("mode", list(Mode), ids=str)


@dataclass(frozen=True)
class Sample:
    """A value of a field three times: as the source holds it, as a rule maps it, as Vitally must have it then."""

    stored: Any
    rule: dict[str, Any]
    wanted: Any


def sample(field: Field, number: int = 1, parent: str = "1") -> Sample:
    """A fitting value for a declared field. References name the parents `organization-1`, `account-1` of the world."""
    rule: dict[str, Any] = {"column": field.name}
    match field.type:
        case FieldType.TEXT | FieldType.ID:
            text = f"{field.name} Zoë & Co {number}"
            return Sample(text, rule, text)
        case FieldType.NUMBER:
            return Sample(1234.5 + number, rule, 1234.5 + number)
        case FieldType.BOOLEAN:
            return Sample("yes", {**rule, "as": "boolean"}, True)
        case FieldType.DATETIME:
            return Sample(
                f"2026-03-0{number}T10:00:00+02:00", {**rule, "as": "datetime"}, f"2026-03-0{number}T08:00:00.000Z"
            )
        case FieldType.OBJECT:
            value = {"plan": "pro", "seats": number, "active": True, "tags": ["a", "b"], "none": None}
            return Sample(json.dumps(value), {**rule, "as": "object"}, value)
        case FieldType.REFERENCE:
            return Sample(f"{field.refers_to}-{parent}", rule, f"{field.refers_to}-{parent}")
        case FieldType.REFERENCES:
            return Sample(f"{field.refers_to}-{parent}", rule, [f"{field.refers_to}-{parent}"])
        case FieldType.ANY:
            raise AssertionError("no field of an object is of any type")


def required_fields(spec: ObjectSpec, mode: str, match: str) -> list[str]:
    """The fewest fields that lint accepts."""
    names = [one.name for one in spec.fields if Mode(mode) in one.required_for]
    names += [rule.any_of[0] for rule in spec.requirements if match in rule.matches]
    return list(dict.fromkeys(names)) or ["traits"]


def every_field(spec: ObjectSpec, number: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """(columns, rules) of a row with a value in each field."""
    samples = {one.name: sample(one, number) for one in spec.fields if one.name != "externalId"}
    return {name: one.stored for name, one in samples.items()}, {name: one.rule for name, one in samples.items()}


def seed(spec: ObjectSpec, *external_ids: str, **more: Any) -> list[dict[str, Any]]:
    """Records that have been in Vitally for long, as their seeds."""
    belongs = {"accountIds": ["account-2"]} if spec.name == "user" else {}
    return [
        {"externalId": one, "name": "Old name", "traits": {"kept": "yes"}, **belongs, **more} for one in external_ids
    ]


@dataclass(frozen=True)
class Ran:
    """A run that has ended: its report, what became of each key, and the requests it made."""

    report: RunReport
    outcomes: Mapping[str, tuple[str, str | None]]
    messages: Mapping[str, str | None]
    requests: Sequence[Entry]

    @property
    def counts(self) -> Counts:
        return self.report.counts

    @property
    def lines(self) -> list[str]:
        """`PUT /resources/accounts/a-1`, in order."""
        return [f"{one.method} {one.path}" for one in self.requests]


class World:
    """Use as a context. `switches` are those of the emulator; it has no rate limit unless one is given."""

    def __init__(self, folder: Path, **switches: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.vitally = Emulator(EmulatorSettings.model_validate({"rate_limit": None, **switches}))
        self.app = App.open(
            Settings(folder / "workspace", None, 512, {"TOKEN": TOKEN, "ANALYTICS": ANALYTICS_TOKEN}), create=True
        )
        self._columns: list[str] = []

    def __enter__(self) -> Self:
        self.vitally.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.app.close()
        self.vitally.stop()

    # Before a run -------------------------------------------------------------------------------------------------

    def rows(self, *rows: Mapping[str, Any]) -> None:
        """The whole content of the model, instead of what it was."""
        self._columns = list(dict.fromkeys([*self._columns, *(name for row in rows for name in row)]))
        with closing(sqlite3.connect(self.folder / "warehouse.sqlite")) as database:
            database.execute("DROP TABLE IF EXISTS things")
            database.execute(f"CREATE TABLE things ({', '.join(f'[{name}]' for name in self._columns)})")
            marks = ", ".join("?" * len(self._columns))
            values = [[row.get(name) for name in self._columns] for row in rows]
            database.executemany(f"INSERT INTO things VALUES ({marks})", values)
            database.commit()

    def sync(
        self,
        object_name: str | None,
        fields: Mapping[str, Any],
        *,
        mode: str | None = "upsert",
        match: tuple[str, str] | None = ("ref", "externalId"),
        key: str | list[str] = "key",
        destination: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Declares the one sync and applies it. Raises ConfigurationError with every finding."""
        document = {
            "sources": {"shop": {"type": "sqlite", "path": "warehouse.sqlite"}},
            "models": {"things": {"source": "shop", "primary_key": key, "table": "things"}},
            "destinations": {
                "vitally": {
                    "type": "vitally",
                    "region": "us",
                    "rest_api_token": {"env": "TOKEN"},
                    "analytics_api_token": {"env": "ANALYTICS"},
                    "rest_url": self.vitally.url,
                    "analytics_url": self.vitally.url,
                    "rate_limit": {"requests": 100_000, "per_seconds": 1},
                    **(destination or {}),
                }
            },
            "syncs": {
                SYNC: {
                    "model": "things",
                    "destination": "vitally",
                    "type": "rest_objects",
                    **({"object": object_name} if object_name else {}),
                    **({"mode": mode} if mode else {}),
                    **({"match": {"column": match[0], "field": match[1]}} if match else {}),
                    "fields": dict(fields),
                    **more,
                }
            },
        }
        path = self.folder / "headrace.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        checked = self.app.catalog.check(path)
        self.app.catalog.apply(checked)

    def findings(self, *given: Any, **chosen: Any) -> list[tuple[str, str]]:
        """(code, path) of everything that is wrong with such a sync."""
        try:
            self.sync(*given, **chosen)
        except ConfigurationError as refused:
            return [(one.code, one.path) for one in refused.findings]
        return []

    def parents(self, *numbers: str) -> None:
        """Organizations and accounts `organization-1`, `account-1`, ... in Vitally; without numbers 1 and 2."""
        for number in numbers or ("1", "2"):
            self.vitally.seed("organizations", [{"externalId": f"organization-{number}", "name": f"Org {number}"}])
            self.vitally.seed("accounts", [{"externalId": f"account-{number}", "name": f"Account {number}"}])

    # The act ------------------------------------------------------------------------------------------------------

    def run(self, **options: Any) -> Ran:
        before = self.vitally.workspace.journal.last_number
        run = self.app.runs.run(SYNC, RunOptions(**options), lambda _event: None, lambda _said: None)
        report = asyncio.run(run)
        assert report.error is None or options, report.error
        return self._ran(report, before)

    def run_that_fails(self) -> Ran:
        """A run that is expected to stop: its error is in the report."""
        before = self.vitally.workspace.journal.last_number
        run = self.app.runs.run(SYNC, RunOptions(), lambda _event: None, lambda _said: None)
        return self._ran(asyncio.run(run), before)

    def _ran(self, report: RunReport, before: int) -> Ran:
        records = list(self._outcomes(report.run_id))
        requests = [one for one in self.vitally.journal if one.number > before]
        return Ran(
            report,
            {one.key: (one.outcome.value, one.code) for one in records},
            {one.key: one.message for one in records},
            requests,
        )

    def _outcomes(self, run_id: int) -> Iterator[Any]:
        cursor = None
        while True:
            page = self.app.workspace.outcomes.find(OutcomeFilter(run=run_id), limit=500, cursor=cursor)
            yield from (one.record for one in page.items)
            if (cursor := page.cursor) is None:
                return

    def explain(self, requests: int = 1000) -> Explanation:
        return self.app.trials.plan(SYNC, requests, RunOptions())

    # What Vitally has ---------------------------------------------------------------------------------------------

    def held(self, kind: str) -> dict[str, dict[str, Any]]:
        """The records of a kind by external id."""
        return self.vitally.state.by_external_id(kind + "s")

    def id_of(self, external_id: str) -> str:
        """Vitally's own id of a record, found by `kind-...` in its external id."""
        kind = external_id.split("-")[0]
        return str(self.held(kind)[external_id]["id"])

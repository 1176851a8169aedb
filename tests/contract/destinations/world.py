"""A small warehouse, a workspace and a pretended Vitally, joined by the real program: what a test of delivery needs.

Nothing is faked but Vitally itself: the run is `RunService`'s, over real HTTP, with the real store and ledger.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from headrace.app import App, Settings
from headrace.destinations.vitally import SPEC
from headrace.destinations.vitally.resources import RESOURCES
from headrace.domain.errors import ConfigurationError
from headrace.domain.outcome import Counts
from headrace.domain.spec import Field, FieldType, Mode, ObjectSpec
from headrace.emulator import Emulator, EmulatorSettings, Entry
from headrace.emulator.kinds import KINDS
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
CREATED = {name: one for name, one in REST.items() if Mode.UPSERT in one.modes}
WITH_TRAITS = {name: one for name, one in REST.items() if one.field("traits") is not None}
OBJECTS = pytest.mark.parametrize("spec", REST.values(), ids=REST)
CREATED_OBJECTS = pytest.mark.parametrize("spec", CREATED.values(), ids=CREATED)
OBJECTS_WITH_TRAITS = pytest.mark.parametrize("spec", WITH_TRAITS.values(), ids=WITH_TRAITS)
MODES = pytest.mark.parametrize("mode", list(Mode), ids=str)
EACH_MODE = pytest.mark.parametrize(
    ("spec", "mode"),
    [
        pytest.param(spec, mode, id=f"{spec.name}-{mode}")
        for spec in REST.values()
        for mode in Mode
        if mode in spec.modes
    ],
)

SHELVES = {name: resource.path.rpartition("/")[2] for name, resource in RESOURCES.items()}
"""Where the emulator keeps the records of an object."""
CREATION_UPDATES = frozenset(name for name, resource in RESOURCES.items() if resource.post_updates)
"""Objects whose upsert is one POST, whether the record exists or not."""
SEEDED_WITH = {
    "custom_object_instance": {"customObjectId": "custom_object-1"},
    "project": {"templateId": "template-1", "accountId": "account-2"},
}
"""What the emulator needs to seed a record and no row can say."""


@dataclass(frozen=True)
class Sample:
    """A value of a field three times: as the source holds it, as a rule maps it, as Vitally must have it then."""

    stored: Any
    rule: dict[str, Any]
    wanted: Any


def sample(field: Field, number: int = 1, parent: str = "1") -> Sample:
    """A fitting value for a declared field. References and ids name records that `World.arrange` has put there."""
    rule: dict[str, Any] = {"column": field.name}
    match field.type:
        case FieldType.ID if field.name != "externalId":
            return Sample(f"{field.name}-{number}", rule, f"{field.name}-{number}")
        case FieldType.TEXT | FieldType.ID:
            text = f"{field.name} Zoë & Co {number}"
            return Sample(text, rule, text)
        case FieldType.HTML:
            text = f"<p>{field.name} <b>Zoë</b> {number}</p>"
            return Sample(text, rule, text)
        case FieldType.NUMBER:
            return Sample(1234.5 + number, rule, 1234.5 + number)
        case FieldType.INTEGER:
            value = number + (field.between[0] if field.between else 1000)
            return Sample(value, rule, value)
        case FieldType.BOOLEAN:
            return Sample("yes", {**rule, "as": "boolean"}, True)
        case FieldType.DATETIME:
            return Sample(
                f"2026-03-0{number}T10:00:00+02:00", {**rule, "as": "datetime"}, f"2026-03-0{number}T08:00:00.000Z"
            )
        case FieldType.DATE:
            return Sample(f"2026-03-0{number}", {**rule, "as": "date"}, f"2026-03-0{number}")
        case FieldType.OBJECT:
            value = {"plan": "pro", "seats": number, "active": True, "tags": ["a", "b"], "none": None}
            return Sample(json.dumps(value), {**rule, "as": "object"}, value)
        case FieldType.LIST:
            return Sample("[]", {**rule, "as": "array"}, [])
        case FieldType.TEXTS:
            return Sample(f'["Zoë", "{number}"]', rule, ["Zoë", str(number)])
        case FieldType.REFERENCE:
            return Sample(f"{field.refers_to}-{parent}", rule, f"{field.refers_to}-{parent}")
        case FieldType.REFERENCES:
            return Sample(f"{field.refers_to}-{parent}", rule, [f"{field.refers_to}-{parent}"])
        case FieldType.ANY:
            raise AssertionError("no field of an object is of any type")


def match_of(spec: ObjectSpec) -> str:
    """How a row finds its record, where a test does not care."""
    return spec.matchings[0].field


def mode_of(spec: ObjectSpec) -> str:
    """The mode, where a test does not care."""
    return Mode.UPSERT if Mode.UPSERT in spec.modes else next(iter(spec.modes))


def text_of(spec: ObjectSpec) -> str:
    """The field of text by which a test sees what was written."""
    return next(one.name for one in spec.fields if one.type in (FieldType.TEXT, FieldType.HTML))


def required_fields(spec: ObjectSpec, mode: str, match: str) -> list[str]:
    """The fewest fields that lint accepts."""
    names = [one.name for one in spec.fields if Mode(mode) in one.required_for]
    names += [rule.any_of[0] for rule in spec.requirements if match in rule.matches and mode in rule.modes]
    return list(dict.fromkeys(names)) or ["traits"]


def some_fields(spec: ObjectSpec, *names: str, number: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """(columns, rules) of a row with the fewest fields, and those named."""
    wanted = dict.fromkeys([*required_fields(spec, mode_of(spec), match_of(spec)), *names])
    samples = {one.name: sample(one, number) for one in spec.fields if one.name in wanted}
    return {name: one.stored for name, one in samples.items()}, {name: one.rule for name, one in samples.items()}


def every_field(spec: ObjectSpec, number: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """(columns, rules) of a row with a value in each field."""
    samples = {one.name: sample(one, number) for one in spec.fields if one.name != "externalId"}
    return {name: one.stored for name, one in samples.items()}, {name: one.rule for name, one in samples.items()}


def settings_of(spec: ObjectSpec) -> dict[str, str]:
    return {name: f"{name}-1" for name in (spec.settings.model.model_fields if spec.settings else ())}


OLD = {
    FieldType.DATETIME: "2020-01-01T00:00:00.000Z",
    FieldType.INTEGER: 0,
    FieldType.HTML: "Old",
    FieldType.TEXT: "Old",
}


def seed(spec: ObjectSpec, *names: str, **more: Any) -> list[dict[str, Any]]:
    """Records that have been in Vitally for long, as their seeds; named by external id, else by Vitally's own."""
    old: dict[str, Any] = {text_of(spec): "Old name", **SEEDED_WITH.get(spec.name, {})}
    for field in spec.fields:
        if field.required_for and field.type in OLD:
            old.setdefault(field.name, OLD[field.type])
        elif field.required_for and field.type is FieldType.REFERENCE:
            old[field.name] = f"{field.refers_to}-2"
    for rule in spec.requirements:
        if (field := spec.field(rule.any_of[0])) is not None and field.refers_to:
            parent = f"{field.refers_to}-2"
            old[field.name] = [parent] if field.type is FieldType.REFERENCES else parent
    if spec.name in WITH_TRAITS:
        old["traits"] = {"kept": "yes"}
    name_field = "externalId" if spec.matching("externalId") else "id"
    return [{name_field: one, **old, **more} for one in names]


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
    """Use as a context. `switches` are those of the emulator; it has no rate limit unless one is given.

    What REST makes comes from the integration `source-1`, as the samples of settings say.
    """

    def __init__(self, folder: Path, **switches: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.vitally = Emulator(
            EmulatorSettings.model_validate({"rate_limit": None, "rest_source": "source-1", **switches})
        )
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
        mode: str | None = None,
        match: tuple[str, str] | None = None,
        key: str | list[str] = "key",
        destination: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Declares the one sync and applies it. Raises ConfigurationError with every finding.

        What the object needs as settings it gets, unless `settings` are given.
        """
        settled: dict[str, Any] = {"object": object_name, "mode": mode}
        if more.get("type", "rest_objects") == "rest_objects":
            spec = REST[object_name or ""]
            match = match or ("ref", match_of(spec))
            settled |= {"mode": mode or mode_of(spec), "settings": settings_of(spec)}
        if match is not None:
            settled["match"] = {"column": match[0], "field": match[1]}
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
                    **{name: value for name, value in settled.items() if value is not None},
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

    def parents(self, *numbers: str, kinds: Iterable[str] = ("organization", "account")) -> None:
        """Organizations and accounts `organization-1`, `account-1`, ... in Vitally; without numbers 1 and 2."""
        for number in numbers or ("1", "2"):
            for kind in kinds:
                more = {"accountIds": ["account-1"]} if kind == "user" else {"name": f"{kind} {number}"}
                self.vitally.seed(SHELVES[kind], [{"externalId": f"{kind}-{number}", **more}])

    def arrange(self, spec: ObjectSpec) -> None:
        """Everything that the samples of the object name: parents, and what Vitally's own ids stand for."""
        self.parents()
        self.parents(kinds={one.refers_to for one in spec.fields if one.refers_to} - {"organization", "account"})  # type: ignore[arg-type]
        table = KINDS[SHELVES[spec.name]].fields
        ids = [(table[one.name].refers_to, one.name) for one in spec.fields if one.type is FieldType.ID]
        catalogue = [(shelf, f"{name}-{number}") for shelf, name in ids if shelf for number in ("1", "2")]
        if spec.name == "project":
            catalogue.append(("projectTemplates", "template-1"))
        if "custom_object" in settings_of(spec):
            self.vitally.seed(
                "customObjects",
                [{"id": "custom_object-1", "name": "site", "label": "Site", "writeMode": "writable"}],
            )
        for shelf, name in catalogue:
            more = {"email": f"{name}@us.test"} if shelf == "admins" else {}
            self.vitally.seed(shelf, [{"id": name, "name": name, **more}])

    def there(self, spec: ObjectSpec, *names: str, **more: Any) -> list[dict[str, Any]]:
        """Records of the object, in Vitally for long."""
        return self.vitally.seed(SHELVES[spec.name], seed(spec, *names, **more))

    def there_if_never_created(self, spec: ObjectSpec, *names: str, **more: Any) -> None:
        """The same for an object that rows can only update: its records must be there to be delivered to."""
        if spec.name not in CREATED:
            self.there(spec, *names, **more)

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
        """The records of a kind by external id, by Vitally's own where they have none."""
        return {one.get("externalId") or one["id"]: one for one in self.vitally.state.records(SHELVES[kind])}

    def is_gone(self, kind: str, name: str) -> bool:
        """Whether a record is deleted, or archived."""
        record = self.held(kind).get(name)
        return record is None or record.get("archivedAt") is not None

    def remove(self, kind: str, name: str) -> None:
        """Takes a record out of Vitally behind our back."""
        record_id = self.held(kind)[name]["id"]
        state, shelf = self.vitally.state, SHELVES[kind]
        state.remove(KINDS[shelf], state.shelves[shelf].records[record_id])

    def id_of(self, external_id: str) -> str:
        """Vitally's own id of a record, found by `kind-...` in its external id."""
        kind = external_id.split("-")[0]
        return str(self.held(kind)[external_id]["id"])

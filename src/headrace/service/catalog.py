"""The configuration of a workspace: what is there, what files would change, and making it so.

`apply` and the pages edit the same objects. Everything wrong is found together, with its place and its mend, and
nothing is saved while one fault is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headrace.destinations import destination_kind
from headrace.domain.access import Scope
from headrace.domain.channels import CHANNEL_MODELS
from headrace.domain.config import (
    DestinationConfig,
    ModelConfig,
    SequenceConfig,
    SyncConfig,
    WorkspaceConfig,
    is_name,
    sync_id,
)
from headrace.domain.errors import ConfigurationError, Finding, HeadraceError, UserError
from headrace.domain.lint import lint_model, lint_sync
from headrace.domain.shapes import near
from headrace.service.allowed import FilesAllowed
from headrace.service.documents import SECTION, completed, dump, parse, with_secret_files
from headrace.service.references import lint_channel, lint_sequence, lint_sql, references
from headrace.service.verbs import note, verb
from headrace.sources import Query, Source
from headrace.store.catalog import Catalog, Delete, Kind, Put, SetSetting

if TYPE_CHECKING:
    from headrace.service.files import Declared

KINDS: tuple[Kind, ...] = tuple(SECTION)
FOLDERS = "project_folders"
NAME = "workspace_name"
Action = Literal["create", "change", "delete", "unchanged"]
OpenSource = Callable[[str, Any], Source]
"""Opens a source by its name and configuration. Raises SourceError and UserError (`secret_missing`)."""
CheckSecrets = Callable[[Any, str], dict[str, str]]
"""Secret setting of a destination or channel -> why it can't be had."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What `apply` does to one object. `fields` are the keys that differ."""

    kind: Kind
    name: str
    action: Action
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Checked:
    """What files say: objects by kind and name, and every finding. `edits` against the workspace as it is."""

    documents: dict[tuple[Kind, str], dict[str, Any]] = field(default_factory=dict)
    objects: dict[tuple[Kind, str], Any] = field(default_factory=dict)
    workspace: WorkspaceConfig | None = None
    findings: list[Finding] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    @property
    def faults(self) -> list[Finding]:
        return [one for one in self.findings if not one.warning]


class CatalogService:
    """The objects of one workspace: sources, models, destinations, syncs, sequences, channels."""

    def __init__(
        self,
        catalog: Catalog | None,
        open_source: OpenSource,
        secret_faults: CheckSecrets,
        found_folders: Callable[[Sequence[Path]], None],
        files: FilesAllowed | None = None,
    ) -> None:
        self._files = files or FilesAllowed(lambda: ())
        self._found_folders = found_folders
        self._catalog = catalog
        self._open_source = open_source
        self._secret_faults = secret_faults

    # Reading ------------------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def get(self, kind: Kind, name: str) -> Any:
        """The checked object. Raises NotFound, and ConfigurationError where what is stored no longer fits."""
        document = self._stored().get(kind, name).document
        found, findings = parse(kind, name, document)
        if findings:
            raise ConfigurationError(findings)
        return found

    @verb(Scope.READ)
    def documents(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """Name -> document, ordered by name."""
        return {one.name: one.document for one in self._stored().list(kind)}

    @verb(Scope.READ)
    def names(self, kind: Kind) -> list[str]:
        return list(self.documents(kind))

    def workspace_name(self) -> str:
        return str(self._catalog.setting(NAME, "default")) if self._catalog else "default"

    def _stored(self) -> Catalog:
        if self._catalog is None:
            raise UserError("There is no workspace here yet. `headrace apply` makes one.", code="workspace_missing")
        return self._catalog

    # Checking -----------------------------------------------------------------------------------------------------

    @verb(Scope.CONFIGURE)
    def check(self, path: Path, *, offline: bool = False, prune: bool = False) -> Checked:
        """What the files say, every finding with its place, and what `apply` would do. Saves nothing."""
        from headrace.service.files import read_project  # YAML is slow to load, and a run needs none

        declared = read_project(path)
        self._found_folders(declared.folders)
        return self._check(declared, offline=offline, prune=prune)

    @verb(Scope.CONFIGURE)
    def check_text(self, text: str, *, offline: bool = False, prune: bool = False) -> Checked:
        """The same for YAML that somebody sent. It may name files only where `apply` on this machine found some."""
        from headrace.service.files import read_project_text

        declared = read_project_text(text, self._files.home)
        return self._check(declared, offline=offline, prune=prune, foreign=True)

    @verb(Scope.CONFIGURE)
    def check_documents(
        self, documents: Mapping[tuple[Kind, str], dict[str, Any]], *, offline: bool = False
    ) -> Checked:
        """The same for single objects that somebody sent."""
        from headrace.service.files import Declaration, Declared

        home = self._files.home
        declared = Declared([Declaration(kind, name, document, home) for (kind, name), document in documents.items()])
        return self._check(declared, offline=offline, foreign=True)

    def _check(self, declared: Declared, *, offline: bool, prune: bool = False, foreign: bool = False) -> Checked:
        from headrace.service.files import addresses

        if foreign:
            declared.findings += self._files.refused(declared.declarations)
        checked = Checked(findings=list(declared.findings), folders=declared.folders)
        if checked.findings and foreign:
            checked.findings = list(addresses(checked.findings, declared))
            return checked  # not one of the files that it names is opened
        present: dict[tuple[Kind, str], dict[str, Any]] = {}
        if self._catalog is not None:
            present = {(kind, one.name): one.document for kind in KINDS for one in self._catalog.list(kind)}
        self._parse_all(declared, checked)
        everything = {key: parse(key[0], key[1], document)[0] for key, document in present.items()}
        if prune:
            everything = {}  # what the files do not say will be gone
        everything |= checked.objects
        self._check_links(checked, everything, {(one.kind, one.name) for one in declared.declarations})
        columns = {} if offline else self._ask_sources(checked, everything)
        self._lint(checked, everything, columns, offline=offline)
        checked.findings = list(addresses(checked.findings, declared))
        self._compare(checked, present, prune=prune)
        return checked

    def _parse_all(self, declared: Declared, checked: Checked) -> None:
        for one in declared.declarations:
            kind: Kind = one.kind  # type: ignore[assignment]
            document, findings = completed(kind, one.document, one.folder)
            base = f"{SECTION[kind]}.{one.name}"
            checked.findings += [Finding(found.code, found.message, f"{base}.{found.path}") for found in findings]
            parsed, faults = parse(kind, one.name, document) if not findings else (None, [])
            if not is_name(one.name):
                message = "A name has letters, digits, dots, dashes and underscores, and a letter or digit first."
                faults = [*faults, Finding("unknown_value", message, base)]
            checked.findings += faults
            if parsed is not None and not faults:
                checked.objects[(kind, one.name)] = parsed
                checked.documents[(kind, one.name)] = dump(parsed)
        if declared.workspace is not None:
            unknown = set(declared.workspace) - set(WorkspaceConfig.model_fields)
            for key in sorted(unknown):
                message = f'There is no key "{key}" here.{near(key, WorkspaceConfig.model_fields)}'
                checked.findings.append(Finding("unknown_key", message, f"workspace.{key}"))
            name = declared.workspace.get("name", "default")
            if not isinstance(name, str) or not is_name(name):
                message = f'"{name}" is not a name: use letters, digits, dots, dashes and underscores, at most 100, '
                message += "a letter or digit first."
                checked.findings.append(Finding("unknown_value", message, "workspace.name"))
            elif not unknown:
                checked.workspace = WorkspaceConfig(name=name)

    @staticmethod
    def _check_links(
        checked: Checked, everything: Mapping[tuple[Kind, str], Any], declared: Collection[tuple[str, str]]
    ) -> None:
        links = [
            (f"{SECTION[owner]}.{name}.{within}", kind, other)
            for (owner, name), document in checked.documents.items()
            for within, kind, other in references(owner, document)
        ]
        for path, kind, name in links:
            if (kind, name) not in everything and (kind, name) not in declared:
                known = [one for found, one in everything if found == kind]
                checked.findings.append(Finding("not_found", f'There is no {kind} "{name}".{near(name, known)}', path))

    def _ask_sources(self, checked: Checked, everything: Mapping[tuple[Kind, str], Any]) -> dict[str, Any]:
        """Columns by model, of those models that the files declare or whose syncs they declare."""
        wanted = [name for kind, name in checked.objects if kind == "model"]
        wanted += [one.model for one in checked.objects.values() if isinstance(one, SyncConfig)]
        columns: dict[str, Any] = {}
        unreachable: set[str] = set()
        for name in dict.fromkeys(wanted):
            model = everything.get(("model", name))
            source = everything.get(("source", model.source)) if model is not None else None
            if model is None or source is None or model.source in unreachable:
                continue
            try:
                columns[name] = self._open_source(model.source, source).columns(Query(sql=model.sql, table=model.table))
            except HeadraceError as error:
                of_source = error.code in ("source_unreachable", "secret_missing", "secret_unreadable")
                if of_source:
                    unreachable.add(model.source)
                place = f"sources.{model.source}" if of_source else f"models.{name}"
                here = place if of_source else f"{place}.sql" if model.sql else f"{place}.table"
                message = f"{error.message} (`--offline` leaves this check to the run.)" if of_source else error.message
                checked.findings.append(Finding(error.code, message, here))
        return columns

    def _lint(
        self,
        checked: Checked,
        everything: Mapping[tuple[Kind, str], Any],
        columns: Mapping[str, Any],
        *,
        offline: bool,
    ) -> None:
        for (_, name), one in checked.objects.items():
            if isinstance(one, ModelConfig):
                if name in columns:
                    checked.findings += lint_model(name, one, columns[name])
                if one.sql:
                    checked.findings += lint_sql(name, one.sql)
            elif isinstance(one, SyncConfig):
                destination = everything.get(("destination", one.destination))
                if destination is None:
                    continue
                spec = destination_kind(destination.type).SPEC
                checked.findings += lint_sync(name, one, spec, columns.get(one.model))
                sync_type = spec.sync_type(one.type)
                if sync_type is None or sync_type.secret is None:
                    continue
                if not destination.settings.get(sync_type.secret):
                    title = next(secret.title for secret in spec.secrets if secret.name == sync_type.secret)
                    message = (
                        f'Destination "{one.destination}" has no {title} ({sync_type.secret}), and a sync of type '
                    )
                    message += f"{one.type} needs it."
                    if not self._has_kept_secret(one.destination, destination, sync_type.secret):
                        checked.findings.append(Finding("token_missing", message, f"syncs.{name}.type"))
            elif isinstance(one, SequenceConfig):
                checked.findings += lint_sequence(name, one)
            elif isinstance(one, CHANNEL_MODELS):
                checked.findings += lint_channel(name, one)
                for setting, message in ({} if offline else self._secret_faults(one, name)).items():
                    checked.findings.append(Finding("secret_missing", message, f"channels.{name}.{setting}"))
            elif isinstance(one, DestinationConfig) and not offline:
                for secret, message in self._secret_faults(one, name).items():
                    needed = secret in _secrets_needed(name, one, everything)
                    place = f"destinations.{name}.{secret}"
                    checked.findings.append(Finding("secret_missing", message, place, warning=not needed))

    def _has_kept_secret(self, name: str, destination: DestinationConfig, secret: str) -> bool:
        probe = DestinationConfig(type=destination.type, settings={secret: {"secret": f"{name}.{secret}"}})
        return not self._secret_faults(probe, name)

    def _compare(self, checked: Checked, present: Mapping[tuple[Kind, str], dict[str, Any]], *, prune: bool) -> None:
        for key, document in checked.documents.items():
            before = present.get(key)
            if before is None:
                checked.edits.append(Edit(*key, "create"))
            elif before != document:
                keys = before.keys() | document.keys()
                differing = sorted(one for one in keys if before.get(one) != document.get(one))
                checked.edits.append(Edit(*key, "change", tuple(differing)))
                if key[0] == "destination" and any(one.endswith(("_url", "region", "subdomain")) for one in differing):
                    checked.notes.append(
                        f'Destination "{key[1]}" points elsewhere now. What was delivered to the old address counts as '
                        "delivered; `headrace run SYNC --full-resync` sends everything to the new one."
                    )
            else:
                checked.edits.append(Edit(*key, "unchanged"))
        left = [key for key in present if key not in checked.documents]
        if prune:
            checked.edits += [Edit(*key, "delete") for key in left]
        self._note_renames(checked, present, left)

    @staticmethod
    def _note_renames(
        checked: Checked, present: Mapping[tuple[Kind, str], dict[str, Any]], left: list[tuple[Kind, str]]
    ) -> None:
        ids = {sync_id(name, one): name for (kind, name), one in checked.objects.items() if kind == "sync"}
        for kind, name in left:
            if kind != "sync":
                continue
            old_id = present[(kind, name)].get("id") or name
            if old_id in ids:
                checked.notes.append(f'Sync "{ids[old_id]}" keeps the memory of "{name}" (id {old_id}).')
                continue
            for (other_kind, other), document in checked.documents.items():
                same = {**document, "id": None} == {**present[(kind, name)], "id": None}
                if other_kind == "sync" and (other_kind, other) not in present and same:
                    checked.notes.append(
                        f'"{other}" is a new sync and will send every row again, although it looks like "{name}" '
                        f"renamed. Write `id: {old_id}` into it to keep its memory."
                    )

    # Saving -------------------------------------------------------------------------------------------------------

    @verb(Scope.CONFIGURE, changes=lambda checked: "configuration")
    def apply(self, checked: Checked) -> None:
        """Saves what `check` found, in one transaction. Raises ConfigurationError while there is a fault."""
        if checked.faults:
            raise ConfigurationError(checked.faults)
        edits: list[Any] = []
        for edit in checked.edits:
            if edit.action == "delete":
                edits.append(Delete(edit.kind, edit.name))
            elif edit.action != "unchanged":
                edits.append(Put(edit.kind, edit.name, checked.documents[(edit.kind, edit.name)]))
        known = self._stored().setting(FOLDERS, [])
        folders = list(dict.fromkeys([*known, *(str(one) for one in checked.folders)]))
        if folders != known:
            edits.append(SetSetting(FOLDERS, folders))
        if checked.workspace is not None and checked.workspace.name != self.workspace_name():
            note("workspace", {"name": self.workspace_name()}, {"name": checked.workspace.name})
            edits.append(SetSetting(NAME, checked.workspace.name))
        if edits:
            self._stored().apply(edits)

    @verb(Scope.CONFIGURE, changes=lambda kind, name: f"{kind} {name}")
    def delete(self, kind: Kind, name: str) -> None:
        """Takes one object away. Raises NotFound, and UserError `in_use` while others refer to it.

        The memory of a deleted sync stays: declared again under its id, it goes on where it was.
        """
        users = [
            f'{user} "{other}"'
            for user in KINDS
            for other, document in self.documents(user).items()
            if any((kind, name) == named[1:] for named in references(user, document))
        ]
        if users:
            message = f'The {kind} "{name}" is used by {", ".join(users[:5])}. Delete or change those first.'
            raise UserError(message, code="in_use")
        self._stored().delete(kind, name)

    # Giving back --------------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def export(self, folder: Path | None) -> dict[str, str]:
        """File name -> text of the whole configuration, no secret in it. Paths inside `folder` become relative."""
        from headrace.service.files import write_yaml

        texts: dict[str, str] = {}
        whole: dict[str, Any] = {}
        if self.workspace_name() != "default":
            whole["workspace"] = {"name": self.workspace_name()}
        for kind in KINDS:
            section: dict[str, Any] = {}
            for name, stored in self.documents(kind).items():
                document = _relative(kind, stored, folder)
                if kind == "model" and folder is not None and _can_stand_in(texts, document):
                    texts[document["sql_file"]] = document.pop("sql")
                elif kind == "model":
                    document.pop("sql_file", None)
                section[name] = document
            if section:
                whole[SECTION[kind]] = section
        return {"headrace.yaml": write_yaml(whole), **texts}


def _can_stand_in(texts: Mapping[str, str], model: Mapping[str, Any]) -> bool:
    """Whether a model's SQL can be exported as its file: one inside the folder that holds no other model's SQL."""
    name = model.get("sql_file")
    if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
        return False
    return texts.get(name, model.get("sql")) == model.get("sql")


def _secrets_needed(name: str, config: DestinationConfig, everything: Mapping[tuple[Kind, str], Any]) -> set[str]:
    """The secret settings of a destination that some sync can't do without."""
    spec = destination_kind(config.type).SPEC
    syncs = [one for one in everything.values() if isinstance(one, SyncConfig) and one.destination == name]
    return {secret for one in syncs for secret in spec.needed_secrets(config.settings, one.type)}


def _relative(kind: Kind, document: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    def shorten(path: str) -> str:
        inside = folder is not None and os.path.isabs(path) and Path(path).is_relative_to(folder)
        return str(Path(path).relative_to(folder)) if inside and folder is not None else path

    found = with_secret_files(kind, document, shorten)
    if isinstance(found.get("path"), str):
        found["path"] = shorten(found["path"])
    if isinstance(found.get("primary_key"), list) and len(found["primary_key"]) == 1:
        found["primary_key"] = found["primary_key"][0]
    return found

"""Configuration as code: init, apply, export, check, schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.console import clean, complain, count, painted, say, say_json
from headrace.cli.session import Json, opened
from headrace.domain.errors import ConfigurationError, Finding, UserError

if TYPE_CHECKING:
    from headrace.service.catalog import Checked

Project = Annotated[Path, typer.Argument(help="A YAML file, or a folder of them.", metavar="PATH")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no source and need no secret; the run checks the rest.")]
_SIGNS = {"create": ("+", "green"), "change": ("~", "amber"), "delete": ("-", "red")}
_DONE = {"create": "created", "change": "changed", "delete": "deleted", "unchanged": "unchanged"}


def register(app: typer.Typer) -> None:
    for command in (init, apply, check, export, schema):
        app.command()(command)


def init(folder: Annotated[Path, typer.Argument(help="Where to write it.", metavar="[DIR]")] = Path()) -> None:
    """Write a first project with comments: it runs as it is against the emulator."""
    from headrace.sample import starter_project

    try:
        written = starter_project(folder)
    except FileExistsError as error:
        message = f"{error} is there already, and nothing was written over it. Name another folder, or move the file."
        raise UserError(message, code="file_exists") from error
    except OSError as error:
        raise UserError(f"Nothing could be written to {folder}: {error.strerror}.", code="file_unwritable") from error
    for path in written:
        say(f"wrote {path}")
    say(f"Next: headrace emulate vitally (in another terminal), then headrace apply {folder / 'headrace.yaml'}")


def apply(
    path: Project,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the files do not declare.")] = False,
    offline: Offline = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference and save nothing.")] = False,
    json: Json = False,
) -> None:
    """Show how files differ from the workspace, and make the workspace so."""
    with opened(optional=True) as app:
        checked = app.catalog.check(path, offline=offline, prune=prune)
    if checked.faults:
        raise ConfigurationError(checked.findings)
    if not dry_run:
        with opened(create=True) as app:  # by the first command that writes, and only when there is something to save
            app.catalog.apply(checked)
    if json:
        say_json(_applied_document(checked, saved=not dry_run))
        return
    say_findings(checked.findings, as_json=False)
    _say_edits(checked, saved=not dry_run)


def check(path: Project, offline: Offline = False, json: Json = False) -> int:
    """Find everything that is wrong with files, each with its place and its mend; save nothing."""
    with opened(optional=True) as app:
        checked = app.catalog.check(path, offline=offline)
    if json:
        say_json([finding_document(one) for one in checked.findings])
    else:
        say_findings(checked.findings, as_json=False)
        if not checked.faults:
            warnings = f", {count(len(checked.findings), 'warning')}" if checked.findings else ""
            say(f"{count(len(checked.objects), 'object')} checked, no fault{warnings}.")
    return 2 if checked.faults else 0


def export(
    folder: Annotated[
        Path | None, typer.Argument(help="Write files there instead of printing.", metavar="[DIR]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that differ.")] = False,
    json: Json = False,
) -> None:
    """Give the workspace's configuration back as YAML. No secret is in it."""
    with opened() as app:
        texts = app.catalog.export(folder.absolute() if folder is not None else None)
    if folder is None:
        say_json({"files": texts}) if json else say(texts["headrace.yaml"].rstrip())
        return
    _write_all(folder, texts, force=force)
    if json:
        say_json({"written": [str(folder / name) for name in texts]})
    else:
        for name in texts:
            say(f"wrote {folder / name}")


def schema() -> None:
    """Print the JSON Schema of the YAML files, for an editor's completion."""
    from headrace.service.schema import configuration_schema

    say_json(configuration_schema())


def _write_all(folder: Path, texts: dict[str, str], *, force: bool) -> None:
    for name, text in texts.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            message = f"The SQL file {name} lies outside {folder}; nothing was written. Export to a folder above it."
            raise UserError(message, code="file_outside")
        if not force and path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
            message = f"{path} is there already and differs; nothing was written. Use --force to write over it."
            raise UserError(message, code="file_exists")
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror}.", code="file_unwritable") from error


def say_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Findings one a line, unwrapped, on standard error; as JSON they are a list on standard output."""
    if as_json:
        say_json([finding_document(one) for one in findings])
        return
    for one in findings:
        complain(clean(str(one)))


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON shows it."""
    return {
        "code": finding.code,
        "message": finding.message,
        "path": finding.path,
        "file": finding.place.file if finding.place else None,
        "line": finding.place.line if finding.place else None,
        "warning": finding.warning,
    }


def _say_edits(checked: Checked, *, saved: bool) -> None:
    for edit in checked.edits:
        if edit.action == "unchanged":
            continue
        sign, colour = _SIGNS[edit.action]
        fields = f" ({', '.join(edit.fields)})" if edit.fields else ""
        say(f"{painted(sign, colour)} {edit.kind} {edit.name}{fields}")
    for note in checked.notes:
        say(f"note: {note}")
    numbers = {action: sum(edit.action == action for edit in checked.edits) for action in _DONE}
    told = ", ".join(f"{number} {_DONE[action]}" for action, number in numbers.items() if number)
    if saved:
        say(f"Applied: {told or 'nothing declared'}.")
    else:
        say(f"Dry run: {told or 'nothing declared'}. Nothing was saved.")


def _applied_document(checked: Checked, *, saved: bool) -> dict[str, Any]:
    edits = [{"kind": one.kind, "name": one.name, "action": one.action, "fields": one.fields} for one in checked.edits]
    warnings = [finding_document(one) for one in checked.findings]
    return {"saved": saved, "edits": edits, "notes": checked.notes, "warnings": warnings}

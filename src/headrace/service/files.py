"""YAML in and out: files or a folder become declarations with the place of every key, and objects become YAML again.

What it reads is only shaped as YAML; what it means is `catalog`'s matter. All faults of all files come back together.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from headrace.domain.errors import Finding, NotFound, Place, UserError
from headrace.domain.shapes import near
from headrace.service.documents import SECTION

SECTIONS = {section: kind for kind, section in SECTION.items()}
LARGEST_FILE = 1 << 20
MOST_NODES = 100_000
DEEPEST = 40
_DUPLICATE = re.compile('found duplicate key "([^"]{0,100})"')
DEEPEST_BRACKETS = 500  # the parser takes seconds to fail over thousands


@dataclass(frozen=True, slots=True)
class Declaration:
    """One object as a file declares it: plain values, and the folder that its paths are relative to."""

    kind: str
    name: str
    document: dict[str, Any]
    folder: Path


@dataclass(slots=True)
class Declared:
    """All that a set of files declares. `places` maps dotted addresses (`syncs.accounts.mode`) to file and line."""

    declarations: list[Declaration] = field(default_factory=list)
    workspace: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    def place(self, path: str) -> Place | None:
        """The place of that address, or of the nearest one around it that is written down."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition(".")[0]
        return None


def read_project(path: Path) -> Declared:
    """The declarations of a file, or of every YAML file in a folder and below. Raises UserError for a missing path."""
    declared = Declared()
    for file in _files(path):
        folder = file.parent.resolve()
        if folder not in declared.folders:
            declared.folders.append(folder)
        _read_file(file, folder, declared)
    return declared


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            one
            for one in path.rglob("*")
            if one.suffix in (".yaml", ".yml")
            and one.is_file()
            and not any(part.startswith(".") for part in one.relative_to(path).parts)
        )
        if not found:
            message = f"The folder {path} has no YAML file. `headrace init {path}` makes a first one."
            raise UserError(message, code="no_files")
        return found
    if not path.exists():
        raise NotFound("file or folder", str(path))
    return [path]


def _read_file(file: Path, folder: Path, declared: Declared) -> None:
    shown = str(file)
    try:
        if file.stat().st_size > LARGEST_FILE:
            message = f"The file is larger than {LARGEST_FILE // 1024} kB. Split it."
            declared.findings.append(Finding("yaml_invalid", message, place=Place(shown, 1)))
            return
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        declared.findings.append(Finding("yaml_invalid", "The file is not UTF-8 text.", place=Place(shown, 1)))
        return
    except OSError as error:
        raise UserError(f"The file {file} can't be read: {error.strerror}.", code="file_unreadable") from error
    _read_text(text, shown, folder, declared)


def read_project_text(text: str, folder: Path) -> Declared:
    """The declarations of one YAML text that came from no file; paths in it are relative to `folder`."""
    declared = Declared()
    _read_text(text, "configuration", folder, declared)
    return declared


def _read_text(text: str, shown: str, folder: Path, declared: Declared) -> None:
    try:
        if _brackets_open(text) > DEEPEST_BRACKETS:
            raise RecursionError
        loaded = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        # The parser's words repeat the values, and one of them may be a secret.
        mark, found = error.problem_mark, _DUPLICATE.search(str(error.problem))
        key = f'The key "{found[1]}"' if found else "A key"
        place = Place(shown, mark.line + 1 if mark else 1)
        declared.findings.append(Finding("yaml_invalid", f"{key} stands here a second time. Keep one.", place=place))
        return
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(str(part) for part in (error.problem, error.context) if part)
        place = Place(shown, mark.line + 1 if mark else 1)
        declared.findings.append(Finding("yaml_invalid", f"This is not YAML: {said}.", place=place))
        return
    except RecursionError:
        message = "The file is nested too deeply or expands to too much."
        declared.findings.append(Finding("yaml_invalid", message, place=Place(shown, 1)))
        return
    except (YAMLError, ValueError) as error:
        declared.findings.append(Finding("yaml_invalid", f"This is not YAML: {error}.", place=Place(shown, 1)))
        return
    if loaded is None:
        return
    if not isinstance(loaded, CommentedMap):
        message = f"The file must hold a mapping with the keys {', '.join(SECTIONS)}, workspace."
        declared.findings.append(Finding("wrong_type", message, place=Place(shown, 1)))
        return
    _take_sections(loaded, shown, folder, declared)


def _brackets_open(text: str) -> int:
    """How many brackets stand open at once, at most; those in texts count along."""
    depth = deepest = 0
    for bracket in re.finditer(r"[\[{\]}]", text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _take_sections(loaded: CommentedMap, shown: str, folder: Path, declared: Declared) -> None:
    budget = [MOST_NODES]
    for section, content in loaded.items():
        written = loaded.lc.data.get(section)  # not there where a merge key brought it
        place = Place(shown, written[0] + 1 if written else 1)
        if section not in SECTIONS and section != "workspace":
            message = f'There is no section "{section}".{near(str(section), [*SECTIONS, "workspace"])}'
            declared.findings.append(Finding("unknown_key", message, str(section), place))
            continue
        if content is None:
            continue
        if not isinstance(content, CommentedMap):
            message = f'The section "{section}" must be a mapping of names.'
            declared.findings.append(Finding("wrong_type", message, section, place))
            continue
        try:
            plain = _plain(content, section, shown, declared.places, budget, 0)
        except _TooMuch as error:
            declared.findings.append(Finding("yaml_invalid", str(error), section, place))
            continue
        if section == "workspace":
            declared.workspace = plain
            continue
        for name, document in plain.items():
            _declare(SECTIONS[section], name, document, section, folder, declared)


def _declare(kind: str, name: str, document: Any, section: str, folder: Path, declared: Declared) -> None:
    path = f"{section}.{name}"
    place = declared.places.get(path)
    earlier = next((one for one in declared.declarations if (one.kind, one.name) == (kind, name)), None)
    if earlier is not None:
        message = f'The {kind} "{name}" is declared twice. Keep one.'
        declared.findings.append(Finding("declared_twice", message, path, place))
    elif not isinstance(document, dict):
        declared.findings.append(Finding("wrong_type", f'The {kind} "{name}" must be a mapping.', path, place))
    else:
        declared.declarations.append(Declaration(kind, str(name), document, folder))


class _TooMuch(Exception):
    """More nodes or levels than any honest file has: an alias bomb."""


def _plain(node: Any, path: str, shown: str, places: dict[str, Place], budget: list[int], depth: int) -> Any:
    """Plain dicts, lists and scalars; notes every key's place on the way."""
    budget[0] -= 1
    if budget[0] < 0 or depth > DEEPEST:
        raise _TooMuch("The file is nested too deeply or expands to too much.")
    if isinstance(node, CommentedMap):
        found: dict[str, Any] = {}
        for key, value in node.items():
            name = _key(key)
            inner = f"{path}.{name}"
            with_place = node.lc.data.get(key) if node.lc.data else None
            if with_place is not None:
                places.setdefault(inner, Place(shown, with_place[0] + 1))
            found[name] = _plain(value, inner, shown, places, budget, depth + 1)
        return found
    if isinstance(node, CommentedSeq):
        return [_plain(one, f"{path}.{number}", shown, places, budget, depth + 1) for number, one in enumerate(node)]
    return _scalar(node)


def _key(key: Any) -> str:
    """A key as it was written: for YAML, `null:` (an option of every rule) and `true:` are no texts."""
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(key)


def _scalar(node: Any) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node if node is None else str(node)


def write_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML, keys in the order given, texts of several lines as blocks."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_blocks(document), out)
    return out.getvalue()


def _blocks(node: Any) -> Any:
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(node, Mapping):
        return {key: _blocks(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_blocks(one) for one in node]
    if isinstance(node, str) and "\n" in node:
        return LiteralScalarString(node)
    return node


def addresses(findings: list[Finding], declared: Declared) -> Iterator[Finding]:
    """The findings with their places filled in, in the order of the files."""
    for finding in findings:
        place = finding.place or declared.place(finding.path)
        yield Finding(finding.code, finding.message, finding.path, place, finding.warning)

"""What the pages say can be done can be done: links lead somewhere, commands exist, YAML is accepted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reference_pages
import typer.main
from ruamel.yaml import YAML

from headrace.cli.main import build
from headrace.service.catalog import CatalogService

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`(headrace [^`]+)`")
NEEDED = {"sources", "models", "destinations", "syncs"}


def test_every_relative_link_leads_somewhere(markdown_files: list[Path]) -> None:
    """A dead link in the first page a person reads says that nobody looked."""
    dead = []
    for path in markdown_files:
        for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
            if "://" in target or target.startswith("mailto:"):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
                dead.append(f"{path.relative_to(ROOT)}: {target}")

    assert [] == dead


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_command_in_the_pages_exists(markdown_files: list[Path]) -> None:
    """Whoever copies a line from a page must not be told that there is no such command."""
    refused = [
        f"{path.relative_to(ROOT)}: {line}: {why}"
        for path in markdown_files
        if path.parent != reference_pages.FOLDER
        for line in commands_of(path)
        if (why := fault_of(line))
    ]

    assert [] == refused


def commands_of(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    yield from IN_LINE.findall(FENCE.sub("", text))
    for language, block in FENCE.findall(text):
        if language in ("", "sh", "bash", "console"):
            lines = (part.strip().removeprefix("$ ") for line in block.splitlines() for part in line.split("&&"))
            yield from (line for line in lines if line.startswith("headrace "))


def fault_of(line: str) -> str:
    """Why the program would refuse the line; empty where it would not. Placeholders in capitals are fine."""
    words = shlex.split(line.split("  ")[0].split(" #")[0].split(" > ")[0].split(" (")[0].rstrip(" &"))[1:]
    command: Any = typer.main.get_command(build())
    while words and getattr(command, "commands", None) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    options = {name: one for one in command.params for name in one.opts if name.startswith("-")}
    arguments = [one for one in command.params if not one.opts[0].startswith("-")]
    given = 0
    while words:
        word = words.pop(0)
        name = word.partition("=")[0]
        if not word.startswith("-"):
            given += 1
        elif name in ("--help", "-h"):
            return ""
        elif name not in options:
            return f"no option {name}"
        elif not options[name].is_flag and "=" not in word:
            if not words:
                return f"{name} needs a value"
            words.pop(0)
    most = sum(1000 if one.nargs == -1 else 1 for one in arguments)
    return "no such command or argument" if given > most else ""


@pytest.mark.parametrize("line", ["headrace nope", "headrace run --alll", "headrace plan a b", "headrace syncs nope x"])
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    """The check itself must be able to fail."""
    assert fault_of(line)


def test_yaml_in_the_pages_is_accepted(markdown_files: list[Path], tmp_path: Path) -> None:
    """Examples are copied: each one must pass the check that the program itself makes."""
    faults = []
    for path in markdown_files:
        for number, block in enumerate(yaml_blocks(path)):
            file = tmp_path / f"{path.stem}-{number}.yaml"
            file.write_text(block, encoding="utf-8")
            checked = CatalogService(None, no_source, no_secrets, lambda _: None).check(file, offline=True)
            whole = set(YAML(typ="safe").load(block)) >= NEEDED
            faults += [
                f"{path.relative_to(ROOT)}, block {number}: {one}"
                for one in checked.faults
                if whole or one.code not in ("not_found", "key_missing", "field_required")  # an example shows a part
            ]

    assert [] == faults


def yaml_blocks(path: Path) -> list[str]:
    return [block for language, block in FENCE.findall(path.read_text(encoding="utf-8")) if language == "yaml"]


def no_source(name: str, config: object) -> Any:
    raise AssertionError("an offline check asked a source")


def no_secrets(config: object, name: str) -> dict[str, str]:
    return {}


def test_the_readme_shows_a_whole_configuration() -> None:
    """The first thing that a person copies must be whole."""
    block = YAML(typ="safe").load(yaml_blocks(ROOT / "README.md")[0])

    assert NEEDED == set(block)


def test_every_dependency_has_its_line_in_the_architecture() -> None:
    """A dependency that nobody can give a reason for should not be there."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[^A-Za-z0-9_.-]", one)[0] for one in wanted}
    explained = set(
        re.findall(r"^\| ([A-Za-z0-9_.-]+)(?: \([^)]*\))? \|", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    )

    assert set() == names - explained


def test_every_folder_has_its_line_in_the_architecture() -> None:
    """The map must show every room."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (ROOT / "src" / "headrace").iterdir() if (path / "__init__.py").exists()]

    assert [] == [room for room in rooms if f"| `{room}/` |" not in text]

"""Rules of the house that no linter knows."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "headrace"

MACHINE_PATH = re.compile(r"(?<![\w.~:/-])/(?:work|root|home/\w+|opt|Users/\w+)/[\w.-]+")
REGISTRY_HOST = re.compile(r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|proxy\.golang\.org)\b")
INDEX_OPTION = re.compile(r"^\s*(?:--(?:extra-)?index-url|--find-links|-i|-f)\b|(?:file|https?)://", re.MULTILINE)

VENDOR_ROOMS = ("destinations/vitally/", "emulator/", "sample/")
VENDOR_NAMES_ALLOWED = {
    "__init__.py": ("Vitally",),  # what the product is for
    "destinations/__init__.py": ('"vitally"', '"headrace.destinations.vitally"'),  # the list
    "cli/main.py": ("Vitally",),  # what the product is for
    "cli/configuration.py": ("headrace emulate vitally",),  # tells how to start the emulator
    "cli/keeping.py": ("vitally.rest_api_token",),  # an example of a secret's name
    "cli/demo.py": ("Vitally", "vitally"),  # shows the emulator
    "cli/emulating.py": ("Vitally", "vitally"),  # starts the emulator
}
"""Where a vendor may be named outside its rooms, and with which words."""
CONTRACT_WORD = "vitally_id"
"""The configuration's own word (`by: vitally_id`), and what is named after it."""


def kept_files() -> list[Path]:
    """Every file that git keeps or would keep. Without git there is nothing to look at."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    for path in kept_files():
        if path != Path(__file__):
            try:
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_file_speaks_of_a_machine_or_of_a_registry() -> None:
    """What names one machine's paths does not work on another."""
    found = [
        f"{name}: {match[0]}"
        for name, text in texts()
        for pattern in (MACHINE_PATH, REGISTRY_HOST)
        for match in pattern.finditer(text)
    ]

    assert [] == found


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_requirements_are_pinned_with_hashes_and_name_no_index(name: str) -> None:
    """A requirement without a hash, or from a place of its own, is an open door."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9][\w.-]*)==\S+[^\n]* \\$\n    --hash=sha256:", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert len(lines) == len(pins)
    assert [] == INDEX_OPTION.findall(text)


def test_everything_that_pyproject_asks_for_is_pinned() -> None:
    """A dependency that was added without `make lock` is missing on every new machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, wanted in (
        ("run.txt", project["dependencies"]),
        ("dev.txt", project["dependencies"] + project["optional-dependencies"]["dev"]),
    ):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        pinned = set(re.findall(r"^([a-z0-9][\w.-]*)==", text, re.MULTILINE))
        names = {re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9_.-]", one)[0]).lower() for one in wanted}

        assert set() == names - pinned, f"run `make lock`: {name}"


def test_no_vendor_is_named_outside_its_rooms() -> None:
    """A second destination must fit in one folder, with no change above the list."""
    found: dict[str, list[str]] = {}
    for name, line in vendor_names():
        found.setdefault(name, []).append(line)

    assert {} == found


def vendor_names() -> Iterator[tuple[str, str]]:
    """(file, line) of the package's lines that name the vendor, comments and docstrings included."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name.startswith(VENDOR_ROOMS):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            rest = line.replace(CONTRACT_WORD, "")
            for word in VENDOR_NAMES_ALLOWED.get(name, ()):
                rest = rest.replace(word, "")
            if "vitally" in rest.lower():
                yield name, f"{number}: {line.strip()}"


def test_the_engine_never_logs_or_prints() -> None:
    """It emits events; who listens decides what is shown."""
    found = []
    for folder in ("engine", "domain", "destinations"):
        for path in (PACKAGE / folder).rglob("*.py"):
            tokens = list(tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline))
            for one, following in pairwise(tokens):
                if one.type == tokenize.NAME and (
                    one.string in ("logging", "getLogger", "warnings")
                    or (one.string, following.string) == ("print", "(")
                ):
                    found.append(f"{path.relative_to(PACKAGE)}:{one.start[0]}: {one.string}")

    assert [] == found


def test_ci_does_what_make_test_does() -> None:
    """What is green here must be green there."""
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")


DIALECTS = {"postgres_queue.py", "sqlite.py", "sqlite_log.py", "postgres.py", "postgres_log.py", "workspace.py"}


def test_nothing_above_the_two_backends_names_a_dialect() -> None:
    """A statement that one database takes and the other does not is found by nobody who tests on one of them."""
    dialect = re.compile(r"sqlalchemy\.dialects|from headrace\.store import .*\b(?:sqlite|postgres)\b|import psycopg")
    found = [
        path.name
        for folder in ("store", "service", "web", "cli")
        for path in (PACKAGE / folder).rglob("*.py")
        if path.name not in DIALECTS and dialect.search(path.read_text())
    ]

    assert [] == found

"""The repository as its pages and checks see it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNKEPT = {".git", ".venv", ".headrace", ".hypothesis", ".mypy_cache", ".ruff_cache", ".import_linter_cache", "results"}


@pytest.fixture(scope="session")
def kept_files() -> list[Path]:
    """Every file that git keeps or would keep; without git, every file outside the folders it ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return [path for path in found if not UNKEPT.intersection(path.relative_to(ROOT).parts)]


@pytest.fixture(scope="session")
def markdown_files(kept_files: list[Path]) -> list[Path]:
    return sorted(path for path in kept_files if path.suffix == ".md")

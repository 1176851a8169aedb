"""Writes project folders: the demo's, which goes with the sample warehouse, and the starter of `headrace init`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

EMULATOR_URL = "http://127.0.0.1:8790"

# The keys that the emulator takes by default; they open nothing else.
EMULATOR_TOKENS = "VITALLY_REST_TOKEN=sk_live_test\nVITALLY_ANALYTICS_TOKEN=analytics_test\n"

_STARTER_ENV = f"# Keys of the emulator. Put your own here; this file is ignored by git.\n{EMULATOR_TOKENS}"
_STARTER_IGNORED = ".env\n.headrace/\n"


def demo_project(target_dir: str | Path, url: str = EMULATOR_URL) -> list[Path]:
    """Writes headrace.yaml for the sample warehouse (expected beside it as warehouse.duckdb) and a .env.

    `url` is where the emulator listens. Gives the files written. Raises FileExistsError as `starter_project` does.
    """
    configuration = _read_part("headrace.yaml").replace(EMULATOR_URL, url.rstrip("/"))
    return _write_new(Path(target_dir), {"headrace.yaml": configuration, ".env": EMULATOR_TOKENS})


def starter_project(target_dir: str | Path) -> list[Path]:
    """Writes a project that runs as it is against the emulator: headrace.yaml, accounts.csv, .env, .gitignore.

    Makes the folder when there is none and gives the files written. Raises FileExistsError, naming the first file
    that is there already; nothing is written then.
    """
    texts = {
        "headrace.yaml": _read_part("starter.yaml"),
        "accounts.csv": _read_part("accounts.csv"),
        ".env": _STARTER_ENV,
        ".gitignore": _STARTER_IGNORED,
    }
    return _write_new(Path(target_dir), texts)


def _read_part(name: str) -> str:
    return (files("headrace.sample") / "project" / name).read_text(encoding="utf-8")


def _write_new(folder: Path, texts: dict[str, str]) -> list[Path]:
    targets = {folder / name: text for name, text in texts.items()}
    for path in targets:
        if path.exists():
            raise FileExistsError(str(path))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in targets.items():
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return list(targets)

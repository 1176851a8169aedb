"""Writes static/manifest.json: a hash of each built file, for its address, and one of the sources they were built from.

Run by `make assets` after build.mjs. A test compares the hash of the sources, so that nobody commits stale files.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

WEB = Path(__file__).parents[1]
STATIC = WEB / "static"
MANIFEST = "manifest.json"
_CLASSES = re.compile(r"class=\"([^\"]*)\"")


def sources_digest() -> str:
    """Of the files in this folder, and of the words in `class` attributes, since the style sheet is made for those."""
    digest = hashlib.sha256()
    assets = Path(__file__).parent
    for path in sorted([*assets.glob("*.*"), *(assets / "src").rglob("*.*")]):
        if path.is_file():
            digest.update(str(path.relative_to(assets)).encode() + b"\0" + path.read_bytes() + b"\0")
    words: set[str] = set()
    for template in (WEB / "templates").rglob("*.html"):
        for classes in _CLASSES.findall(template.read_text(encoding="utf-8")):
            words.update(classes.split())
    digest.update(" ".join(sorted(words)).encode())
    return digest.hexdigest()


def built_hashes() -> dict[str, str]:
    """Name of each built file -> the beginning of the hash of its content."""
    return {
        str(path.relative_to(STATIC)): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(STATIC.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def write_manifest() -> None:
    manifest = {"sources": sources_digest(), "files": built_hashes()}
    (STATIC / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_manifest()

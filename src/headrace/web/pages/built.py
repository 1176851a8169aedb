"""The files that `make assets` built: their addresses with a hash of their content, their icons, and serving them.

A file's address changes with its content, so a browser may keep it for ever.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

STATIC = Path(__file__).parents[1] / "static"
PREFIX = "/static/"


@cache
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
    return found


@cache
def icons() -> dict[str, str]:
    """Name of an icon -> what stands inside its <svg>."""
    found: dict[str, str] = json.loads((STATIC / "icons.json").read_text(encoding="utf-8"))
    return found


def address(name: str) -> str:
    """Where a built file is. Raises KeyError for one that was not built."""
    return f"{PREFIX}{name}?v={manifest()['files'][name]}"


class _BuiltFiles(StaticFiles):
    """Files that may be kept for ever where the address has the hash of their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        version = manifest()["files"].get(path, "-")
        if f"v={version}".encode() == scope["query_string"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def built_files() -> ASGIApp:
    """Serves them, compressed. Nothing secret is in them, so compression gives nothing away."""
    return GZipMiddleware(_BuiltFiles(directory=STATIC), minimum_size=1024)

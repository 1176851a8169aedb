"""One call of the command line: which workspace it is about, and its services."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headrace.app import App, Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]

_workspace: list[str | None] = [None]


def choose_workspace(path: str | None) -> None:
    """Remembers what --workspace said."""
    _workspace[0] = path


@contextmanager
def opened(*, create: bool = False, optional: bool = False) -> Iterator[App]:
    """The application over the chosen workspace. `create` and `optional` as App.open."""
    from headrace.app import read_settings

    with opened_with(read_settings(_workspace[0]), create=create, optional=optional) as app:
        yield app


@contextmanager
def opened_with(settings: Settings, *, create: bool = False, optional: bool = False) -> Iterator[App]:
    """The application of these settings, asked by whoever is at the keyboard."""
    from headrace.app import App
    from headrace.domain.access import whole
    from headrace.service.verbs import acting_as

    with App.open(settings, create=create, optional=optional) as app, acting_as(whole(_who())):
        yield app


def _who() -> str:
    """Who is at the keyboard: whoever can open the workspace itself may do everything in it."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a user id without a name, as in many containers
        return f"cli:{os.getuid()}"


def workspace_option() -> str:
    """The option that names the same workspace in a command that a person copies; empty for the usual one."""
    return f"--workspace {shlex.quote(_workspace[0])} " if _workspace[0] else ""


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop where it exists."""
    try:
        import uvloop
    except ImportError:  # it does not exist on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()

"""The command `headrace`: builds the commands, and turns whatever goes wrong into a clear message and an exit code.

0 all well, 1 rows were rejected, 2 wrong use or configuration, 3 failed, 4 held, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import Abort, TyperException

from headrace.cli import (
    access,
    configuration,
    debugging,
    demo,
    emulating,
    keeping,
    listing,
    operating,
    running,
    scheduling,
    serving,
    suggesting,
    trying,
    working,
)
from headrace.cli.console import complain, say, say_json
from headrace.cli.session import choose_workspace
from headrace.domain.errors import Bug, ConfigurationError, HeadraceError

INTERRUPTED = 130
STDOUT = 1
PIPE_CLOSED = 141
"""What a shell reports of a program that wrote to a pipe whose reader had gone."""

_LOOKING = (demo, configuration, listing, suggesting, trying)
_DOING = (running, scheduling, debugging, keeping, access, operating, serving, working, emulating)


def main() -> NoReturn:
    """Runs the command that the arguments ask for and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    leave(run(sys.argv[1:]))


def leave(code: int) -> NoReturn:
    """Ends the process at once: everything is closed, and to take the modules apart costs up to a third of a second."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = PIPE_CLOSED
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Does what the arguments ask for; every fault has become a message when this answers with the exit code."""
    as_json = "--json" in arguments
    try:
        code = build()(workspace_first(arguments), standalone_mode=False, prog_name="headrace")
        return code if isinstance(code, int) else 0
    except HeadraceError as error:
        return tell(error, as_json=as_json)
    except TyperException as error:
        return tell_wrong_use(error, as_json=as_json)
    except (KeyboardInterrupt, Abort):
        complain("Interrupted.")
        return INTERRUPTED
    except SystemExit as left:
        if not isinstance(left.__context__, BrokenPipeError):  # what Typer makes of a closed pipe
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # what is still buffered goes nowhere, quietly
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the edge: whatever else comes is a bug of ours, said in one line
        return tell_bug(error, as_json=as_json)


def build() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        help="From warehouse rows to Vitally: only what changed, every API call in sight.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
    )

    @app.callback()
    def choose(
        workspace: Annotated[
            str | None,
            typer.Option(
                help="The workspace's folder or Postgres address. Default: $HEADRACE_WORKSPACE, else ./.headrace.",
                metavar="PATH_OR_URL",
            ),
        ] = None,
        version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_say_version)] = False,
    ) -> None:
        choose_workspace(workspace)

    for part in (*_LOOKING, *_DOING):
        part.register(app)
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        from headrace import __version__

        say(f"headrace {__version__}")
        raise typer.Exit


def workspace_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with --workspace moved to the front, so that it may stand after the command too."""
    front: list[str] = []
    rest = list(arguments)
    end = rest.index("--") if "--" in rest else len(rest)
    place = 0
    while place < end:
        if rest[place].startswith("--workspace="):
            taken = 1
        elif rest[place] == "--workspace" and place + 1 < end:
            taken = 2
        else:
            place += 1
            continue
        front += rest[place : place + taken]
        del rest[place : place + taken]
        end -= taken
    return front + rest


def tell(error: HeadraceError, *, as_json: bool) -> int:
    """One of our own errors: its message, or its findings one a line."""
    if isinstance(error, Bug):
        return tell_bug(error, as_json=as_json)
    if isinstance(error, ConfigurationError):
        configuration.say_findings(error.findings, as_json=as_json)
    elif as_json:
        say_json(error_document(error.code, error.message))
    else:
        complain(f"Error: {error.message}")
    return error.exit_code


def tell_wrong_use(error: TyperException, *, as_json: bool) -> int:
    """An option or command that is not there, or a value that does not fit."""
    if as_json:
        say_json(error_document("usage", error.format_message()))
    else:
        show: Any = getattr(error, "show", None)
        if show is not None:
            show(file=sys.stderr)
        else:
            complain(f"Error: {error.format_message()}")
    return int(getattr(error, "exit_code", 2))


def tell_bug(error: Exception, *, as_json: bool) -> int:
    """Something that must not happen. The traceback is for whoever asks for it."""
    if os.environ.get("HEADRACE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    message = (
        f"This is a bug in Headrace: {type(error).__name__}: {error}. What was acknowledged is kept. "
        "Run the same with HEADRACE_DEBUG=1 and report what it prints."
    )
    if as_json:
        say_json(error_document("bug", message))
    else:
        complain(message)
    return 3


def error_document(code: str, message: str) -> dict[str, dict[str, str]]:
    """An error as every face with JSON shows it."""
    return {"error": {"code": code, "message": message}}

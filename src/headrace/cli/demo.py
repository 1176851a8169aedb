"""`headrace demo`: the whole of it on this machine, with real numbers, in well under a minute.

A sample warehouse, an emulated Vitally as a process of its own, three runs. It checks what it tells: a number that is
not as promised makes it exit with 1.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.console import clean, complain, glyph, painted, say, shortened
from headrace.cli.session import Json, opened_with
from headrace.domain.errors import UserError, WorldError
from headrace.domain.outcome import Change, RunStatus

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.engine.explain import Sample
    from headrace.service.runs import RunReport

HOST = "127.0.0.1"
USUAL_PORT = 8790
MARK = ".headrace-demo"
MADE = ("warehouse.duckdb", "warehouse.duckdb.wal", "headrace.yaml", ".env", ".headrace", MARK)
"""All that the demo writes into its folder, and all that a later demo takes away again."""
PATIENCE_S = 20.0
_TABLE_OF = {
    "organizations": "organizations",
    "accounts": "accounts",
    "users": "users",
    "usage": "accounts",
    "events": "product_events",
}
"""Sync of the demo -> the table whose rows it has."""
HELD = ("organizations", "accounts", "users", "events")
"""What the emulated Vitally counts; `usage` writes onto accounts."""
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command()(demo)


@dataclass(slots=True)
class Story:
    """What happened, and what was not as promised."""

    rows: dict[str, int] = field(default_factory=dict)
    rounds: dict[str, list[RunReport]] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def promise(self, holds: bool, sentence: str) -> None:
        """Notes a promise that does not hold."""
        if not holds:
            self.broken.append(sentence)


def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Where to make it.")] = Path("demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave an earlier demo alone; make this one beside it.")] = False,
    json: Json = False,
) -> int:
    """Sync a sample warehouse into an emulated Vitally, events included: all rows, none, then just what changed."""
    from headrace.sample import demo_project, write_warehouse

    started = time.monotonic()
    _raise_on_hangup()
    folder = _fresh_folder(folder, keep=keep)
    story = Story(rows=write_warehouse(str(folder / "warehouse.duckdb")))
    tell = _silent if json else say
    tell(f"A sample warehouse in {folder}: " + ", ".join(f"{n:,} {table}" for table, n in story.rows.items()))
    port = _free_port()
    try:
        with emulator(port) as url:
            demo_project(folder, url)
            tell(f"An emulated Vitally listens on {url}.")
            _act(folder, url, story, tell)
    except KeyboardInterrupt:
        complain("Interrupted. The emulator has ended; the next demo makes the folder anew.")
        return INTERRUPTED
    seconds = time.monotonic() - started
    if json:
        _say_document(story, folder, url, seconds)
    else:
        _say_end(story, folder, port, seconds)
    return 1 if story.broken else 0


def _silent(text: str = "") -> None:
    return None


def _act(folder: Path, url: str, story: Story, tell: Any) -> None:
    """Applies the project and runs it three times."""
    from headrace.sample import change_some

    with _application(folder) as app:
        checked = app.catalog.check(folder / "headrace.yaml")
        app.catalog.apply(checked)
        names = app.runs.in_order(None)
        tell("")
        tell(painted("1. The first run creates everything", "bold"))
        _round(app, names, "first", story, tell)
        for one in story.rounds["first"]:
            rows = story.rows[_TABLE_OF[one.sync]]
            story.promise(one.counts.delivered == one.counts.rows == rows, f"first run of {one.sync}")
        tell(painted("2. Nothing changed, so the second run sends nothing", "bold"))
        _round(app, names, "second", story, tell)
        for one in story.rounds["second"]:
            story.promise(one.counts.requests == 0, f"second run of {one.sync} sent {one.counts.requests} requests")
        story.changes = change_some(str(folder / "warehouse.duckdb"))
        tell(painted("3. A day at the company changes a few rows", "bold"))
        for sentence in _some(story.changes["story"]):
            tell(f"  {clean(sentence)}")
        _say_plan(app, tell)
        _round(app, names, "third", story, tell)
        for one in story.rounds["third"]:
            _check_third(one, story)
    story.held = {kind: number for kind, number in _get(url, "/emulator/state?kind=admins")["counts"].items() if number}
    for name in HELD:
        expected = story.rows[_TABLE_OF[name]] + story.changes[name]["added"]
        story.promise(story.held.get(name) == expected, f"Vitally holds {story.held.get(name)} {name}, not {expected}")


def _check_third(report: RunReport, story: Story) -> None:
    told, counts = story.changes[report.sync], report.counts
    expected = (told["changed"], told["added"], told["changed"] + told["added"])
    found = (counts.changed, counts.added, counts.delivered)
    story.promise(found == expected, f"third run of {report.sync}: {found} changed, added, delivered, not {expected}")


def _round(app: App, names: list[str], which: str, story: Story, tell: Any) -> None:
    """Runs every sync once. Raises KeyboardInterrupt after Ctrl-C, WorldError for a run that failed."""
    from headrace.cli.progress import SilentView, view_for
    from headrace.cli.running import in_loop, sentence
    from headrace.engine.job import RunOptions

    async def go() -> list[RunReport]:
        reports = []
        for name in names:
            view = SilentView() if tell is _silent else view_for(name, as_json=False, brief=True)
            with view:
                report = await app.runs.run(name, RunOptions(), view.emit, view.wait)
            if app.runs.interrupted:
                break
            if report.error is not None:
                raise report.error
            tell(f"  {glyph(report.status)}{name}: {sentence(report)}")
            reports.append(report)
        return reports

    reports = in_loop(app, go())
    if app.runs.interrupted:
        raise KeyboardInterrupt
    for one in reports:
        story.promise(one.status is RunStatus.SUCCEEDED, f"{which} run of {one.sync} ended as {one.status}")
    story.rounds[which] = reports
    tell("")


def _say_plan(app: App, tell: Any) -> None:
    """One changed account as `headrace plan accounts` shows it, before it is sent."""
    from headrace.engine.job import RunOptions

    samples: list[Sample] = list(app.trials.plan("accounts", 0, RunOptions()).samples)
    sample = next((one for one in samples if one.change is Change.CHANGED), None)
    if sample is not None:
        tell(f"  What `headrace plan accounts` says of {sample.key} before anything is sent:")
        for one in sample.fields:
            tell(f"    {one.column}: {shortened(clean(one.old), 40)} -> {shortened(clean(one.new), 40)}")


def _some(sentences: list[str], most: int = 4) -> list[str]:
    """A few of the sentences, from all over."""
    if len(sentences) <= most:
        return sentences
    step = len(sentences) / most
    chosen = [sentences[int(place * step)] for place in range(most - 1)]
    return [*chosen, sentences[-1], f"... and {len(sentences) - most} more."]


def _say_end(story: Story, folder: Path, port: int, seconds: float) -> None:
    rounds = {name: _total(reports) for name, reports in story.rounds.items()}
    say(painted("In all", "bold"))
    for name, (rows, delivered, requests, took) in rounds.items():
        say(
            f"  {name + ' run':10}  {rows:>6,} rows  {delivered:>6,} delivered  {requests:>6,} requests  {took:>5.1f} s"
        )
    say("  Vitally now holds " + ", ".join(f"{number:,} {kind}" for kind, number in story.held.items()) + ".")
    say(f"  All of it took {seconds:.0f} s; the emulator has ended, and forgotten what it held.")
    say()
    if story.broken:
        complain("Not as promised:")
        for sentence in story.broken:
            complain(f"  {sentence}")
        return
    say(painted("Look around", "bold"))
    steps = (
        *_to_the_command(),
        (f"cd {folder}", ""),
        ("headrace syncs", "what there is, and how it ran"),
        ("headrace calls --key acc_00001 --full", "every API call for one account, whole"),
        ("headrace runs", "all runs; `headrace rows RUN` for each row"),
        (f"headrace emulate vitally --port {port} &", f"the emulator again; its page is http://{HOST}:{port}/emulator"),
        ("headrace run --all --full-resync --yes", "fill it again"),
        ("headrace plan accounts --requests 3", "a dry run, after you changed warehouse.duckdb"),
    )
    for command, why in steps:
        say(f"  {command:42}  {painted(why, 'dim')}" if why else f"  {command}")


def _say_document(story: Story, folder: Path, url: str, seconds: float) -> None:
    from headrace.cli.console import say_json
    from headrace.cli.running import report_document

    rounds = {name: [report_document(one) for one in reports] for name, reports in story.rounds.items()}
    document = {"folder": str(folder), "url": url, "rows": story.rows, "rounds": rounds, "changes": story.changes}
    say_json({**document, "held": story.held, "broken": story.broken, "seconds": round(seconds, 3)})


def _total(reports: list[RunReport]) -> tuple[int, int, int, float]:
    counts = [one.counts for one in reports]
    return (
        sum(one.rows for one in counts),
        sum(one.delivered for one in counts),
        sum(one.requests for one in counts),
        sum(one.seconds for one in reports),
    )


# The folder -----------------------------------------------------------------------------------------------------------


def _fresh_folder(folder: Path, *, keep: bool) -> Path:
    """An empty folder of our own. Takes away an earlier demo, and nothing that a demo did not make."""
    if keep:
        first, number = folder, 2
        while folder.exists():
            folder, number = first.with_name(f"{first.name}-{number}"), number + 1
    try:
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARK).is_file():
                message = f"The folder {folder} holds things that no demo made, and they stay. Name another with --dir."
                raise UserError(message, code="folder_not_empty")
            _clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("`headrace demo` made this folder and may make it anew.\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The folder {folder} can't be made: {error.strerror}.", code="file_unwritable") from error
    return folder


def _clear(folder: Path) -> None:
    for name in MADE:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _application(folder: Path) -> Iterator[App]:
    """The demo's own workspace. A real token of the surroundings is not used: the emulator has keys of its own."""
    from dataclasses import replace

    from dotenv import dotenv_values

    from headrace.app import read_settings

    settings = read_settings(str(folder / ".headrace"))
    ours = dotenv_values(folder / ".env")
    surroundings = {name: value for name, value in settings.environment.items() if name not in ours}
    with opened_with(replace(settings, environment=surroundings, keys=None), create=True) as app:
        yield app


# The emulator ---------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    """The usual port where it is free, else any."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise WorldError(f"No port on {HOST} is free for the emulator. Try again.", code="port_in_use")


@contextmanager
def emulator(port: int) -> Iterator[str]:
    """The emulator as a process of its own, ended with the context whatever happens. Gives its URL."""
    command = [sys.executable, "-m", "headrace", "emulate", "vitally", "--port", str(port), "--rate-limit", "none"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: the run under way ends in order before its other side goes
    ) as process:
        try:
            url = f"http://{HOST}:{port}"
            _await_answer(process, url)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_answer(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        if process.poll() is not None:
            said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            raise WorldError(f"The emulator did not start: {said}", code="emulator_failed")
        with suppress(OSError, http.client.HTTPException, ValueError):
            _get(url, "/emulator/settings")
            return
        if time.monotonic() > deadline:
            message = f"The emulator did not answer on {url} within {PATIENCE_S:.0f} s. Is this machine very busy?"
            raise WorldError(message, code="emulator_failed")
        time.sleep(0.02)


def _get(url: str, path: str) -> Any:
    import orjson

    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path)
        return orjson.loads(connection.getresponse().read())
    finally:
        connection.close()


def _raise_on_hangup() -> None:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does, so that the emulator is ended too."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def _to_the_command() -> tuple[tuple[str, str], ...]:
    """How to get `headrace` onto the path, where `make demo` ran it from a virtual environment that is not active."""
    if shutil.which("headrace"):
        return ()
    activate = Path(sys.executable).parent / "activate"
    shown = os.path.relpath(activate) if activate.is_relative_to(Path.cwd()) else str(activate)
    return ((f". {shown}", ""),) if activate.is_file() else ()

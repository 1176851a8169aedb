"""The HTTP face of the emulator: `serve` for the command line, `Emulator` for tests.

A request is read whole, handed to the workspace, and answered as the outcome says;
connections can be cut or left to hang.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from aiohttp import web

from headrace.emulator.answers import Answer
from headrace.emulator.clock import Clock, SystemClock
from headrace.emulator.control import answer_control
from headrace.emulator.faults import SetFault
from headrace.emulator.journal import Entry, new_call
from headrace.emulator.settings import EmulatorSettings, Fault
from headrace.emulator.state import State
from headrace.emulator.workspace import Workspace


class PortInUse(OSError):
    """The emulator cannot listen where it was told to."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        super().__init__(
            cause.errno,
            f"The Vitally emulator cannot listen on {host}:{port}: {cause.strerror or cause}. "
            "Choose another port or stop the program that holds it.",
        )
        self.host = host
        self.port = port


async def serve(
    settings: EmulatorSettings,
    host: str = "127.0.0.1",
    port: int = 8790,
    *,
    workspace: Workspace | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled. `on_ready` is told the URL once connections are taken; port 0 chooses a free one.

    Raises PortInUse (an OSError) if the address cannot be listened on.
    """
    runner = await _listen(workspace or Workspace(settings, SystemClock()), host, port)
    try:
        if on_ready is not None:
            on_ready(_url(runner, host))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class Emulator:
    """An emulator in a thread of its own: `with Emulator(settings) as vitally: ... vitally.url`.

    Everything may be called from the test's thread. `clock` lets a test move time by hand.
    """

    def __init__(
        self,
        settings: EmulatorSettings | None = None,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.workspace = Workspace(settings or EmulatorSettings(), clock or SystemClock())
        self.url = ""
        self._host, self._port = host, port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.ServerRunner | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> "Emulator":
        """Listen, and return once connections are taken. Raises PortInUse."""
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vitally-emulator", daemon=True)
        self._thread.start()
        try:
            self._runner = self._run(_listen(self.workspace, self._host, self._port))
        except OSError:
            self._close_loop()
            raise
        self.url = _url(self._runner, self._host)
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; hanging requests are let go."""
        if self._runner is not None:
            self._run(self._runner.cleanup())
            self._runner = None
            self._close_loop()

    def __enter__(self) -> "Emulator":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def settings(self) -> EmulatorSettings:
        return self.workspace.settings

    @property
    def state(self) -> State:
        """What Vitally now holds, with every Analytics message that is due."""
        return self.workspace.settle()

    @property
    def journal(self) -> list[Entry]:
        """Every request so far, oldest first; a copy."""
        with self.workspace.lock:
            return list(self.workspace.journal)

    def requests(self, method: str | None = None, path: str | None = None, api: str | None = None) -> list[Entry]:
        """The journal's entries of that method, API, and path (a prefix, or a pattern found in the raw path)."""
        return [
            entry
            for entry in self.journal
            if (method is None or entry.method == method.upper())
            and (api is None or entry.api == api)
            and (path is None or entry.path.startswith(path) or re.search(path, entry.path))
        ]

    def configure(self, **changes: Any) -> EmulatorSettings:
        """Turn switches by their snake_case or camelCase names. Raises pydantic's ValidationError."""
        self.workspace.configure(self.settings.changed(changes))
        return self.settings

    def reset(self) -> None:
        """Forget records, journal, spent budgets and fault counts; keep the switches."""
        self.workspace.reset()

    def seed(self, kind: str, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put records in, read-only fields too; parents by id or externalId. Raises Refused."""
        return self.workspace.sow(kind, records)

    def add_fault(self, fault: Fault | None = None, **parts: Any) -> SetFault:
        """Set a fault, given whole or as its parts; the answer counts the requests it `met` and `fired` at."""
        with self.workspace.lock:
            return self.workspace.faults.add(fault or Fault.model_validate(parts))

    def clear_faults(self) -> None:
        with self.workspace.lock:
            self.workspace.faults.clear()

    def _run(self, work: Any) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def _close_loop(self) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # it does not exist on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _listen(workspace: Workspace, host: str, port: int) -> web.ServerRunner:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read() if request.body_exists else b""
        call = new_call(request.method, request.raw_path, request.headers, body)
        if call.path == "/" or call.path == "/emulator" or call.path.startswith("/emulator/"):
            return _response(answer_control(workspace, call))
        outcome = workspace.take(call)
        if outcome.delay_s:
            await asyncio.sleep(outcome.delay_s)
        if outcome.answer is not None:
            return _response(outcome.answer)
        if outcome.hangs:
            await asyncio.Event().wait()  # the server cancels this when the client gives up
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # written to nobody: the connection is gone

    server = web.Server(handle, access_log=None, handler_cancellation=True, keepalive_timeout=75)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as cause:
        await runner.cleanup()
        raise PortInUse(host, port, cause) from cause
    return runner


def _response(answer: Answer) -> web.Response:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _url(runner: web.ServerRunner, host: str) -> str:
    port = runner.addresses[0][1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"

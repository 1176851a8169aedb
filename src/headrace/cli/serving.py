"""`headrace serve`: API, worker and what ticks, in one process, until it is told to stop."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.console import clean, complain, say
from headrace.cli.session import new_loop, opened
from headrace.domain.errors import UserError

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.service.ticking import Ticking
    from headrace.service.worker import Worker
    from headrace.web.security import Guarding

PORT = 8788
DRAIN_S = 25
FIRE_EVERY_S = 1.0
SWEEP_EVERY_S = 3600.0


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Runs at once. Default: $HEADRACE_WORKERS, else 4.", metavar="N")
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Answer only; `headrace worker` runs.")] = False,
) -> None:
    """Serve the API, fire schedules and run syncs, until Ctrl-C or SIGTERM."""
    from headrace.web.security import Guarding, check_binding, hosts_of

    with opened(create=True) as app:
        environment = app.settings.environment
        guarding = Guarding(hosts_of(environment.get("HEADRACE_HOSTS")), environment.get("HEADRACE_URL") or None)
        app.check_keys()
        check_binding(host, guarding, app.access.has_users())
        listening = _listen(host, port)
        with listening:
            port = listening.getsockname()[1]
            where = guarding.url or f"http://{host}:{port}"
            say(f"Headrace serves the workspace {app.workspace.where} at {where}")
            _say_first_link(app, where)
            ticking = _start_ticking(app)
            worker = None if no_worker else _start_worker(app, concurrency)
            try:
                say(_ready(worker is not None, concurrency or app.settings.workers))
                _answer(app, guarding, listening)
            finally:
                ticking.stop()
                if worker is not None and not worker.stop(DRAIN_S):
                    complain("Some runs did not end in time; the next start folds what they did, and goes on.")


def _listen(host: str, port: int) -> socket.socket:
    """Raises UserError `port_in_use`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        message = f"Nothing can listen on {host}, port {port}: {error.strerror}. Another server may be there; --port "
        message += "takes another port."
        raise UserError(message, code="port_in_use") from error
    return listening


def _say_first_link(app: App, where: str) -> None:
    from headrace.service.access import link_of

    token = app.access.first_link()
    if token is not None:
        say("Nobody can sign in yet. Become the owner with this link, once, within 24 hours:")
        say(f"  {link_of(where, token)}")


def _start_ticking(app: App) -> Ticking:
    """What goes on by itself: due schedules fire, sequences go on, what is too old is thrown away."""
    from headrace.service.ticking import Thing, Ticking

    things = (
        Thing("schedules", FIRE_EVERY_S, app.schedules.fire_due),
        Thing("sequences", FIRE_EVERY_S, app.sequences.advance),
        Thing("retention", SWEEP_EVERY_S, app.operations.sweep),
    )
    ticking = Ticking(things, lambda name, error: complain(f"{name}: {type(error).__name__}: {clean(str(error))}"))
    app.runs.ended.append(lambda _run: ticking.wake("sequences"))
    ticking.start()
    return ticking


def _start_worker(app: App, concurrency: int | None) -> Worker:
    more = {} if concurrency is None else {"concurrency": concurrency}
    worker = app.worker(new_loop=new_loop, **more)
    worker.start()
    return worker


def _ready(works: bool, concurrency: int) -> str:
    runs = f"It runs up to {concurrency} syncs at once. " if works else "It runs no sync itself. "
    return f"{runs}Ctrl-C stops it; what is under way is kept."


def _answer(app: App, guarding: Guarding, listening: socket.socket) -> None:
    """Answers until a signal ends it."""
    import uvicorn

    from headrace.web.server import create_app

    config = uvicorn.Config(
        create_app(app, guarding),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=guarding.url is not None,
        forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"),
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="off",
    )
    uvicorn.Server(config).run(sockets=[listening])

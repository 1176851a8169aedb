"""The queue over Postgres, by Procrastinate: a run that one machine queues wakes a worker on another at once.

Its tables stand in a schema of their own and hold nothing but numbers of runs, so that those of another version of
Procrastinate are made anew, and the sweeps of the workers fill them again.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from procrastinate.schema import SchemaManager
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headrace.domain.errors import UserError
from headrace.service.queue import Broken, CarryOut

TASK = "run"
LOOK_EVERY_S = 30.0
"""Jobs are announced; this is for an announcement that got lost."""
TIDY_EVERY_S = 60.0
AGAIN_S = 5.0
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('headrace queue ' || {schema}, 0))"


class PostgresQueue:
    """Implements `queue.Queue`. Opens what it needs when it is first used."""

    def __init__(self, conninfo: str, schema: str) -> None:
        """`conninfo` holds a password and is never shown."""
        self._schema = f"{schema}_queue"
        given: dict[str, Any] = conninfo_to_dict(conninfo)
        options = f"{given.get('options', '')} -c search_path={self._schema}".strip()
        self._conninfo = make_conninfo(**{**given, "options": options})
        self._stopping = threading.Event()
        self._opening = threading.Lock()
        self._announcer: App | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None

    def put(self, run_id: int) -> None:
        job = self._opened().configure_task(TASK, queueing_lock=str(run_id))
        # The run is durable already. Announced once is enough; and where it can't be, the sweep of a worker finds it.
        with suppress(AlreadyEnqueued, ConnectorException):
            job.defer(run_id=run_id)

    def serve(self, carry_out: CarryOut, concurrency: int, broken: Broken) -> None:
        self._prepare()
        ready = threading.Event()

        def work() -> None:
            while not self._stopping.is_set():
                try:
                    asyncio.run(self._serve(carry_out, concurrency, ready))
                except Exception as error:  # noqa: BLE001 - a server that restarts, or a net that is away for a while
                    broken(error)
                    ready.set()
                    self._stopping.wait(AGAIN_S)

        self._thread = threading.Thread(target=work, name="queue", daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self, within_s: float) -> bool:
        self._stopping.set()
        if self._announcer is not None:
            self._announcer.close()
            self._announcer = None
        if self._thread is None:
            return True
        if self._loop is not None and self._serving is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    async def _serve(self, carry_out: CarryOut, concurrency: int, ready: threading.Event) -> None:
        app = App(connector=PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=concurrency + 2))
        with ThreadPoolExecutor(concurrency, "worker") as threads:

            @app.task(name=TASK)
            async def run(run_id: int) -> None:
                await asyncio.get_running_loop().run_in_executor(threads, carry_out, run_id)

            async with app.open_async():
                self._loop = asyncio.get_running_loop()
                self._serving = asyncio.create_task(
                    app.run_worker_async(
                        concurrency=concurrency,
                        install_signal_handlers=False,
                        delete_jobs="always",
                        fetch_job_polling_interval=LOOK_EVERY_S,
                    )
                )
                tidying = asyncio.create_task(self._tidy(app))
                ready.set()
                try:
                    await self._serving
                except asyncio.CancelledError:
                    pass  # asked to stop: the jobs under way have ended
                finally:
                    tidying.cancel()

    async def _tidy(self, app: App) -> None:
        """Removes the jobs of workers that are gone: their runs are queued anew by whoever sees that they are dead."""
        while True:
            with suppress(ConnectorException):
                for job in await app.job_manager.get_stalled_jobs():
                    await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
            await asyncio.sleep(TIDY_EVERY_S)

    def _opened(self) -> App:
        with self._opening:
            if self._announcer is None:
                self._prepare()
                app = App(connector=SyncPsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=2))
                app.open()
                self._announcer = app
            return self._announcer

    def _prepare(self) -> None:
        """Makes the tables, or makes those of another version anew. Raises UserError `workspace_unreadable`."""
        try:
            try:
                with psycopg.connect(self._conninfo) as connection:
                    self._make(connection)
            except psycopg.errors.DuplicateSchema:  # another process made it between our look and our lock
                with psycopg.connect(self._conninfo) as connection:
                    self._make(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            message = f'The queue of the workers needs the schema "{self._schema}", and this role may not make it: '
            message += f"{str(error).strip()}. Let an owner of the database run: CREATE SCHEMA {self._schema} "
            message += "AUTHORIZATION <this role>."
            raise UserError(message, code="workspace_unreadable") from error

    def _make(self, connection: psycopg.Connection[Any]) -> None:
        schema, wanted = sql.Identifier(self._schema), f"procrastinate {version('procrastinate')}"
        described = "SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace'), to_regnamespace(%s) IS NOT NULL"
        find = (described, (self._schema, self._schema))
        if connection.execute(*find).fetchone() == (wanted, True):
            return
        connection.execute(sql.SQL(_LOCK).format(schema=sql.Literal(self._schema)))
        found, is_there = connection.execute(*find).fetchone() or (None, False)
        if found == wanted:
            return  # another process has done it meanwhile
        if found is not None:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))
            is_there = False
        if not is_there:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(SchemaManager.get_schema())
        connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, sql.Literal(wanted)))

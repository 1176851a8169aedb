"""Brings a database to the revision this program knows. Alembic is imported only when a migration must run."""

from __future__ import annotations

from typing import Any

from headrace.domain.errors import UserError
from headrace.store.database import Backend, Database

REVISIONS = ("0001", "0002")  # oldest first; a test says that the scripts agree
HEAD = REVISIONS[-1]
VERSION_TABLE = "headrace_version"
"""Not Alembic's own name for it: on Postgres another program's may stand in the same schema."""


def read_revision(connection: Any, backend: Backend) -> str | None:
    """The revision of the database behind the driver's `connection`; None for an empty one.

    Raises UserError `workspace_newer` for a revision that this program does not know,
    WorldError `workspace_corrupt` for a database that is somebody else's.
    """
    tables = backend.table_names(connection)
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise backend.corrupt("it holds tables, but none of ours")
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    if row is None:
        raise backend.corrupt("it does not say its revision")
    revision = str(row[0])
    if revision not in REVISIONS:
        raise UserError(
            f"The workspace {backend.where} was written by a newer Headrace: its revision is {revision}, this program "
            f"knows up to {HEAD}. Upgrade this Headrace, or restore a backup made before the upgrade.",
            code="workspace_newer",
            found=revision,
            known=HEAD,
        )
    return revision


def upgrade(database: Database) -> None:
    """Runs the missing migrations in one transaction; one process does it, others wait and find it done."""
    from alembic import command
    from alembic.config import Config

    with database.write() as connection:
        database.backend.make_room(connection)
        if read_revision(connection.connection.dbapi_connection, database.backend) == HEAD:
            return
        config = Config()
        config.set_main_option("script_location", "headrace.store:migrations")
        config.attributes["connection"] = connection
        config.attributes["version_table"] = VERSION_TABLE
        command.upgrade(config, "head")

"""Functions of Postgres that act outside the transaction, so that read-only does not stop them.

They reach the server's files, other sessions, its configuration or other servers, and only privileged roles may call
them. A model has no use for any. Names can be hidden in a view or a function of the owner's, so this is the second
wall; the first is a role that may only SELECT.
"""

from __future__ import annotations

import re

from headrace.sources.statements import line_at, sql_fault, tokens

_ACTING = re.compile(
    r"""
      pg_(read|ls|stat)_\w*(file|dir)\w* | pg_ls_\w+ | pg_file_\w+ | pg_current_logfile | pg_hba_file_rules
    | lo_\w+ | loread | lowrite
    | dblink\w* | postgres_fdw_\w+ | http(_\w+)?
    | pg_(terminate|cancel)_backend | pg_reload_conf | pg_rotate_logfile\w* | pg_promote | pg_switch_wal
    | pg_create_\w+ | pg_drop_\w+ | pg_\w*replication_\w+ | pg_logical_\w+ | pg_replication_\w+ | pg_backup_\w+
    | pg_wal_replay_\w+ | pg_stat_reset\w* | pg_stat_statements_reset | pg_import_\w+ | pg_notify
    | pg_(try_)?advisory_\w+ | pg_sleep_until
    | set_config | setval | nextval | txid_current | pg_current_xact_id
    | query_to_xml\w* | cursor_to_xml\w* | table_to_xml\w* | schema_to_xml\w* | database_to_xml\w* | xpath_table
    | crosstab\w* | connectby | ts_stat | ts_rewrite
    | cron | plpy | pg_execute_server_program
    """,
    re.VERBOSE,
)


def refuse_acting_functions(sql: str) -> None:
    """Raises SourceError, with the line, when the SQL calls such a function or hides a name in Unicode escapes."""
    pieces = list(tokens(sql))
    for at, piece in enumerate(pieces):
        following = pieces[at + 1].text if at + 1 < len(pieces) else ""
        name = piece.text.strip('"').casefold()
        escaped = piece.kind == "word" and name == "u" and following == "&"
        called = piece.kind in ("word", "name") and following == "(" and _ACTING.fullmatch(name)
        if escaped or called:
            what = "hides a name in U& escapes" if escaped else f"calls {name}, which acts outside the query"
            raise sql_fault(f"It {what}. A model only reads its tables.", sql, line_at(sql, piece.start))

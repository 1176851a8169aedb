"""The child process that runs a model's SQL in a locked DuckDB of its own. Started by `isolated`, never imported by it.

In: one line of JSON a job on standard input, the last may be a read, then with its keys as an Arrow stream. Out: the
answer, a line of JSON or an Arrow stream, on standard output. Last: one line of JSON on standard error, `end` with the
number of rows or `fault`. Without that line the answer is worth nothing. The parent may kill us at any moment; nothing
is left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import sys
from dataclasses import asdict
from typing import Any

import duckdb
import pyarrow as pa

from headrace.domain.columns import Columns
from headrace.domain.errors import SourceError
from headrace.sources.duckdb_csv import csv_relation, typed_select
from headrace.sources.duckdb_types import arrival, column_of
from headrace.sources.names import chosen_columns, find_table, quoted, quoted_path, refuse_repeated_names, shown
from headrace.sources.statements import sql_fault

Job = dict[str, Any]

_BATCH_ROWS = 20_000  # few enough that wide rows stay small in memory, enough that the cost of a batch is lost
_ADDRESS_SPACE_OVER_MEMORY = 4 << 30  # threads' stacks, mapped libraries, what DuckDB reserves and never touches
_KEYS = "headrace keys"
_MODEL_STARTS_AT_LINE = 2  # `WITH ... AS (` stands on the line before the user's first


def main() -> int:
    # Ctrl-C goes to the whole group; the parent decides what it means and kills us when we are done with.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A spare that nobody needs reads the end of its input at once.
    for line in iter(sys.stdin.buffer.readline, b""):
        job: Job = json.loads(line)
        if (status := do(job)) or job["operation"] == "read":
            return status
    return 0


def do(job: Job) -> int:
    """One job, in a DuckDB of its own. The status to end with where it failed, else 0."""
    os.chdir(job["scratch"])
    keys = pa.ipc.open_stream(sys.stdin.buffer).read_all() if job["keys"] else None
    try:
        limit_process(job)
        rows = answer(open_locked(job), job, keys)
    except SourceError as fault:
        return report_fault(fault)
    except (duckdb.Error, pa.ArrowException, MemoryError) as failure:
        return report_fault(fault_of(failure, str(job["sql"] or "")))
    sys.stdout.flush()
    print(json.dumps({"end": rows}), file=sys.stderr, flush=True)
    return 0


def report_fault(fault: SourceError) -> int:
    told = {"message": fault.message, "code": fault.code, "facts": fault.facts}
    print(json.dumps({"fault": told}, default=str), file=sys.stderr, flush=True)
    return 1


def limit_process(job: Job) -> None:
    """A second wall, for what DuckDB does not count itself, and for a child whose parent is gone."""
    for kind, amount in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, 2 * job["memory_bytes"] + _ADDRESS_SPACE_OVER_MEMORY),
        (resource.RLIMIT_CPU, job["cpu_s"]),
    ):
        with contextlib.suppress(ValueError, OSError):  # A lower limit is already set, or the system has none.
            resource.setrlimit(kind, (amount, amount))


def open_locked(job: Job) -> duckdb.DuckDBPyConnection:
    """A fresh DuckDB that can read the job's files and nothing else, with its settings locked."""
    connection = duckdb.connect(":memory:")
    if job["kind"] == "duckdb":
        attach(connection, job["files"][0], job["catalog"])
    else:
        connection.execute(f"SET allowed_paths=[{', '.join(map(literal, job['files']))}]")
    for setting in (
        "autoinstall_known_extensions=false",
        "autoload_known_extensions=false",
        "allow_community_extensions=false",
        "python_enable_replacements=false",
        f"memory_limit={literal(job['memory_limit'])}",
        f"temp_directory={literal(job['scratch'])}",
        # With a limit a person looks at the first rows, and they should be the first.
        f"preserve_insertion_order={'true' if job.get('limit') else 'false'}",
        "TimeZone='UTC'",
        "enable_external_access=false",
        "lock_configuration=true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def attach(connection: duckdb.DuckDBPyConnection, file: str, catalog: str) -> None:
    try:
        connection.execute(f"ATTACH {literal(file)} AS {quoted(catalog)} (READ_ONLY, TYPE duckdb)")
        connection.execute(f"USE {quoted(catalog)}")
    except duckdb.Error as refused:
        words = words_of(refused)
        if "lock" in words:
            mend = "Another process holds it for writing: close that process, or give headrace a copy of the file."
        elif "ncrypt" in words:
            mend = "Encrypted files can't be read: give headrace a copy without encryption."
        elif "not a valid DuckDB" in words:
            mend = "Check the path and the type of the source."
        else:
            mend = f"It may come from a newer DuckDB than ours ({duckdb.__version__}), or be damaged."
        message = f'The DuckDB file "{file}" can\'t be opened: {words} {mend}'
        raise SourceError(message, code="source_unreachable", path=file) from refused


def answer(connection: duckdb.DuckDBPyConnection, job: Job, keys: pa.Table | None) -> int:
    if job["kind"] != "duckdb":
        make_rows(connection, job)
    match job["operation"]:
        case "check":
            print(json.dumps({"tables": len(table_paths(connection, job)), "version": duckdb.__version__}))
        case "tables":
            print(json.dumps(tables(connection, job)))
        case "columns":
            print(json.dumps([asdict(column) for column in describe(connection, model_sql(connection, job))]))
        case "read":
            return stream(connection, read_sql(connection, job, keys))
    return 0


def make_rows(connection: duckdb.DuckDBPyConnection, job: Job) -> None:
    """The view `rows` over all the job's files. `check` proves no types, so it need not read whole files."""
    files = job["files"]
    try:
        if job["kind"] == "parquet":
            rows = f"SELECT * FROM read_parquet([{', '.join(map(literal, files))}], union_by_name={len(files) > 1})"
        elif job["operation"] == "check":
            rows = f"SELECT * FROM {csv_relation(files)}"
        else:
            rows = typed_select(connection, files)
        connection.execute(f"CREATE VIEW rows AS {rows}")
    except duckdb.Error as refused:
        words = words_of(refused)
        message = f"The {job['kind']} files can't be read: {words} Check the path and the type of the source."
        code = "source_failed" if "CSV Error" in words else "source_unreachable"
        raise SourceError(message, code=code, path=files[0]) from refused


def table_paths(connection: duckdb.DuckDBPyConnection, job: Job) -> list[tuple[str, str, str]]:
    """Catalog, schema and name of every table and view that a model may name."""
    return connection.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 AND NOT internal"
        " UNION ALL"
        " SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal",
        [job["catalog"]],
    ).fetchall()


def tables(connection: duckdb.DuckDBPyConnection, job: Job) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {
        shown(path[1:] if path[1] != "main" else path[2:]): [] for path in table_paths(connection, job)
    }
    columns = connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = ? AND NOT internal ORDER BY column_index",
        [job["catalog"]],
    ).fetchall()
    for schema, table, name, native in columns:
        path = (schema, table) if schema != "main" else (table,)
        found.setdefault(shown(path), []).append(asdict(column_of(name, native)))
    return [{"name": name, "columns": columns} for name, columns in sorted(found.items())]


def model_sql(connection: duckdb.DuckDBPyConnection, job: Job) -> str:
    """The model's own SELECT, proved to be exactly one."""
    if not job["sql"]:
        path = find_table(job["table"], table_paths(connection, job), preferred_schema="main")
        return f"SELECT * FROM {quoted_path(path)}"
    sql = str(job["sql"])
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as refused:
        raise fault_of(refused, sql, first_line=1) from refused
    kinds = [str(statement.type).rpartition(".")[2] for statement in statements]
    if kinds != ["SELECT"]:
        what = f"a statement of the kind {kinds[0]}" if len(kinds) == 1 else f"{len(kinds)} statements"
        raise sql_fault(f"It is {what}. A model only reads: write one SELECT.", sql, None)
    return sql


def describe(connection: duckdb.DuckDBPyConnection, sql: str) -> Columns:
    try:
        relation = connection.sql(sql)
    except duckdb.Error as refused:
        try:  # The relation's error has lost its line; DESCRIBE binds the same text and keeps it.
            connection.execute(f"DESCRIBE SELECT * FROM (\n{sql}\n)")
        except duckdb.Error as placed:
            raise fault_of(placed, sql) from placed
        raise fault_of(refused, sql) from refused
    if relation is None:
        raise sql_fault("It returns no rows to read. Write one SELECT.", sql, None)
    refuse_repeated_names(relation.columns)
    return tuple(column_of(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True))


def read_sql(connection: duckdb.DuckDBPyConnection, job: Job, keys: pa.Table | None) -> str:
    """The whole statement: the user's SELECT, `model` over it, `keys` beside it, and what is asked of them.

    `keys` is named after `model`, so a user's table of that name stays visible to the user's SQL.
    """
    sql = model_sql(connection, job)
    columns = describe(connection, sql)
    model = (
        f'WITH "headrace sql" AS (\n{sql}\n), model AS (SELECT {", ".join(map(arrival, columns))} FROM "headrace sql")'
    )
    if keys is not None:
        connection.register(_KEYS, keys)
        model += f", keys AS (SELECT * FROM temp.{quoted(_KEYS)})"
    wanted = job["select"]
    if not wanted:
        wanted = f"SELECT {', '.join(quoted(c.name) for c in chosen_columns(columns, job['columns']))} FROM model"
    if job["limit"] is not None:
        wanted = f"SELECT * FROM ({wanted}) LIMIT {int(job['limit'])}"
    return f"{model} {wanted}"


def stream(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Writes the rows to standard output as they are made. A full pipe holds DuckDB back, so memory stays bounded."""
    reader = connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
    rows = 0
    with pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def words_of(failure: BaseException) -> str:
    """The database's words without its drawing of the line, and without rows of the user's file."""
    text = str(failure).partition("\n\nLINE ")[0].partition("\nPossible ")[0]
    kept = [line.strip() for line in text.splitlines() if not line.startswith("Original Line:")]
    return " ".join(line for line in kept if line)


def fault_of(failure: BaseException, sql: str, first_line: int = _MODEL_STARTS_AT_LINE) -> SourceError:
    """The error in the words of the port. `first_line` is where the user's SQL began in what DuckDB was given."""
    words = words_of(failure)
    if isinstance(failure, MemoryError | duckdb.OutOfMemoryException) or "Out of Memory" in words:
        return SourceError(
            f"The model's SQL needs more memory than it has: {words} "
            "Raise HEADRACE_MEMORY_LIMIT, of which a source takes a third.",
            code="source_failed",
        )
    if "CSV Error" in words or "Invalid unicode" in words:
        return SourceError(f"A CSV file can't be read: {words}", code="source_failed")
    if isinstance(failure, duckdb.IOException):
        return SourceError(f"The source's file can't be read: {words}", code="source_failed")
    placed = re.search(r"\n\nLINE (\d+): ", str(failure))
    return sql_fault(words, sql, int(placed[1]) - first_line + 1 if placed else None)


if __name__ == "__main__":
    code = main()
    # Straight out: DuckDB's and Arrow's tear-down takes longer than the work of a small query.
    os._exit(code)

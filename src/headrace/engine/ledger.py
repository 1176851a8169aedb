"""The ledger: what the destination last acknowledged, per sync and primary key. One DuckDB file a sync.

Opened only for plan (read-only) and fold, under the sync's lock. It never deletes a key: a removed row leaves a
tombstone that keeps its generation. What it holds of a row:

  key         as the planner joins on it; `match` its match value where that is not the key's own text
  c:<name>    the mapped columns as last acknowledged, in their declared types; `hash` over them
  mapping     fingerprint of the mapping they were sent under
  intended    hash and mapping of what was last about to be sent; `generation` grows whenever that changes
  state       one of State
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import duckdb
import orjson

from headrace.domain.errors import WorldError
from headrace.engine.sqltext import PROBE, bucket_of, digest_of, hash_of, literal, quoted

if TYPE_CHECKING:
    from headrace.engine.ports import Acknowledgements

FORMAT = 1
REMOVAL = 1
"""`intended` of a removal; 0 is that of what nobody knows any more."""
SETTLED = "coalesce(l.intended = xor(l.hash, l.mapping), false)"
"""SQL: whether what was acknowledged is also what was last about to be sent.

If not, a later version, or a removal, was sent and its answer never came: the record may be that, so the row is planned
although it is as acknowledged.
"""
_NO_HASH = "CAST(NULL AS UBIGINT)"


class State(IntEnum):
    """What the ledger knows of a key."""

    DELIVERED = 0
    SKIPPED_NEW = 1  # skipped, and never delivered
    SKIPPED_KNOWN = 2  # skipped now, delivered once
    REMOVED = 3  # tombstone
    GONE = 4  # left the model under `removed: ignore`; the record is as it was
    INTENDED = 5  # about to be sent once, never acknowledged


@dataclass(frozen=True, slots=True)
class Kept:
    """A column as the ledger keeps it."""

    name: str
    type: str

    @property
    def ident(self) -> str:
        return quoted(f"c:{self.name}")


@dataclass(frozen=True, slots=True)
class Shape:
    """The ledger's schema: key type and kept columns, ordered by name."""

    key_type: str
    columns: tuple[Kept, ...]

    def column(self, name: str) -> Kept | None:
        return next((one for one in self.columns if one.name == name), None)

    def create(self, table: str) -> str:
        kept = "".join(f", {one.ident} {one.type}" for one in self.columns)
        return (
            f"CREATE TABLE {table} (key {self.key_type}, hash UBIGINT, mapping UBIGINT, state UTINYINT, match VARCHAR, "
            f"generation INTEGER, intended UBIGINT, code VARCHAR, skipped_at TIMESTAMP{kept})"
        )


def connect(memory_limit_mb: int, temp_directory: str, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills into `temp_directory` and takes about `memory_limit_mb`."""
    config: dict[str, Any] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "temp_directory": temp_directory,
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }
    if threads:
        config["threads"] = str(threads)
    con = duckdb.connect(":memory:", config=config)
    con.execute("SET enable_progress_bar = false")
    return con


class Ledger:
    """A sync's ledger, attached to a connection as `ledger`; `shape` is None while it has none."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: str) -> None:
        self._con = con
        self.path = path
        self.shape: Shape | None = None
        self.same_hash = True
        self.folded_sequence = 0
        self.folded_run: int | None = None
        self.rows = 0

    def attach(self, *, write: bool = False) -> None:
        """Attaches the file; a missing one is an empty ledger. Raises WorldError `ledger_unreadable`."""
        if not write and not os.path.exists(self.path):
            self._con.execute("ATTACH ':memory:' AS ledger")
            return
        try:
            self._con.execute(f"ATTACH {literal(self.path)} AS ledger{'' if write else ' (READ_ONLY)'}")
            self._read_meta()
            if not write and self.shape is None:  # a process died before its first fold: an empty ledger
                self._con.execute("DETACH ledger")
                self._con.execute("ATTACH ':memory:' AS ledger")
        except (duckdb.IOException, duckdb.SerializationException, duckdb.InvalidInputException) as error:
            message = f"The ledger {self.path} can't be opened: {_first_line(error)} "
            message += "If the file is damaged, restore it from a backup, or move it away and take the present rows as "
            message += "delivered with `run --reset-cdc`."
            raise WorldError(message, code="ledger_unreadable", path=self.path) from error

    def detach(self) -> None:
        with suppress(duckdb.Error):
            self._con.execute("DETACH ledger")

    def _read_meta(self) -> None:
        sql = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'ledger' AND table_name = 'meta'"
        if not one_value(self._con, sql):
            return
        select = f"SELECT document, folded_sequence, probe = {PROBE}, folded_run FROM ledger.meta"
        row = self._con.execute(select).fetchall()[0]
        document = orjson.loads(row[0])
        self.shape = Shape(document["key_type"], tuple(Kept(name, kind) for name, kind in document["columns"]))
        self.folded_sequence, self.same_hash, self.folded_run = row[1:]
        self.rows = one_value(self._con, "SELECT count(*) FROM ledger.rows")

    # Reading it for a plan ----------------------------------------------------------------------------------------

    def cast(self, wanted: Kept, alias: str = "l") -> str:
        """The expression of a kept column as `wanted` type; NULL where the ledger does not have it."""
        kept = self.shape.column(wanted.name) if self.shape else None
        if kept is None:
            return f"CAST(NULL AS {wanted.type})"
        name = f"{alias}.{kept.ident}"
        return name if kept.type == wanted.type else f"TRY_CAST({name} AS {wanted.type})"

    def hash_expression(self, wanted: Shape, alias: str = "l") -> str:
        """The stored hash, or one made anew from the stored row where types or the hash function changed.

        A column that changed between text, number, boolean and time is sent differently: such rows count as changed.
        """
        if self.shape is None:
            return f"{alias}.hash"
        if self.shape.columns == wanted.columns and self.same_hash:
            return f"{alias}.hash"
        have = {one.name: one.type for one in self.shape.columns}
        if set(have) != {one.name for one in wanted.columns}:
            return _NO_HASH
        other_kind = [one for one in wanted.columns if _family(have[one.name]) != _family(one.type)]
        anew = hash_of([self.cast(one, alias) for one in wanted.columns])
        void = " OR ".join([f"{alias}.hash IS NULL", *(f"{alias}.{one.ident} IS NOT NULL" for one in other_kind)])
        return f"CASE WHEN {void} THEN NULL ELSE {anew} END"

    def has_digests(self, wanted: Shape) -> bool:
        """Whether the stored digests can be compared with those of rows of that shape."""
        sql = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'ledger' AND table_name = 'digests'"
        return self.shape == wanted and self.same_hash and one_value(self._con, sql) == 1

    def needs_rewrite(self, wanted: Shape) -> bool:
        """Whether the next fold must rewrite the file: another schema, or another hash function."""
        return self.shape is not None and (self.shape != wanted or not self.same_hash)

    # Folding ------------------------------------------------------------------------------------------------------

    def fold(self, planned_path: str, acknowledgements: Acknowledgements) -> int:
        """Takes what a run recorded into the ledger and removes the plan's file. Returns the rows acknowledged.

        Idempotent: one transaction moves rows, `folded_sequence` and `folded_run`, and the plan's file goes last.
        """
        acked = 0
        self._con.execute(f"ATTACH {literal(planned_path)} AS planned (READ_ONLY)")
        try:
            run_id, mapping, text = self._con.execute("SELECT run_id, mapping, document FROM planned.plan").fetchall()[
                0
            ]
            if run_id != self.folded_run:  # else the process died before it could remove the plan's file
                acked = self._fold_plan(run_id, mapping, orjson.loads(text), acknowledgements)
        finally:
            self._con.execute("DETACH planned")
        remove_database(planned_path)
        return acked

    def _fold_plan(
        self, run_id: int, mapping: int, document: dict[str, Any], acknowledgements: Acknowledgements
    ) -> int:
        shape = Shape(document["key_type"], tuple(Kept(name, kind) for name, kind in document["columns"]))
        last = self.folded_sequence
        if document["baseline"]:
            self._con.execute(
                "CREATE OR REPLACE TEMP TABLE acks AS "
                "SELECT rowid AS position, 'delivered' AS outcome, CAST(NULL AS VARCHAR) AS code FROM planned.rows"
            )
        else:
            last = self._load_acks(acknowledgements.since(run_id, last))
        acked: int = one_value(self._con, f"SELECT count(*) FROM acks a WHERE {_ACKNOWLEDGED}")
        self._fold_rows(shape, mapping, last, run_id)
        return acked

    def _load_acks(self, batches: Iterable[Sequence[tuple[int, int, str, str | None]]]) -> int:
        import pyarrow as pa

        self._con.execute("CREATE OR REPLACE TEMP TABLE acks (position BIGINT, outcome VARCHAR, code VARCHAR)")
        last = self.folded_sequence
        for batch in batches:
            if not batch:
                continue
            arrow = pa.table(
                {
                    "position": pa.array([one[1] for one in batch], pa.int64()),
                    "outcome": pa.array([one[2] for one in batch], pa.string()),
                    "code": pa.array([one[3] for one in batch], pa.string()),
                }
            )
            self._con.register("acks_in", arrow)
            self._con.execute("INSERT INTO acks SELECT * FROM acks_in WHERE outcome <> 'owed'")
            self._con.unregister("acks_in")
            last = max(last, batch[-1][0])
        return last

    def _fold_rows(self, shape: Shape, mapping: int, last: int, run_id: int) -> None:
        con = self._con
        con.execute("BEGIN")
        try:
            if self.shape is None:
                con.execute(
                    "CREATE TABLE IF NOT EXISTS ledger.meta "
                    "(document VARCHAR, folded_sequence BIGINT, probe VARCHAR, format INTEGER, folded_run BIGINT)"
                )
                con.execute("DROP TABLE IF EXISTS ledger.rows")
                con.execute(shape.create("ledger.rows"))
            con.execute(f"CREATE OR REPLACE TEMP TABLE folded AS {self._folded(shape, mapping)}")
            folded = one_value(con, "SELECT count(*) FROM folded")
            if self.shape is None:
                con.execute("INSERT INTO ledger.rows BY NAME SELECT * FROM folded")
            elif self.needs_rewrite(shape) or folded * 3 > self.rows:
                self._rewrite(shape)
            else:
                con.execute("DELETE FROM ledger.rows WHERE key IN (SELECT key FROM folded)")
                con.execute("INSERT INTO ledger.rows BY NAME SELECT * FROM folded")
            for table, state in (("gone", State.GONE), ("back", State.DELIVERED)):
                con.execute(
                    f"UPDATE ledger.rows SET state = {state:d} WHERE CAST(key AS VARCHAR) IN "
                    f"(SELECT key FROM planned.{table})"
                )
            document = orjson.dumps(
                {"key_type": shape.key_type, "columns": [(one.name, one.type) for one in shape.columns]}
            ).decode()
            self._digest(mapping)
            con.execute("DELETE FROM ledger.meta")
            con.execute(f"INSERT INTO ledger.meta SELECT ?, ?, {PROBE}, {FORMAT}, ?", [document, last, run_id])
            con.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                con.execute("ROLLBACK")
            raise
        finally:
            con.execute("DROP TABLE IF EXISTS folded")

    def _digest(self, mapping: int) -> None:
        """One row a bucket: how many rows are as delivered, and their digest; none where one is not so plain."""
        plain = f"state = {State.DELIVERED:d} AND mapping = {mapping} AND {SETTLED.replace('l.', '')}"
        self._con.execute(
            f"CREATE OR REPLACE TABLE ledger.digests AS SELECT {bucket_of('key')} AS bucket, "
            f"count(*) AS rows, {mapping}::UBIGINT AS mapping, "
            f"CASE WHEN bool_and({plain}) THEN {digest_of('key', 'hash')} END AS digest "
            f"FROM ledger.rows WHERE state IN ({State.DELIVERED:d}, {State.SKIPPED_NEW:d}, {State.SKIPPED_KNOWN:d}) "
            "GROUP BY bucket"
        )

    def _folded(self, shape: Shape, mapping: int) -> str:
        """One row for each planned row: as acknowledged, or as it was with its new generation.

        What was surely not taken stays as it was: our own check refused it, or the destination did. (Where the old
        record was to be removed first, only that may have been done.)
        """
        acked = f"coalesce({_ACKNOWLEDGED}, false)"
        not_taken = "(a.outcome = 'invalid' OR (a.outcome = 'rejected' AND NOT p.replaces))"
        removed = "p.change = 'removed'"
        tombstone = f"({acked} AND {removed})"
        fresh = f"({acked} AND NOT {removed})"
        skipped = f"({acked} AND NOT {removed} AND a.outcome = 'skipped')"
        was_known = f"l.state IN ({State.DELIVERED:d}, {State.SKIPPED_KNOWN:d}, {State.GONE:d})"
        key = f"CAST(p.key AS {shape.key_type})"
        old_key = f"CAST(l.key AS {shape.key_type})"

        def pick(new: str, old: str) -> str:
            return f"CASE WHEN {fresh} THEN {new} WHEN {tombstone} THEN NULL ELSE {old} END"

        state = (
            f"CASE WHEN {skipped} AND {was_known} THEN {State.SKIPPED_KNOWN:d} "
            f"WHEN {skipped} THEN {State.SKIPPED_NEW:d} "
            f"WHEN {fresh} THEN {State.DELIVERED:d} WHEN {tombstone} THEN {State.REMOVED:d} "
            f"ELSE coalesce(l.state, {State.INTENDED:d}) END"
        )
        kept = "".join(f", {pick(f'p.{one.ident}', self.cast(one))} AS {one.ident}" for one in shape.columns)
        return (
            f"SELECT {key} AS key, {pick('p.hash', self.hash_expression(shape))} AS hash, "
            f"{pick(f'{mapping}::UBIGINT', 'l.mapping')} AS mapping, CAST({state} AS UTINYINT) AS state, "
            f"{pick('p.match', 'l.match')} AS match, p.generation AS generation, p.intended AS intended, "
            f"CASE WHEN {skipped} THEN a.code WHEN {acked} THEN NULL ELSE l.code END AS code, "
            f"CASE WHEN {skipped} THEN make_timestamp(epoch_us(now())) WHEN {acked} THEN NULL ELSE l.skipped_at END "
            f"AS skipped_at{kept} "
            "FROM planned.rows p LEFT JOIN acks a ON a.position = p.rowid "
            f"LEFT JOIN ledger.rows l ON {old_key} = {key} WHERE {not_taken} IS DISTINCT FROM true"
        )

    def _rewrite(self, shape: Shape) -> None:
        """The whole table anew: cheaper than an update of many rows, and the way to another schema."""
        anew = self.hash_expression(shape)
        intended = "l.intended" if anew == "l.hash" else "CASE WHEN l.intended = xor(l.hash, l.mapping) THEN "
        if anew != "l.hash":
            intended += f"coalesce(xor({anew}, l.mapping), 0) WHEN l.intended = {REMOVAL} THEN {REMOVAL} ELSE 0 END"
        kept = "".join(f", {self.cast(one)} AS {one.ident}" for one in shape.columns)
        self._con.execute(shape.create("ledger.rows_new"))
        self._con.execute(
            f"INSERT INTO ledger.rows_new BY NAME SELECT CAST(l.key AS {shape.key_type}) AS key, {anew} AS hash, "
            f"l.mapping, l.state, l.match, l.generation, {intended} AS intended, l.code, l.skipped_at{kept} "
            f"FROM ledger.rows l WHERE CAST(l.key AS {shape.key_type}) NOT IN (SELECT key FROM folded)"
        )
        self._con.execute("INSERT INTO ledger.rows_new BY NAME SELECT * FROM folded")
        self._con.execute("DROP TABLE ledger.rows")
        self._con.execute("ALTER TABLE ledger.rows_new RENAME TO rows")


_ACKNOWLEDGED = "a.outcome IN ('delivered', 'skipped')"


def one_value(con: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """The only value of a query. Reads it to its end: DuckDB 2 refuses further work over an unfinished result."""
    return con.execute(sql).fetchall()[0][0]


def _family(kind: str) -> str:
    """The kind of JSON value that a declared type is sent as."""
    if kind in ("BIGINT", "DOUBLE") or kind.startswith("DECIMAL"):
        return "number"
    return {"DATE": "date", "TIMESTAMP": "time", "BOOLEAN": "boolean", "BLOB": "binary"}.get(kind, "text")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def remove_database(path: str) -> None:
    """Removes a DuckDB file and its log, where they are."""
    for name in (path, path + ".wal"):
        with suppress(FileNotFoundError):
            os.remove(name)

"""The comparison: the model's present rows against the ledger, by key and hash, in the SQL engine.

In: a source's rows, a ledger attached read-only. Out: temporary tables and views. `delta` holds every key that is not
plainly unchanged, `unusable` the null and repeated keys, `work` what gets an operation, `moved` removals that are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb

from headrace.domain.config import Guard
from headrace.domain.outcome import Counts
from headrace.domain.spec import RemovedRule
from headrace.engine.extract import Extraction, Extractor
from headrace.engine.ledger import SETTLED, Ledger, Shape, State, one_value
from headrace.engine.sqltext import bucket_of, literal

DIGESTS_PAY_FROM = 200_000
"""Rows of the ledger from which a second look at the source costs less than the rows it saves."""
WHOLE_PAYS_UP_TO = 50_000
"""Rows of the ledger up to which whole rows cost less to read at once than a second look at the source."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a plan is made under. `skip_code` is the code that rows are skipped with in the sync's mode, if any.

    `once`: a key that was delivered is never planned again by itself, whatever becomes of its row.
    """

    removed: RemovedRule
    guard: Guard
    recheck_skipped_after: timedelta
    skip_code: str | None
    once: bool = False
    full_resync: bool = False
    keys: tuple[str, ...] | None = None
    reason: str | None = None
    digests_from: int = DIGESTS_PAY_FROM
    whole_up_to: int = WHOLE_PAYS_UP_TO


class Comparison:
    """One comparison over one connection. `run` makes the tables; `present` then names the one with present values."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        extractor: Extractor,
        extraction: Extraction,
        ledger: Ledger,
        options: PlanOptions,
        fingerprint: int,
    ) -> None:
        self._con = con
        self._extractor = extractor
        self._extraction = extraction
        self._ledger = ledger
        self._options = options
        self._fingerprint = fingerprint
        self._staged = False
        self.nothing_known = False
        """Whether the ledger is empty: every row is new, and `work` holds the present values itself."""
        self._rows = 0
        self._nulls = 0
        self._compared = 0  # rows with a key that went through the join
        self._known = 0  # rows of the ledger that did
        self.shape = Shape("VARCHAR", ())

    def run(self, *, baseline: bool) -> Counts:
        """Reads and compares. Raises SourceError and WorldError."""
        ledger, extractor = self._ledger, self._extractor
        key_kind = ledger.shape.key_type if ledger.shape else extractor.shape().key_type
        if extractor.shape().key_type == "VARCHAR":
            key_kind = "VARCHAR"
        small = ledger.rows == 0 or ledger.rows <= self._options.whole_up_to
        whole = small or self._options.full_resync or baseline or self._mapping_is_new()
        if extractor.pushes_down and not whole and self._extraction.match_is_key and not self.has_other_matches():
            self.shape = self._final(key_kind)
            self._stream(key_kind)
        else:
            self._stage(key_kind, whole=whole)
            self.nothing_known = ledger.rows == 0
            if ledger.shape is None:
                self._con.execute(Shape(self.shape.key_type, ()).create("ledger.rows"))
            if not self.nothing_known:
                self._con.execute(f"CREATE OR REPLACE TEMP TABLE delta AS {self._delta('current')}")
        unusable = self._take_out_unusable(key_kind)
        counts = self._count_new(unusable) if self.nothing_known else self._count(unusable)
        self._choose()
        return counts

    def _stream(self, key_kind: str) -> None:
        """Nothing but the join needs these rows, so they flow through it while the source still reads.

        Over a big ledger the buckets' digests are compared first: rows of a bucket that is as it was are not read.
        """
        few = self._ledger.rows < self._options.digests_from
        if few or self._options.once or not self._ledger.has_digests(self.shape):
            self._rows, self._nulls = self._extractor.stream(key_kind, "delta", self._delta("arriving"))
            self._compared, self._known = self._rows - self._nulls, self._ledger.rows
            return
        self._extractor.digest(key_kind)
        self._rows = self._one("SELECT coalesce(sum(rows), 0) FROM digests")
        self._nulls = self._one("SELECT coalesce(sum(rows), 0) FROM digests WHERE bucket IS NULL")
        self._con.execute(
            "CREATE OR REPLACE TEMP TABLE dirty AS SELECT coalesce(c.bucket, l.bucket) AS bucket "
            "FROM (SELECT * FROM digests WHERE bucket IS NOT NULL) c FULL OUTER JOIN ledger.digests l "
            "ON c.bucket = l.bucket WHERE (c.rows = l.rows AND c.digest = l.digest "
            f"AND l.mapping = {self._fingerprint}) IS DISTINCT FROM true"
        )
        dirty = "SELECT bucket FROM dirty"
        if self._one("SELECT count(*) FROM dirty") == 0:
            empty = f"(SELECT CAST(NULL AS {self.shape.key_type}) AS key, CAST(NULL AS UBIGINT) AS hash WHERE false)"
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE delta AS {self._delta(empty, dirty)}")
            return
        self._compared, _ = self._extractor.stream(key_kind, "delta", self._delta("arriving", dirty), dirty)
        self._known = self._one(f"SELECT count(*) FROM ledger.rows WHERE {bucket_of('key')} IN ({dirty})")

    def has_other_matches(self) -> bool:
        """Whether some row was matched by another value than its key, under an earlier mapping."""
        return self._one("SELECT count(*) FROM (SELECT 1 FROM ledger.rows WHERE match IS NOT NULL LIMIT 1)") > 0

    def _stage(self, key_kind: str, *, whole: bool) -> None:
        self._rows = self._extractor.stage(key_kind, whole=whole)
        self.shape = self._final(key_kind)
        self._nulls = self._one("SELECT count(*) FROM current WHERE key IS NULL")
        self._compared, self._known = self._rows - self._nulls, self._ledger.rows
        self._staged = True

    def _final(self, key_kind: str) -> Shape:
        shape = self._extractor.shape()
        return Shape("VARCHAR" if key_kind == "VARCHAR" else shape.key_type, shape.columns)

    def _mapping_is_new(self) -> bool:
        """Whether so much of the ledger was written under another mapping that about every row will be sent."""
        if self._options.once:
            return False
        others = self._one(f"SELECT count(*) FROM ledger.rows WHERE mapping <> {self._fingerprint}")
        return others * 10 > self._ledger.rows

    def _delta(self, present: str, buckets: str | None = None) -> str:
        """The query of `delta` over the present rows: both hashes, and what the ledger knows.

        `buckets`: a query of the only buckets of the ledger that take part.
        """
        shape = self.shape
        key = f"CAST(l.key AS {shape.key_type})"
        old_hash = self._ledger.hash_expression(shape)
        match = "c.match" if not self._extraction.match_is_key else "CAST(NULL AS VARCHAR)"
        unchanged = f"c.hash = {old_hash} AND l.mapping = {self._fingerprint} AND l.state = {State.DELIVERED:d}"
        unchanged += f" AND {SETTLED}"
        if self._options.once:
            unchanged = f"c.key IS NOT NULL AND l.state = {State.DELIVERED:d}"
        if self._options.full_resync:
            unchanged = "false"
        known = f"(SELECT * FROM ledger.rows WHERE {bucket_of('key')} IN ({buckets}))" if buckets else "ledger.rows"
        return (
            f"SELECT coalesce(c.key, {key}) AS key, c.key IS NULL AS gone, "
            f"l.key IS NULL AS new, c.hash AS hash, {match} AS match, {old_hash} AS old_hash, "
            "l.mapping AS mapping, l.state AS state, coalesce(l.match, CAST(l.key AS VARCHAR)) AS old_match, "
            "l.generation AS generation, l.intended AS intended, l.code AS code, l.skipped_at AS skipped_at, "
            f"{SETTLED} AS settled "
            f"FROM (SELECT * FROM {present} WHERE key IS NOT NULL) c FULL OUTER JOIN {known} l ON c.key = {key} "
            f"WHERE ({unchanged}) IS DISTINCT FROM true"
        )

    def _take_out_unusable(self, key_kind: str) -> int:
        """Null and duplicate primary keys leave `delta` for `unusable`. Returns how many rows have one.

        The ledger's keys are unique. So the pairs of the join prove whether the current ones are, unless they are new:
        grouping all rows would cost more than the whole comparison.
        """
        con = self._con
        repeated = self.nothing_known or self._has_repeated()
        if repeated and not self._staged:
            self._stage(key_kind, whole=False)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE unusable AS SELECT CAST(key AS VARCHAR) AS key, "
            "'primary_key_duplicate' AS code, count(*) AS copies FROM "
            f"{'(SELECT key FROM current WHERE key IS NOT NULL)' if repeated else '(SELECT key FROM delta WHERE new)'} "
            "GROUP BY key HAVING count(*) > 1"
        )
        duplicates = self._one("SELECT coalesce(sum(copies), 0) FROM unusable")
        if duplicates and not self.nothing_known:
            con.execute("DELETE FROM delta WHERE CAST(key AS VARCHAR) IN (SELECT key FROM unusable)")
        if self._nulls:
            con.execute("INSERT INTO unusable VALUES ('', 'primary_key_null', ?)", [self._nulls])
        return self._nulls + duplicates

    def _has_repeated(self) -> bool:
        new = self._one("SELECT count(*) FROM delta WHERE new")
        gone = self._one("SELECT count(*) FROM delta WHERE gone")
        return self._compared - new > self._known - gone

    def _count_new(self, unusable: int) -> Counts:
        """`delta` where nothing is known: the present rows themselves, all of them added. Nothing is copied."""
        unknown = "hash AS old_hash, mapping, state, match AS old_match, generation, intended, code, skipped_at"
        unknown += f", {SETTLED.replace('l.', '')} AS settled"
        self._con.execute(
            "CREATE OR REPLACE TEMP VIEW delta AS SELECT c.*, false AS gone, true AS new, 'added' AS change, l.* "
            f"FROM current c LEFT JOIN (SELECT {unknown} FROM ledger.rows WHERE false) l ON true "
            "WHERE c.key IS NOT NULL AND CAST(c.key AS VARCHAR) NOT IN (SELECT key FROM unusable)"
        )
        added = self._rows - unusable
        return Counts(rows=self._rows, invalid=unusable, added=added)

    def _count(self, unusable: int) -> Counts:
        """Sorts `delta` into `change` and counts. What is not in it is unchanged."""
        skipped = f"({State.SKIPPED_NEW:d}, {State.SKIPPED_KNOWN:d})"
        seconds = int(self._options.recheck_skipped_after.total_seconds())
        due = (
            f"(code IS DISTINCT FROM {literal(self._options.skip_code or '')} "
            f"OR skipped_at + INTERVAL {seconds} SECOND <= make_timestamp(epoch_us(now())))"
        )
        same = f"(hash = old_hash AND mapping = {self._fingerprint} AND settled)"
        if self._options.full_resync:
            same = "false"
        known = f"state IN ({State.DELIVERED:d}, {State.SKIPPED_KNOWN:d}, {State.GONE:d})"
        # A record that we delivered once is ours to remove, also where its last change was skipped.
        removable = f"{State.DELIVERED:d}" + (f", {State.SKIPPED_KNOWN:d}" if self._options.removed != "ignore" else "")
        self._con.execute("ALTER TABLE delta ADD COLUMN change VARCHAR")
        self._con.execute(
            "UPDATE delta SET change = CASE "
            f"WHEN gone AND state IN ({removable}) AND NOT {self._options.once} THEN 'removed' "
            "WHEN gone THEN 'left' "
            f"WHEN {same} AND state = {State.GONE:d} THEN 'back' "
            f"WHEN {same} AND state IN {skipped} AND NOT {due} THEN 'same' "
            f"WHEN {known} THEN 'changed' ELSE 'added' END"
        )
        found = dict(self._con.execute("SELECT change, count(*) FROM delta GROUP BY change").fetchall())
        counts = Counts(rows=self._rows, invalid=unusable)
        counts.added, counts.changed = found.get("added", 0), found.get("changed", 0)
        counts.removed = found.get("removed", 0)
        counts.unchanged = self._rows - unusable - counts.added - counts.changed
        return counts

    def _choose(self) -> None:
        """`work`: the keys that get an operation. No removal of a match value that lives on in a current row."""
        con, options = self._con, self._options
        where = "change IN ('added', 'changed')"
        if options.removed != "ignore":
            where = "change IN ('added', 'changed', 'removed')"
        if options.keys is not None:
            con.register("chosen_keys", _arrow_of("key", options.keys))
            con.execute("CREATE OR REPLACE TEMP TABLE chosen AS SELECT key FROM chosen_keys")
            con.unregister("chosen_keys")
            where += " AND CAST(key AS VARCHAR) IN (SELECT key FROM chosen)"
        lives_on = "CAST(key AS VARCHAR)" if self._extraction.match_is_key else "match"
        # Without a staged table the match value is the key itself, and a removed key lives on in no row.
        compared = self._extraction.compared
        alive = f"{compared('old_match')} IN (SELECT {compared(lives_on)} FROM current)" if self._staged else "false"
        moved = f"SELECT key FROM delta WHERE {where} AND change = 'removed' AND {alive}"
        con.execute(f"CREATE OR REPLACE TEMP TABLE moved AS {moved}")
        if options.removed != "ignore":
            where += " AND NOT (change = 'removed' AND key IN (SELECT key FROM moved))"
        # A view: over a first sync a table would hold every key once more.
        con.execute(f"CREATE OR REPLACE TEMP VIEW work AS SELECT * FROM delta WHERE {where}")

    def present(self) -> str:
        """The table that holds the present values of the work: `current`, or `fresh` from a second read."""
        if self._extractor.staged_whole:
            return "current"
        wanted = "SELECT key FROM work WHERE change <> 'removed'"
        if self._one(f"SELECT count(*) FROM ({wanted})") == 0:
            self._con.execute(self.shape.create("fresh_shape"))
            return "fresh_shape"
        self._extractor.fetch(self.shape.key_type, wanted)
        # Rows may come and go between the two reads: a key that stands in several rows by now is left for the next run.
        self._con.execute("DELETE FROM fresh WHERE key IN (SELECT key FROM fresh GROUP BY key HAVING count(*) > 1)")
        return "fresh"

    def _one(self, sql: str) -> int:
        return int(one_value(self._con, sql))


def _arrow_of(name: str, values: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.table({name: pa.array(list(values), pa.string())})

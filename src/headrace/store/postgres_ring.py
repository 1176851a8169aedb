"""A ring of a rate limit in Postgres: read, changed here, and written back if nobody else was faster.

Nobody ever holds it: a process that is suspended in mid-change keeps no machine from sending.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from psycopg import Connection, errors

from headrace.engine.throttle import Allowance
from headrace.store.ring import HeldRing


class PostgresRing:
    """Implements `ring.RingTable`."""

    def __init__(self, connection: Connection[Any], name: str, allowance: Allowance) -> None:
        """`connection` is in autocommit, and ours alone. Lays the ring where there is none."""
        self._connection = connection
        self._name = name
        try:
            with connection.pipeline():
                # What a crash of the server forgets of the last moment costs a 429 at most; a disk a request is dearer.
                connection.execute("SET synchronous_commit = off")
                connection.execute("INSERT INTO rate_limits (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
                connection.execute(_LAY, (name, allowance.requests - 1))
                # Instants of a clock that was set back since are void.
                connection.execute(_VOID, (name, allowance.furthest_s))
        except BaseException:
            connection.close()
            raise

    def change(self, wanted: int, change: Callable[[HeldRing], None]) -> None:
        while True:
            ring, version = self._read(wanted)
            change(ring)
            if self._write(ring, version):
                return

    def _read(self, wanted: int) -> tuple[HeldRing, int]:
        row = self._connection.execute(_READ, {"name": self._name, "wanted": wanted}).fetchone()
        if row is None:
            raise LookupError(f"The rate limit {self._name} is gone.")
        now, paused_until, spacing, next_send, version, free, slots = row
        return HeldRing(now, paused_until, spacing, next_send, deque(zip(free, slots, strict=True)), {}), version

    def _write(self, ring: HeldRing, version: int) -> bool:
        """One transaction by itself. False where the ring is another by now: then nothing is written."""
        steered = (ring.paused_until, ring.spacing, ring.next_send, self._name, version)
        try:
            with self._connection.pipeline():
                self._connection.execute(_STEER, steered)
                if ring.changed:
                    slots, free_at = list(ring.changed), list(ring.changed.values())
                    self._connection.execute(_TAKE, (slots, free_at, self._name))
        except errors.DivisionByZero:
            return False
        return True

    def close(self) -> None:
        self._connection.close()


_LAY = "INSERT INTO rate_slots (name, slot) SELECT %s, generate_series(0, %s::bigint) ON CONFLICT DO NOTHING"
_VOID = """
UPDATE rate_slots SET free_at = 0
WHERE name = %s AND free_at > extract(epoch FROM clock_timestamp())::float8 + %s
"""
# One statement sees one state. The clock is that of its beginning: whatever was answered, was answered before.
_READ = """
WITH free AS (SELECT free_at, slot FROM rate_slots WHERE name = %(name)s ORDER BY free_at LIMIT %(wanted)s)
SELECT extract(epoch FROM statement_timestamp())::float8, paused_until, spacing, next_send, version,
       ARRAY(SELECT free_at FROM free ORDER BY free_at, slot), ARRAY(SELECT slot FROM free ORDER BY free_at, slot)
FROM rate_limits WHERE name = %(name)s
"""
# Fails, and the whole transaction with it, where somebody was faster.
_STEER = """
WITH ours AS (
  UPDATE rate_limits SET paused_until = %s, spacing = %s, next_send = %s, version = version + 1
  WHERE name = %s AND version = %s RETURNING version
)
SELECT 1 / count(*) FROM ours
"""
_TAKE = """
UPDATE rate_slots SET free_at = changed.free_at
FROM unnest(%b::bigint[], %b::float8[]) AS changed (slot, free_at)
WHERE rate_slots.name = %s AND rate_slots.slot = changed.slot
"""

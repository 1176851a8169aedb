"""What a run recorded, for the fold, and the memory of look-ups. Read only: the run log writes both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from headrace.store.database import Database
from headrace.store.tables import identities, outcomes, runs

FOLD_BATCH = 10_000
LOOKUP_CHUNK = 500  # bound parameters in one statement


class Acknowledgements:
    """Implements `engine.ports.Acknowledgements`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, run_id: int, sequence: int) -> Iterator[Sequence[tuple[int, int, str, str | None]]]:
        """Batches of (sequence, position, outcome, code) in order, later than `sequence`, rows with a position only.

        Each batch is a read of its own: no reader holds up the log for as long as a fold takes.
        """
        o = outcomes.c
        query = select(o.sequence, o.position, o.outcome, o.code).order_by(o.sequence).limit(FOLD_BATCH)
        with self._database.read() as connection:
            span = connection.execute(select(runs.c.first_outcome, runs.c.last_outcome).where(runs.c.id == run_id))
            first, last = span.one_or_none() or (None, None)
        if first is None:
            return  # it recorded nothing, or is no longer kept
        # One lower bound that moves on: with the span's own beside it, each batch would be looked for from the start.
        sequence = max(sequence, first - 1)
        query = query.where(o.sequence <= last, o.run_id + 0 == run_id, o.position.is_not(None))
        while True:
            with self._database.read() as connection:
                found = connection.execute(query.where(o.sequence > sequence))
                # Plain tuples from the driver: a fold reads millions and needs no names.
                rows: Sequence[tuple[int, int, str, str | None]] = found.cursor.fetchall()
            if not rows:
                return
            yield rows
            sequence = rows[-1][0]


class Identities:
    """Implements `engine.ports.Identities` for one scope: the destination whose ids they are."""

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self._scope = scope

    def known(self, kind: str, external_ids: Sequence[str]) -> dict[str, str]:
        """External id -> own id, of those that are known."""
        i = identities.c
        query = select(i.external_id, i.record_id).where(i.scope == self._scope, i.kind == kind)
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for start in range(0, len(external_ids), LOOKUP_CHUNK):
                chunk = external_ids[start : start + LOOKUP_CHUNK]
                found.update((row[0], row[1]) for row in connection.execute(query.where(i.external_id.in_(chunk))))
        return found

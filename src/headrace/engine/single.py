"""One row, really sent: the test of a mapping. It uses the run's own executor and leaves the ledger alone."""

from __future__ import annotations

import asyncio
import base64
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from headrace.domain.coerce import Mismatch, conversion
from headrace.domain.columns import Column, ColumnType
from headrace.domain.errors import NotFound, UserError
from headrace.domain.mapping import Mapping
from headrace.domain.outcome import Change, Counts
from headrace.domain.plan import PlannedRow
from headrace.engine.extract import Extraction, Extractor
from headrace.engine.job import Job
from headrace.engine.ledger import connect
from headrace.engine.ports import Clock
from headrace.engine.recorder import Recorder
from headrace.engine.run import Remembering, sending_for
from headrace.engine.sqltext import quoted


def read_row(job: Job, extraction: Extraction, mapping: Mapping, key: str) -> tuple[Any, ...]:
    """The row's mapped values, in the mapping's order. Raises NotFound, and UserError for a repeated key."""
    con = connect(job.memory_limit_mb, job.paths.temporary)
    try:
        extractor = Extractor(con, job.source, extraction, lambda _rows: None)
        extractor.stage("VARCHAR", whole=True)
        names = ", ".join(quoted(f"c:{column.name}") for column in mapping.columns)
        sql = f"SELECT {names} FROM current WHERE CAST(key AS VARCHAR) = ? LIMIT 2"
        rows = con.execute(sql, [key]).fetchall()
        if not rows:
            some = [one[0] for one in con.execute("SELECT CAST(key AS VARCHAR) FROM current LIMIT 5").fetchall()]
            raise NotFound("row with the key", key, [one for one in some if one is not None])
        if len(rows) > 1:
            message = f'Several rows have the key "{key}". Make the primary key of the model unique.'
            raise UserError(message, code="primary_key_duplicate")
        return tuple(rows[0])
    finally:
        con.close()


def with_values(mapping: Mapping, row: tuple[Any, ...], changes: dict[str, str]) -> tuple[Any, ...]:
    """The row with some columns set from text, read as the column's type. An empty text is null."""
    values = list(row)
    names = [column.name for column in mapping.columns]
    for name, text in changes.items():
        if name not in names:
            raise NotFound("mapped column", name, names)
        values[names.index(name)] = _read(mapping.columns[names.index(name)], text)
    return tuple(values)


def _read(column: Column, text: str) -> Any:
    if text == "":
        return None
    try:
        match column.type:
            case ColumnType.INTEGER:
                return int(text)
            case ColumnType.NUMBER:
                return float(text)
            case ColumnType.BOOLEAN:
                return conversion("boolean", None)(text)
            case ColumnType.DATE:
                return date.fromisoformat(text)
            case ColumnType.DATETIME | ColumnType.DATETIME_TZ:
                return datetime.fromisoformat(text)
            case ColumnType.DECIMAL:
                return Decimal(text)
            case ColumnType.BINARY:
                return base64.b64decode(text, validate=True)
            case _:
                return text
    except (ValueError, ArithmeticError, Mismatch) as error:
        message = f'"{text}" is no {column.type} for column "{column.name}".'
        raise UserError(message, code="type_mismatch") from error


def planned(mapping: Mapping, key: str, change: Change, row: tuple[Any, ...], run_id: int) -> PlannedRow:
    """The row as a plan of its own, for that run."""
    match = None if mapping.match is None or row[0] is None else str(row[0])
    if change is Change.REMOVED:
        return PlannedRow(0, key, change, None, row, match, 0)
    old = row if change is Change.CHANGED else None
    # No run ever has a negative generation: the message is none that a run has sent or will send.
    return PlannedRow(0, key, change, row, old, None if old is None else match, -run_id)


async def deliver_row(job: Job, mapping: Mapping, row: PlannedRow, memory: Remembering, clock: Clock) -> Counts:
    """Sends what the row asks for, with every call and the outcome recorded. Raises what stopped it."""
    counts = Counts(rows=1)
    recorder = Recorder(memory.log, counts)
    sending = sending_for(
        job, mapping, memory, recorder, clock, asyncio.Event(), 1, lambda _event: None, lambda _waiting: None
    )
    try:
        async with sending as executor:
            await executor.run(iter([row]), 1)
        recorder.flush()
    finally:
        recorder.close()
    if executor.failure is not None:
        raise executor.failure
    return counts

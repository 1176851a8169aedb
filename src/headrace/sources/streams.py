"""Arrow batches on their way from a source to its reader, and the promise that a cut stream is never a shorter one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pyarrow as pa

from headrace.domain.errors import SourceError


class _WatchedBatches:
    """Remembers how the source failed, because a reader in C++ turns the exception into a mere text."""

    def __init__(self, batches: Generator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left = False
        self.failure: SourceError | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        if self.failure:
            raise self.failure
        if self._left:
            raise SourceError("The read was left before its end; its reader can't go on.", code="source_failed")
        try:
            return next(self._batches)
        except SourceError as failure:
            self.failure = failure
            raise

    def leave(self) -> None:
        self._left = True
        self._batches.close()


@contextmanager
def guarded_reader(schema: pa.Schema, batches: Generator[pa.RecordBatch]) -> Iterator[pa.RecordBatchReader]:
    """A reader over the batches; leaving the context closes their generator.

    When the generator raised SourceError, that error leaves the context, whatever the reader's user made of it.
    """
    watched = _WatchedBatches(batches)
    try:
        yield pa.RecordBatchReader.from_batches(schema, watched)
    except Exception as seen:
        if watched.failure and seen is not watched.failure:
            raise watched.failure from seen
        raise
    finally:
        watched.leave()
    if watched.failure:
        raise watched.failure

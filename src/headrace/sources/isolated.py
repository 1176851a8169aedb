"""A child process that answers a job, and the pipe to it. Every wait counts against the job's time limit.

The child is killed when its reader leaves, when its time is up and when anything goes wrong; it is never left behind.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Generator, Mapping
from typing import Any

import pyarrow as pa

from headrace.domain.errors import SourceError
from headrace.sources.spares import Spare

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux; elsewhere the pipe keeps its size


class _TimedPipe(io.RawIOBase):
    """A pipe's reading end. Only the time spent waiting for the child counts, not what the reader does between."""

    def __init__(self, descriptor: int, limit_s: float) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._limit_s = limit_s
        self.left_s = limit_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        began = time.monotonic()
        ready = self._poll.poll(max(self.left_s, 0) * 1000)
        self.left_s -= time.monotonic() - began
        if not ready:
            raise SourceError(
                f"The model's SQL took longer than {self._limit_s:g} s and was stopped. Make it faster, or raise"
                " statement_timeout of the source.",
                code="source_timeout",
                limit_s=self._limit_s,
            )
        return os.readv(self._descriptor, [buffer])


class Child:
    """One job in a process of its own. Use as a context: leaving it kills the process and clears its scratch folder."""

    def __init__(
        self, spare: Spare, job: Mapping[str, Any], keys: pa.Table | None, scratch_dir: str, limit_s: float
    ) -> None:
        self._spare, self._process = spare, spare.process
        self._released = False
        self._scratch = os.path.abspath(tempfile.mkdtemp(prefix="source-", dir=scratch_dir or None))
        self._output = _TimedPipe(self._file("stdout"), limit_s)
        try:
            self._ask({**job, "scratch": self._scratch, "keys": keys is not None}, keys)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._released:
            self._spare.end()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def answer(self) -> Any:
        """The child's JSON answer. Raises SourceError when it failed, died or took too long."""
        text = io.BufferedReader(self._output, _PIPE_BYTES).readline()
        self._settle()
        return json.loads(text)

    def release(self) -> Spare:
        """The process after its answer: it waits for the next job, and outlives this context."""
        self._released = True
        return self._spare

    def stream(self) -> tuple[pa.Schema, Generator[pa.RecordBatch]]:
        """Schema and batches of the child's Arrow stream; the batches raise SourceError when it was cut short."""
        try:
            reader = pa.ipc.open_stream(io.BufferedReader(self._output, _PIPE_BYTES))
        except (pa.ArrowException, OSError) as cut:
            self._settle()
            raise self._died() from cut
        return reader.schema, self._batches(reader)

    def _batches(self, reader: pa.RecordBatchReader) -> Generator[pa.RecordBatch]:
        rows = 0
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except (pa.ArrowException, OSError) as cut:
                self._settle()
                raise self._died() from cut
            rows += batch.num_rows
            yield batch
        if self._settle() != rows:
            raise self._died()

    def _ask(self, job: Mapping[str, Any], keys: pa.Table | None) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        # A child that died at its start is told by its missing end mark.
        with contextlib.suppress(BrokenPipeError):
            pipe.write(json.dumps(job).encode() + b"\n")
            if keys is not None:
                with pa.ipc.new_stream(pipe, keys.schema) as writer:
                    writer.write_table(keys)
            pipe.close() if job["operation"] == "read" else pipe.flush()

    def _settle(self) -> int:
        """The number of rows that the child says it sent. Raises its fault, or SourceError when it left no end mark."""
        said = io.BufferedReader(_TimedPipe(self._file("stderr"), max(self._output.left_s, 5)))
        last_words, report = "", None
        while report is None:
            if not (line := said.readline().decode(errors="replace").strip()):
                raise self._died(last_words)
            last_words, report = line, _report_in(line)
        if "end" in report:
            return int(report["end"])
        fault = report["fault"]
        raise SourceError(fault["message"], code=fault["code"], **fault["facts"])

    def _died(self, last_words: str = "") -> SourceError:
        self._process.kill()
        status = self._process.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return SourceError(
            f"The process that reads the source {how} before the last row, so what it sent is not complete."
            f" {last_words[:500] or 'It may have run out of memory: lower HEADRACE_MEMORY_LIMIT and run again.'}",
            code="source_failed",
            status=status,
        )

    def _file(self, name: str) -> int:
        pipe = getattr(self._process, name)
        if name == "stdout":
            with contextlib.suppress(ImportError, OSError):
                import fcntl

                fcntl.fcntl(pipe.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
        return int(pipe.fileno())


def _report_in(line: str) -> dict[str, Any] | None:
    """The child's own report of a job; None for what a library said on the same way out."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() & {"end", "fault"} else None

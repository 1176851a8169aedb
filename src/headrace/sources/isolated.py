"""A child process that answers one job, and the pipe to it. Every wait counts against the job's time limit.

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
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from typing import Any

import pyarrow as pa

from headrace.domain.errors import SourceError

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux; elsewhere the pipe keeps its size
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


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


class Spare:
    """A process that waits for its job: to start one takes longer than many a job. When we end, it ends by itself."""

    def __init__(self, module: str, scratch_dir: str) -> None:
        # The environment holds tokens and passwords that SQL of a user has no business with.
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=scratch_dir or tempfile.gettempdir(),
        )

    def end(self) -> None:
        """Kills it, if it lives."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


class Child:
    """One job in a process of its own. Use as a context: leaving it kills the process and clears its scratch folder."""

    def __init__(
        self, spare: Spare, job: Mapping[str, Any], keys: pa.Table | None, scratch_dir: str, limit_s: float
    ) -> None:
        self._spare, self._process = spare, spare.process
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
        self._spare.end()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def answer(self) -> Any:
        """The child's JSON answer. Raises SourceError when it failed, died or took too long."""
        text = b"".join(iter(lambda: self._output.read(_PIPE_BYTES) or b"", b""))
        self._settle()
        return json.loads(text)

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
            pipe.close()

    def _settle(self) -> int:
        """The number of rows that the child says it sent. Raises its fault, or SourceError when it left no end mark."""
        lines = io.BufferedReader(_TimedPipe(self._file("stderr"), max(self._output.left_s, 5))).read()
        last_words = lines.decode(errors="replace").strip().rpartition("\n")[2]
        try:
            report = json.loads(last_words)
        except ValueError:
            raise self._died(last_words) from None
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

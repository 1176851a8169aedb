"""A bare HTTP sink of Vitally's REST shape, as fast as asyncio allows: a measure must see the sender, not the server.

Any PUT or POST gets 200 and `{"id": ..., "externalId": ...}`, after `--delay-ms` if told. `GET /count` tells how many
of those there were; a list of records is empty; any other GET is 404. HTTP/1.1 keep-alive, parsed by hand: only what
well-behaved clients send (Content-Length or chunked bodies, no trailers).
Run as `python -m bench.sink --port 8791`; it prints one line when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import cast
from urllib.parse import unquote

import uvloop

_HEAD_END = b"\r\n\r\n"


class Sink:
    """What all connections share: the count of writes and the delay."""

    def __init__(self, delay_ms: float) -> None:
        self.delay_s = delay_ms / 1000
        self.writes = 0


class SinkConnection(asyncio.Protocol):
    """One keep-alive connection. Requests on it are answered in the order they came."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own does not inherit from it.
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer:
            head_end = self._buffer.find(_HEAD_END)
            if head_end < 0:
                return
            head = self._buffer[:head_end]
            body, rest = _take_body(head, self._buffer, head_end + 4)
            if body is None:
                return
            self._buffer = rest
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, target, _ = head[: head.index(b"\r\n")].split(b" ", 2)
        if method == b"GET":
            self._send(*_read(target, self._sink.writes))
            return
        self._sink.writes += 1
        external_id = _external_id(method, target, body)
        answer = b'{"id":"00000000-0000-4000-8000-%012d","externalId":%s}' % (self._sink.writes, external_id)
        if self._sink.delay_s:
            self._loop.call_later(self._sink.delay_s, self._send, b"200 OK", answer)
        else:
            self._send(b"200 OK", answer)

    def _send(self, status: bytes, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (status, len(body), body)
            )


def _take_body(head: bytes, buffer: bytes, start: int) -> tuple[bytes | None, bytes]:
    """The body that begins at `start` and what follows it; (None, buffer) while it has not all come."""
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lowered[at + 17 :].split(b"\r\n", 1)[0])
        if len(buffer) < start + length:
            return None, buffer
        return buffer[start : start + length], buffer[start + length :]
    if b"\r\ntransfer-encoding: chunked" in lowered:
        end = buffer.find(b"0\r\n\r\n", start)
        return (None, buffer) if end < 0 else (buffer[start:end], buffer[end + 5 :])
    return b"", buffer[start:]


def _read(target: bytes, writes: int) -> tuple[bytes, bytes]:
    path = target.split(b"?", 1)[0]
    if path == b"/count":
        return b"200 OK", b'{"count":%d}' % writes
    if path.startswith(b"/resources/") and path.count(b"/") == 2:
        return b"200 OK", b'{"results":[],"next":null}'
    return b"404 Not Found", b'{"error":"Not Found"}'


def _external_id(method: bytes, target: bytes, body: bytes) -> bytes:
    """As a JSON string: the end of the path of a PUT, else what the body says, else empty."""
    if method == b"PUT":
        return json.dumps(unquote(target.rsplit(b"/", 1)[1].decode())).encode()
    at = body.find(b'"externalId":"')
    return b'""' if at < 0 else body[at + 13 : body.index(b'"', at + 14) + 1]


async def serve_sink(port: int, delay_ms: float) -> None:
    """Serves on 127.0.0.1 until cancelled."""
    sink = Sink(delay_ms)
    server = await asyncio.get_running_loop().create_server(lambda: SinkConnection(sink), "127.0.0.1", port)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="A bare HTTP sink of Vitally's REST shape.")
    parser.add_argument("--port", type=int, default=8791)
    parser.add_argument("--delay-ms", type=float, default=0)
    given = parser.parse_args()
    uvloop.run(serve_sink(given.port, given.delay_ms))


if __name__ == "__main__":
    main()

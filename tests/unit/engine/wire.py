"""A server on a socket of this machine that answers, hangs or breaks off as a test says, and remembers what came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Came(NamedTuple):
    """A request as it was on the wire; `connection` counts from 1."""

    connection: int
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name.lower())


class Say(NamedTuple):
    """Bytes to answer with, and whether the connection is closed after them."""

    octets: bytes = b""
    then_close: bool = False


HANG = None
HANG_UP = Say(then_close=True)


def answer(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> Say:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return Say("\r\n".join(head).encode() + b"\r\n\r\n" + body)


@dataclass
class Wire:
    """Use as an async context. `answers` decides per request; None leaves the client waiting."""

    answers: Callable[[Came], Say | None] = lambda _came: answer()
    tls: ssl.SSLContext | None = None
    came: list[Came] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0

    async def __aenter__(self) -> Self:
        self.all_closed = asyncio.Event()
        self.first_came = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, limit=1 << 24)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.all_closed.clear()
        self.most_open = max(self.most_open, self.open_now)
        connection = self.connections
        try:
            while True:
                came = await _read(reader, connection)
                self.came.append(came)
                self.first_came.set()
                said = self.answers(came)
                if said is HANG:
                    await reader.read()  # until the client goes
                    return
                writer.write(said.octets)
                await writer.drain()
                if said.then_close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            self.open_now -= 1
            if self.open_now == 0:
                self.all_closed.set()


async def _read(reader: asyncio.StreamReader, connection: int) -> Came:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    length = int(dict(headers).get("content-length", 0))
    return Came(connection, method, target, headers, await reader.readexactly(length))


def certificate(folder: Path, host: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate that it signed itself, and the file by which one may trust it."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wire")])
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "trusted.pem", folder / "private.pem"
    trusted.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return context, trusted

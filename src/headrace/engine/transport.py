"""One HTTP exchange: a request value goes out, a response value comes back. The only place that opens a socket.

It adds the credential at the last moment, never follows a redirect, and says of a failure whether the request may have
taken effect. libcurl does the work, on the loop (docs/decisions/0008-libcurl.md); it speaks HTTP/1.1 here.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import pycurl

from headrace import __version__
from headrace.domain.errors import Bug
from headrace.domain.request import NoResponse, Request, Response
from headrace.engine.transfers import Transfers

LARGEST_BODY = 1 << 20
LONGEST_CONNECT_S = 10.0
Authorize = Callable[[str], Mapping[str, str]]

_USER_AGENT = f"headrace/{__version__}"
_LOOPBACK = "localhost,127.0.0.1,::1"
# What may be sent a second time without harm. libcurl itself does so where a connection that had served before breaks
# ahead of the first byte of an answer: the server may have closed it just then, or have died at work.
_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})


class Transport(Protocol):
    """What the engine sends through."""

    async def send(self, request: Request, authorize: Authorize, timeout_s: float) -> Response | NoResponse: ...


class HttpTransport:
    """libcurl, one pool of connections for a run. Use as an async context."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._idle: dict[tuple[str, bool], list[_Transfer]] = {}

    async def __aenter__(self) -> HttpTransport:
        self._transfers = Transfers(self._connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transfers.close()
        for transfers in self._idle.values():
            for transfer in transfers:
                transfer.close()
        self._idle.clear()

    async def send(self, request: Request, authorize: Authorize, timeout_s: float) -> Response | NoResponse:
        shape = (request.method, bool(request.body))
        idle = self._idle.setdefault(shape, [])
        transfer = idle.pop() if idle else _Transfer(*shape)
        transfer.load(request, _header_lines((*request.headers.items(), *authorize(request.api).items())), timeout_s)
        try:
            code, words = await self._transfers.perform(transfer.curl)
            if code == pycurl.E_OK or transfer.was_cut:
                return transfer.response()
            return transfer.failure(code, words, request.url)
        finally:
            idle.append(transfer)


class _Transfer:
    """A handle of libcurl, for one request after the other of one method, and what the present answer has brought."""

    def __init__(self, method: str, has_body: bool) -> None:
        self.curl = curl = pycurl.Curl()
        self.was_cut = False
        self._lines: tuple[str, ...] = ()
        self._timeout_s = 0.0
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self._room = LARGEST_BODY
        self._unsent = b""
        for option, value in _constant_options():
            curl.setopt(option, value)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self._is_read = has_body and method not in _REPEATABLE
        if self._is_read:
            # A body that can't be rewound: libcurl then tells of the broken connection instead of trying another.
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.READFUNCTION, self._give_body)
        elif not has_body:
            if method in ("GET", "DELETE"):
                curl.setopt(pycurl.HTTPGET, 1)
            else:
                curl.setopt(pycurl.POSTFIELDS, b"")  # `Content-Length: 0`: some servers insist on it
            curl.setopt(pycurl.FRESH_CONNECT, method not in _REPEATABLE)
        curl.setopt(pycurl.CUSTOMREQUEST, method)

    def load(self, request: Request, lines: tuple[str, ...], timeout_s: float) -> None:
        """Makes it ready for the request; what the last one left is gone."""
        curl = self.curl
        self.was_cut = False
        self._head.clear()
        self._body, self._room = [], LARGEST_BODY
        curl.setopt(pycurl.URL, request.url)
        if self._is_read:
            self._unsent = request.body or b""
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(self._unsent))
        elif request.body:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        if lines is not self._lines:
            self._lines = lines
            curl.setopt(pycurl.HTTPHEADER, lines)
        if timeout_s != self._timeout_s:
            self._timeout_s = timeout_s
            curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(timeout_s))
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(min(timeout_s, LONGEST_CONNECT_S)))

    def response(self) -> Response:
        return Response(self.curl.getinfo(pycurl.RESPONSE_CODE), _read_head(self._head), b"".join(self._body))

    def failure(self, code: int, words: str, url: str) -> NoResponse:
        """Why there is no answer. The request had no effect where not a byte of it has left."""
        sent = self.curl.getinfo(pycurl.REQUEST_SIZE) > 0
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if sent:
                return NoResponse(f"no answer within {self._timeout_s:g} s", sent=True)
            return NoResponse(f"no connection within {min(self._timeout_s, LONGEST_CONNECT_S):g} s", sent=False)
        if sent:
            if code == pycurl.E_SEND_FAIL_REWIND:  # libcurl would have tried again, and was not let
                words = "it ended before an answer came"
            return NoResponse(f"the connection broke: {words}", sent=True)
        parts = urlsplit(url)
        if code == pycurl.E_COULDNT_RESOLVE_HOST:
            return NoResponse(f"the host name is unknown: {parts.hostname}", sent=False)
        if code == pycurl.E_PEER_FAILED_VERIFICATION:
            return NoResponse(f"the certificate is not trusted: {words}", sent=False)
        if code == pycurl.E_COULDNT_CONNECT and (number := self.curl.getinfo(pycurl.OS_ERRNO)):
            words = os.strerror(number)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return NoResponse(f"no connection to {parts.hostname}:{port}: {words}", sent=False)

    def close(self) -> None:
        self.curl.close()

    def _take_body(self, piece: bytes) -> int:
        """How much was taken; less than all makes libcurl end the transfer."""
        taken = piece[: self._room]
        self._body.append(taken)
        self._room -= len(taken)
        self.was_cut = len(taken) < len(piece)
        return len(taken)

    def _give_body(self, most: int) -> bytes:
        piece, self._unsent = self._unsent[:most], self._unsent[most:]
        return piece


def _constant_options() -> list[tuple[int, int | str]]:
    """What every transfer is set to. libcurl verifies certificates and host names by itself, and keeps no cookies."""
    options: list[tuple[int, int | str]] = [
        (pycurl.NOSIGNAL, 1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.PATH_AS_IS, 1),  # an external id may be `..`
        (pycurl.TCP_NODELAY, 1),
        (pycurl.ACCEPT_ENCODING, "gzip, deflate"),
        (pycurl.USERAGENT, _USER_AGENT),
        # Proxies are those of the environment, but never between us and an emulator on this machine.
        (pycurl.NOPROXY, ",".join(filter(None, (os.environ.get("no_proxy", os.environ.get("NO_PROXY")), _LOOPBACK)))),
    ]
    # The authorities that Python trusts, SSL_CERT_FILE and SSL_CERT_DIR included: libcurl from a wheel has none of its
    # own. A folder keeps libcurl from caching what it read, so it is named only where a person did, or nothing else is.
    trusted = ssl.get_default_verify_paths()
    if trusted.cafile:
        options.append((pycurl.CAINFO, trusted.cafile))
    if trusted.capath and (not trusted.cafile or trusted.openssl_capath_env in os.environ):
        options.append((pycurl.CAPATH, trusted.capath))
    return options


def _read_head(lines: Sequence[bytes]) -> dict[str, str]:
    """The headers of an answer by their names in lower case."""
    headers: dict[str, str] = {}
    for line in lines:
        if (header := _read_line(line)) is not None:
            headers[header[0]] = header[1]
        elif line.startswith(b"HTTP/"):
            headers = {}  # the one before was of a proxy, or said `100 Continue`
    return headers


@lru_cache(maxsize=1024)  # most lines of an answer stand in the next one too
def _read_line(line: bytes) -> tuple[str, str] | None:
    name, colon, value = line.partition(b":")
    return (name.decode("latin-1").lower(), value.strip().decode("latin-1")) if colon else None


@lru_cache(maxsize=64)
def _header_lines(headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The lines of headers, as libcurl takes them: it passes on what it gets, so a line break is refused here."""
    for name, value in headers:
        if any(sign in name + value for sign in "\r\n\0"):
            raise Bug("a header with a line break reached the transport", header=name)
    given = {name.lower() for name, _ in headers}
    # What libcurl would add by itself to a body goes out only where the request says so.
    unwanted = [f"{name}:" for name in ("Content-Type", "Expect", "Accept") if name.lower() not in given]
    return (*(f"{name}: {value}" if value else f"{name};" for name, value in headers), *unwanted)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))

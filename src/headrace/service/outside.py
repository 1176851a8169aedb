"""Addresses that people configure and a server then calls: checked, resolved once, and called at what was checked.

Without this, a webhook would be a way into the server's own network. https only, known ports, no redirects, a time-out
and a cap; every address that a name resolves to must be out in the world. An admin may except hosts by name.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from headrace import __version__
from headrace.domain.errors import UserError, WorldError

Resolve = Callable[[str, int], Sequence[str]]
"""Host name and port -> the addresses it has now. Raises OSError."""
HTTPS_PORTS = frozenset({443, 8443})
MAIL_PORTS = frozenset({25, 465, 587, 2525})
LARGEST_ANSWER = 64 * 1024
TIMEOUT_S = 10.0
_WORLD6 = ip_network("2000::/3")
# `is_global` of Python 3.11 says True of several of these; the IPv6 ones carry IPv4 addresses or are no hosts.
_CLOSED = tuple(
    ip_network(one)
    for one in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that an admin excepts from the checks, each with a port or with any: an own mail server, say."""

    names: frozenset[str] = frozenset()

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> AllowedHosts:
        """`HEADRACE_ALLOW_HOSTS=mail.internal:25,chat.internal`."""
        listed = environment.get("HEADRACE_ALLOW_HOSTS", "")
        return cls(frozenset(one.strip().lower() for one in listed.split(",") if one.strip()))

    def has(self, host: str, port: int) -> bool:
        return host in self.names or f"{host}:{port}" in self.names


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, cut where it was long."""

    status: int
    body: bytes
    ms: float


def resolve_host(host: str, port: int) -> Sequence[str]:
    """By the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_outside(address: str) -> bool:
    """Whether that is the address of a host out in the world, and not one of ours by another name."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv6Address) and found not in _WORLD6:
        return False
    if any(found.version == network.version and found in network for network in _CLOSED):
        return False
    return isinstance(found, IPv4Address | IPv6Address) and found.is_global and not found.is_multicast


class Outside:
    """Calls what people configured. Blocking; use it from a thread."""

    def __init__(
        self,
        allowed: AllowedHosts = AllowedHosts(),
        *,
        resolve: Resolve = resolve_host,
        ports: frozenset[int] = HTTPS_PORTS,
        context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._ports = ports
        self.context = context or ssl.create_default_context()
        self.timeout_s = timeout_s

    def check(self, url: str) -> SplitResult:
        """The parts of an address that may be called. Asks nobody. Raises UserError `address_refused`."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _refused(url, "it is no address") from error
        host = (parts.hostname or "").lower()
        if not url.isprintable() or " " in url or "\\" in url or not host or not url.startswith(("https:", "http:")):
            raise _refused(url, "it is no address of the form https://host/path")
        if parts.username is not None or parts.password is not None:
            raise _refused(url, "it holds a user name or password; write an Authorization header instead")
        port = port if port is not None else {"https": 443, "http": 80}[parts.scheme]
        if self._allowed.has(host, port):
            return parts
        if parts.scheme != "https":
            raise _refused(url, "it is not https")
        if port not in self._ports:
            raise _refused(url, f"port {port} is not one of {', '.join(map(str, sorted(self._ports)))}")
        return parts

    def connect(self, host: str, port: int, ports: frozenset[int] = HTTPS_PORTS) -> socket.socket:
        """A connection to an address of that host, each of which was checked.

        Raises UserError `address_refused`, WorldError `channel_failed`.
        """
        excepted = self._allowed.has(host.lower(), port)
        if not excepted and port not in ports:
            raise _refused(f"{host}:{port}", f"port {port} is not one of {', '.join(map(str, sorted(ports)))}")
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise _failed(host, f"the host name is not known: {error}") from error
        closed = [one for one in addresses if not is_outside(one)]
        if closed and not excepted:
            raise _refused(host, "it is an address inside a network, not out in the world")
        failure = "it has no address"
        for address in addresses:
            try:
                return socket.create_connection((address, port), self.timeout_s)
            except OSError as error:
                failure = str(error)
        raise _failed(host, failure)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Posts, and gives what came back, whatever the status; a redirect is not followed.

        Raises UserError `address_refused`, WorldError `channel_failed`.
        """
        parts = self.check(url)
        host, port = str(parts.hostname), parts.port or {"https": 443, "http": 80}[parts.scheme]
        connection = _Connection(host, port, self.timeout_s)
        started = time.monotonic()
        # One deadline for the whole exchange: a server that sends a byte now and then keeps every time-out alive.
        deadline = threading.Timer(self.timeout_s, connection.cut)
        deadline.daemon = True
        try:
            opened = self.connect(host, port, self._ports)
            connection.sock = opened
            deadline.start()
            if parts.scheme == "https":
                connection.sock = self.context.wrap_socket(opened, server_hostname=host)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, {"User-Agent": f"headrace/{__version__}", **headers})
            response = connection.getresponse()
            answer = response.read(LARGEST_ANSWER)
            if connection.was_cut:  # half a head looks like a whole one to http.client
                raise TimeoutError
            return Answer(response.status, answer, (time.monotonic() - started) * 1000)
        except ssl.SSLCertVerificationError as error:
            raise _failed(host, f"its certificate is not trusted: {error.verify_message}") from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            late = connection.was_cut or isinstance(error, TimeoutError)
            why = f"there was no whole answer within {self.timeout_s:g} s" if late else str(error) or repr(error)
            raise _failed(host, why) from error
        finally:
            deadline.cancel()
            connection.close()


class _Connection(http.client.HTTPConnection):
    """One whose socket is opened by us: it never resolves or connects by itself."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        super().__init__(host, port, timeout_s)
        self.default_port = port if port in (80, 443) else 0
        self.auto_open = 0
        self.was_cut = False

    def cut(self) -> None:
        self.was_cut = True
        opened = self.sock
        if opened is not None:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself meanwhile


def _refused(what: str, why: str) -> UserError:
    shown = what.partition("?")[0][:80]
    message = (
        f'"{shown}" is not called, because {why}. Use an https address out in the world; an admin may except a host '
    )
    return UserError(message + "with HEADRACE_ALLOW_HOSTS.", code="address_refused")


def _failed(host: str, why: str) -> WorldError:
    return WorldError(f"{host} could not be reached: {why}.", code="channel_failed", host=host)

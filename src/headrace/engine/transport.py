"""One HTTP exchange: a request value goes out, a response value comes back. The only place that opens a socket.

It adds the credential at the last moment, never follows a redirect, and says of a failure whether the request may have
taken effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Protocol

import aiohttp
from yarl import URL

from headrace import __version__
from headrace.domain.request import NoResponse, Request, Response

LARGEST_BODY = 1 << 20
LONGEST_CONNECT_S = 10.0
_USER_AGENT = {"User-Agent": f"headrace/{__version__}"}
Authorize = Callable[[str], Mapping[str, str]]


class Transport(Protocol):
    """What the engine sends through."""

    async def send(self, request: Request, authorize: Authorize, timeout_s: float) -> Response | NoResponse: ...


class HttpTransport:
    """aiohttp, one connection pool for a run. Use as an async context."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpTransport:
        # aiohttp's own default verifies certificates and host names.
        connector = aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=_USER_AGENT, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request, authorize: Authorize, timeout_s: float) -> Response | NoResponse:
        assert self._session is not None
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers={**request.headers, **authorize(request.api)},
                allow_redirects=False,
                timeout=_timeout(timeout_s),
            ) as answer:
                body = await answer.content.read(LARGEST_BODY)
                if not answer.content.at_eof():
                    body += await _rest(answer, LARGEST_BODY - len(body))
                return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
        except aiohttp.ConnectionTimeoutError:
            return NoResponse(f"no connection within {min(timeout_s, LONGEST_CONNECT_S):g} s", sent=False)
        except aiohttp.ClientConnectorCertificateError as error:
            return NoResponse(f"the certificate is not trusted: {error.certificate_error}", sent=False)
        except aiohttp.ClientConnectorDNSError as error:
            return NoResponse(f"the host name is unknown: {error.host}", sent=False)
        except aiohttp.ClientConnectorError as error:
            return NoResponse(f"no connection to {error.host}:{error.port}: {error.os_error.strerror}", sent=False)
        except TimeoutError:
            return NoResponse(f"no answer within {timeout_s:g} s", sent=True)
        except (aiohttp.ClientError, OSError) as error:
            return NoResponse(f"the connection broke: {error or type(error).__name__}", sent=True)


@cache
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, LONGEST_CONNECT_S))


async def _rest(answer: aiohttp.ClientResponse, room: int) -> bytes:
    """The rest of a body that came in pieces, up to `room` bytes; what is longer is cut."""
    pieces = []
    while room > 0 and (piece := await answer.content.read(room)):
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)

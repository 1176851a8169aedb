"""The wall before every route: which hosts we answer to, who may post from where, who asks, what headers go along.

Everything is refused that is not allowed here: a route needs a sign-in unless its exact path is among the open ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.domain.access import Actor
from headrace.domain.errors import HeadraceError, UserError
from headrace.service.access import AccessService
from headrace.service.verbs import acting_as
from headrace.web.problems import problem_of, unexpected

LARGEST_BODY = 1 << 20
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
API = "/api/"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
COOKIE = "headrace"
SECURE_COOKIE = "__Host-headrace"

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class Guarding:
    """What the wall goes by.

    `hosts` are names that requests may be for beside those of this machine; `url` is where people reach us.
    `open_paths` need no sign-in, exactly as written; `open_folders` are folders of public files, with their slash.
    """

    hosts: frozenset[str] = frozenset()
    url: str | None = None
    open_paths: frozenset[str] = frozenset()
    open_folders: tuple[str, ...] = ()

    @property
    def is_https(self) -> bool:
        return (self.url or "").startswith("https://")

    @property
    def cookie(self) -> str:
        return SECURE_COOKIE if self.is_https else COOKIE

    @property
    def allowed(self) -> frozenset[str]:
        named = urlsplit(self.url).hostname if self.url else None
        return self.hosts | LOOPBACK_NAMES | (frozenset({named}) if named else frozenset())

    def is_open(self, path: str) -> bool:
        return path in self.open_paths or any(path.startswith(one) for one in self.open_folders)


@dataclass(slots=True)
class Wall:
    """ASGI middleware around all routes. Sets who acts, so that `current_actor()` works in every route and stream."""

    app: ASGIApp
    access: AccessService
    guarding: Guarding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send) if scope["type"] == "lifespan" else None
        guarded = _Answering(self._with_headers(scope, send))
        try:
            self._check_host(scope)
            self._check_size(scope)
            actor = await run_in_threadpool(self._actor, scope)  # it asks the store
            body = await _whole_body(scope, receive)
            with acting_as(actor):
                return await self.app(scope, body, guarded)
        except HeadraceError as error:
            return await problem_of(error)(scope, receive, guarded)
        except Exception as error:
            if guarded.began:
                raise  # the connection is cut: half an answer must not look like a whole one
            return await unexpected(error)(scope, receive, guarded)

    # Who asks -----------------------------------------------------------------------------------------------------

    def _actor(self, scope: Scope) -> Actor | None:
        """Who acts, None on an open path. Raises UserError `signed_out`, `cross_site`."""
        request = Request(scope)
        address = request.client.host if request.client else None
        is_open = self.guarding.is_open(scope["path"])
        if any(value.startswith("hr_") for _, value in request.query_params.multi_items()):
            message = "An API key does not belong into an address: it ends up in logs and histories. Send it as the "
            message += "header `Authorization: Bearer <key>`, and revoke this one."
            raise UserError(message, code="key_in_address")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            actor = self.access.actor_of_key(token.strip(), address)
            if actor is None:
                message = "This API key is not alive: it expired, was revoked, or is mistyped."
                raise UserError(message, code="signed_out")
            return actor
        if scope["method"] in UNSAFE:
            self._check_site(request)
            self._check_media_type(request)
        token = request.cookies.get(self.guarding.cookie, "")
        actor = self.access.actor_of_session(token, address) if token else None
        if actor is None and not is_open:
            raise UserError("Sign in first, or send an API key.", code="signed_out")
        return actor

    def _check_site(self, request: Request) -> None:
        """A browser says from where a page posts. What comes from another site is refused, and so is silence."""
        site = request.headers.get("sec-fetch-site")
        if site in ("same-origin", "none"):
            return
        origin = request.headers.get("origin")
        if site is None and origin is not None and urlsplit(origin).netloc == request.headers.get("host"):
            return
        message = "This came from another site, or from a program that does not say where it comes from. Programs send "
        message += "an API key: `Authorization: Bearer <key>`."
        raise UserError(message, code="cross_site")

    def _check_media_type(self, request: Request) -> None:
        """A form of another site can send text, a form or a file, and no JSON: the API takes nothing else."""
        if not request.url.path.startswith(API):
            return
        has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if (has_body or media_type) and media_type != "application/json":
            message = f'The API takes application/json, and this came as "{media_type[:100] or "nothing named"}".'
            raise UserError(message, code="cross_site")

    # What it is for -------------------------------------------------------------------------------------------------

    def _check_host(self, scope: Scope) -> None:
        host = Headers(scope=scope).get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.lower() in self.guarding.allowed:
            return
        message = f'This server does not answer to the name "{name[:100]}". If it is yours, start the server with '
        message += f"HEADRACE_HOSTS={name[:100] or 'name'} or HEADRACE_URL."
        raise UserError(message, code="host_unknown")

    @staticmethod
    def _check_size(scope: Scope) -> None:
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            raise _too_large()

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        path = scope["path"]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self.guarding.is_https:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                if not any(path.startswith(one) for one in self.guarding.open_folders):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return sending


class _Answering:
    """Sends on, and remembers whether an answer began."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False

    async def __call__(self, message: Message) -> None:
        self.began = True
        await self._send(message)


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    """The body, read up to the limit, also where no length was said; then what comes after it.

    It is read before a route begins, so that one that is too large is refused and not half done.
    Raises UserError `body_too_large`.
    """
    headers = Headers(scope=scope)
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return receive
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            raise _too_large()
    waiting = [{"type": "http.request", "body": bytes(body), "more_body": more}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _too_large() -> UserError:
    return UserError(f"A request may have {LARGEST_BODY // 1024:,} KB at most.", code="body_too_large")


def check_binding(host: str, guarding: Guarding, has_users: bool) -> None:
    """Raises UserError `bind_refused` where it would open the workspace to more than this machine unguarded."""
    if is_loopback(host):
        return
    if not has_users:
        message = f"Nobody can sign in yet, so the server does not listen on {host}, where others could become the "
        message += "owner. Start it once without --host, open the link that it prints, then start it so."
        raise UserError(message, code="bind_refused")
    if not guarding.hosts and guarding.url is None:
        message = f"On {host} the server must know under which name people reach it: set HEADRACE_URL "
        message += "(https://headrace.example.com), or HEADRACE_HOSTS."
        raise UserError(message, code="bind_refused")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hosts_of(text: str | None) -> frozenset[str]:
    """The names of HEADRACE_HOSTS: separated by commas or spaces."""
    parts: Iterable[str] = (text or "").replace(",", " ").split()
    return frozenset(one.lower() for one in parts)

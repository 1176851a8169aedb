"""A small real issuer of OpenID Connect on a port of this machine: discovery, keys, codes, tokens, and what it says.

It holds its clients to the protocol: its own client's secret, one use of a code, the same address, the PKCE verifier.
Switches make it lie, so that a client must find it out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT_ID = "headrace"
CLIENT_SECRET = "s3cret-of-the-client"


@dataclass
class Issued:
    """What a code stands for."""

    redirect_uri: str
    challenge: str
    nonce: str


@dataclass
class TestIssuer:
    """Vouches for one person, `person`, whose claims a test sets. `claims` override those of the token."""

    __test__ = False

    url: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "248", "email": "ada@example.com", "email_verified": True, "name": "Ada"}
    )
    claims: dict[str, Any] = field(default_factory=dict)
    told_in_token: bool = True
    algorithm: str = "RS256"
    calls_itself: str | None = None
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: Any = None
    codes: dict[str, Issued] = field(default_factory=dict)
    redeemed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def rotate(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)})

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.calls_itself or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def agree(self, address: str) -> str:
        """The person says yes at this address of ours: where their browser is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (
            CLIENT_ID,
            "code",
            "S256",
        )
        assert {"openid", "email"} <= set(asked["scope"].split())
        code = secrets.token_urlsafe(16)
        self.codes[code] = Issued(asked["redirect_uri"], asked["code_challenge"], asked["nonce"])
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def redeem(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens of a code; None where the client does not keep to the protocol, and why in `refused`."""
        name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        issued = self.codes.pop(form.get("code", ""), None)
        verified = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verified).decode().rstrip("=")
        why = None
        if (unquote(name), unquote(password)) != (CLIENT_ID, CLIENT_SECRET):
            why = "client"
        elif issued is None:
            why = "code"
        elif issued.redirect_uri != form.get("redirect_uri"):
            why = "redirect_uri"
        elif issued.challenge != challenge:
            why = "verifier"
        if why is not None or issued is None:
            self.refused.append(why or "code")
            return None
        self.redeemed.append(form["code"])
        return {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": self.token(issued)}

    def token(self, issued: Issued) -> str:
        now = int(time.time())
        said = self.person if self.told_in_token else {"sub": self.person["sub"]}
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "nonce": issued.nonce, **said}
        claims = {name: one for name, one in {**claims, **self.claims}.items() if one is not None}
        if self.algorithm == "none":
            parts = [json.dumps({"alg": "none"}), json.dumps(claims)]
            return ".".join([*(base64.urlsafe_b64encode(one.encode()).decode().rstrip("=") for one in parts), ""])
        key = self.signs_with or self.key
        if self.algorithm == "HS256":
            key = OctKey.import_key(CLIENT_SECRET)
        header = {"alg": self.algorithm, **({"kid": key.kid} if key.kid else {})}
        return jwt.encode(header, claims, key, algorithms=[self.algorithm])


@contextmanager
def issuing() -> Iterator[TestIssuer]:
    """An issuer that answers for as long as the context lasts."""
    issuer = TestIssuer()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match urlsplit(self.path).path:
                case "/.well-known/openid-configuration":
                    self._say(200, issuer.document())
                case "/keys":
                    self._say(200, KeySet([issuer.key]).as_dict(private=False))
                case "/userinfo" if self.headers.get("Authorization") == "Bearer opaque":
                    self._say(200, issuer.person)
                case _:
                    self._say(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            tokens = issuer.redeem(form, self.headers.get("Authorization", ""))
            self._say(200, tokens) if tokens else self._say(400, {"error": "invalid_grant"})

        def _say(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

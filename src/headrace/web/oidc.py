"""Sign-in by OpenID Connect: where the issuer is asked, and what must hold before its word for a person is taken.

Authorization code flow with PKCE. What a sign-in began with travels in a cookie of that browser, so any server of the
workspace can finish it. Needs the extra `oidc`.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headrace.domain.access import Role
from headrace.domain.errors import UserError, WorldError
from headrace.service.access import Identity
from headrace.web.security import is_loopback

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client

SCOPE = "openid email profile"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures with a key that only the issuer has. Never `none`, and never one made with our own client secret."""
LEEWAY_S = 60
TIMEOUT_S = 10.0
LASTS_S = 600
"""So long a person may take at the issuer."""
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The issuer, and who we are to it. `role` is what strangers with a verified address of `domains` get, if any."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    role: Role | None
    domains: frozenset[str]

    @property
    def title(self) -> str:
        """The issuer as people know it."""
        return urlsplit(self.issuer).hostname or self.issuer

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> OidcSettings | None:
        """From the environment; None where no issuer is named. Raises UserError `setting_invalid`."""
        issuer = environment.get("HEADRACE_OIDC_ISSUER", "").strip()
        if not issuer:
            return None
        _check_address(issuer, "HEADRACE_OIDC_ISSUER")
        client_id = _needed(environment, "HEADRACE_OIDC_CLIENT_ID")
        client_secret = _needed(environment, "HEADRACE_OIDC_CLIENT_SECRET")
        domains = frozenset(
            one.lower() for one in environment.get("HEADRACE_OIDC_DOMAINS", "").replace(",", " ").split()
        )
        role = _role(environment.get("HEADRACE_OIDC_ROLE", "").strip())
        if role is not None and not domains:
            message = "HEADRACE_OIDC_ROLE lets strangers in, and HEADRACE_OIDC_DOMAINS does not say whose. Name the "
            message += "domains of your people's addresses: example.com."
            raise _invalid(message)
        return cls(issuer, client_id, client_secret, role, domains)


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way, as the browser that began it keeps it. Nothing in it is worth anything without the code."""

    state: str
    nonce: str
    verifier: str
    next: str

    def text(self) -> str:
        values = [self.state, self.nonce, self.verifier, self.next]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Begun | None:
        """None for what we did not write."""
        try:
            values = json.loads(base64.urlsafe_b64decode(text))
        except ValueError:
            return None
        if not isinstance(values, list) or len(values) != 4 or not all(isinstance(one, str) and one for one in values):
            return None
        return cls(*values)


class Issuer:
    """One issuer. What it publishes about itself is asked once; its keys again where one is not among them."""

    def __init__(self, settings: OidcSettings) -> None:
        """Raises UserError `extra_missing` where the extra is not installed."""
        if not all(map(find_spec, ("authlib", "httpx2", "joserfc"))):
            message = "HEADRACE_OIDC_ISSUER is set, and what speaks with issuers is not installed: "
            message += "pip install 'headrace[oidc]'."
            raise UserError(message, code="extra_missing")
        self.settings = settings
        self._known: dict[str, Any] | None = None
        self._keys: Any = None
        self._asking = threading.Lock()

    def begin(self, back: str, next: str) -> tuple[str, Begun]:
        """Where the browser goes, and what it keeps meanwhile. `back` is our address that the issuer sends it to."""
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), next)
        with self._client(back) as client:
            address, _ = client.create_authorization_url(
                self._document()["authorization_endpoint"],
                state=begun.state,
                nonce=begun.nonce,
                code_verifier=begun.verifier,
            )
        return str(address), begun

    def finish(self, back: str, begun: Begun | None, answered: Mapping[str, str]) -> Identity:
        """Whom the issuer vouches for. `answered` are the parameters that it sent the browser back with.

        Raises UserError `sign_in_failed` for everything that does not fit, WorldError `issuer_failed`.
        """
        if begun is None or not secrets.compare_digest(begun.state.encode(), answered.get("state", "").encode()):
            raise _failed("It was not begun in this browser, or it took too long")
        if (issuer := answered.get("iss")) is not None and issuer != self.settings.issuer:
            raise _failed("The answer came from another issuer")
        if "error" in answered:
            raise _failed(f"The issuer refused it: {answered['error'][:100]}")
        if not (code := answered.get("code")):
            raise _failed("The issuer sent no code")
        claims, access_token = self._exchange(back, code, begun)
        if not isinstance(claims.get("email"), str):
            claims = {**self._user_info(back, access_token, claims["sub"]), **claims}
        return self._identity(claims)

    def _exchange(self, back: str, code: str, begun: Begun) -> tuple[dict[str, Any], str]:
        import httpx2
        from authlib.oauth2 import OAuth2Error

        with self._client(back) as client:
            try:
                token = client.fetch_token(self._document()["token_endpoint"], code=code, code_verifier=begun.verifier)
            except OAuth2Error as error:
                raise _failed(f"The issuer refused the code: {error.error}") from error
            except (httpx2.HTTPError, ValueError) as error:
                raise self._unreachable(error) from error
        raw = token.get("id_token")
        if not isinstance(raw, str):
            raise _failed("The issuer sent no identity token")
        return self._proved(raw, begun.nonce), str(token.get("access_token", ""))

    def _proved(self, raw: str, nonce: str) -> dict[str, Any]:
        """The claims of an identity token, after OpenID Connect Core 1.0, 3.1.3.7."""
        from joserfc import errors, jwt

        settings = self.settings
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            try:
                claims = jwt.decode(raw, self._key_set(), algorithms=ALGORITHMS).claims
            except (errors.JoseError, ValueError):  # the issuer may have changed its keys since we asked
                claims = jwt.decode(raw, self._key_set(anew=True), algorithms=ALGORITHMS).claims
            rules.validate(claims)
        except (errors.JoseError, ValueError) as error:
            raise _failed(f"The identity token does not hold: {error}") from error
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != settings.client_id:
            raise _failed("The identity token was made for another client")
        return dict(claims)

    def _user_info(self, back: str, access_token: str, subject: str) -> dict[str, Any]:
        """What the issuer says of the person beyond the token; nothing where it says it of another."""
        if not (endpoint := self._document().get("userinfo_endpoint")):
            return {}
        told = self._get(endpoint, {"Authorization": f"Bearer {access_token}"})
        return told if told.get("sub") == subject else {}

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        email = claims.get("email")
        if not isinstance(email, str) or "@" not in email:
            raise _failed("The issuer does not tell an e-mail address; allow it the scope `email`")
        verified = claims.get("email_verified") in (True, "true")
        stranger = self.settings.role if email.rpartition("@")[2].lower() in self.settings.domains else None
        name = claims.get("name")
        subject = f"{self.settings.issuer}#{claims['sub']}"
        return Identity(subject, email, verified, name if isinstance(name, str) else "", stranger)

    # What the issuer publishes --------------------------------------------------------------------------------------

    def _document(self) -> dict[str, Any]:
        with self._asking:
            if self._known is None:
                found = self._get(self.settings.issuer.rstrip("/") + DISCOVERY)
                if found.get("issuer") != self.settings.issuer:
                    message = f"The issuer calls itself {str(found.get('issuer'))[:200]}, and HEADRACE_OIDC_ISSUER is "
                    message += f"{self.settings.issuer}. Write it exactly as the issuer does, slash and all."
                    raise WorldError(message, code="issuer_failed")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    _check_address(str(found.get(name, "")), f"{name} of the issuer")
                self._known = found
            return self._known

    def _key_set(self, *, anew: bool = False) -> Any:
        from joserfc.jwk import KeySet

        address = self._document()["jwks_uri"]
        with self._asking:
            if self._keys is None or anew:
                self._keys = KeySet.import_key_set(self._get(address))  # type: ignore[arg-type]
            return self._keys

    def _get(self, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        import httpx2

        try:
            answer = httpx2.get(address, headers=dict(headers or {}), timeout=TIMEOUT_S, follow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unreachable(error) from error
        if not isinstance(found, dict):
            raise WorldError(f"{address} answers with something else than an object.", code="issuer_failed")
        return found

    def _client(self, back: str) -> OAuth2Client:
        from authlib.integrations.httpx_client import OAuth2Client

        methods = self._document().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return OAuth2Client(
            self.settings.client_id,
            self.settings.client_secret,
            token_endpoint_auth_method=method,
            scope=SCOPE,
            redirect_uri=back,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            follow_redirects=False,
        )

    def _unreachable(self, error: Exception) -> WorldError:
        message = f"The issuer {self.settings.title} does not answer as it should ({type(error).__name__}). Look "
        message += "whether this server may reach it; who has a password can sign in with that."
        return WorldError(message, code="issuer_failed")


def _needed(environment: Mapping[str, str], name: str) -> str:
    if found := environment.get(name, "").strip():
        return found
    raise _invalid(f"HEADRACE_OIDC_ISSUER is set and {name} is not: the issuer gives it to you for this client.")


def _role(text: str) -> Role | None:
    if not text:
        return None
    try:
        return Role(text)
    except ValueError:
        choices = ", ".join(Role)
        raise _invalid(f'HEADRACE_OIDC_ROLE is "{text}"; write one of {choices}, or leave it out.') from None


def _check_address(address: str, what: str) -> None:
    """Tokens and secrets go there: https, but on this machine."""
    parts = urlsplit(address)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        return
    raise _invalid(f'{what} is "{address[:200]}"; it must be an https address.')


def _invalid(message: str) -> UserError:
    return UserError(message, code="setting_invalid")


def _failed(why: str) -> UserError:
    return UserError(f"The sign-in did not succeed. {why}. Begin again.", code="sign_in_failed")

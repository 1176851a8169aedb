"""Access: the first owner, users and their roles, sign-in, sessions, one-time links, API keys.

Faces turn a cookie or a key into an actor here. No answer tells whether an address is somebody's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.domain.access import Actor, Role, Scope
from headrace.domain.errors import NotFound, UserError
from headrace.service.passwords import check_password, hash_password, is_password
from headrace.service.verbs import current_actor, verb
from headrace.store.access import Access, ApiKey, Invitation, Session, User
from headrace.store.changes import doing

IDLE = timedelta(hours=8)
ABSOLUTE = timedelta(days=7)
LINK_LASTS = timedelta(hours=24)
KEY_HEAD = "hr_"
REMEMBERED = timedelta(hours=1)
LONGEST_WAIT = timedelta(minutes=15)
FREE_TRIES = 5
FREE_TRIES_OF_ADDRESS = 10
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\Z")


def link_of(base: str, token: str) -> str:
    """The address of a one-time link."""
    return f"{base.rstrip('/')}/welcome/{token}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an issuer of OpenID Connect vouches for. `role` is what the settings give such a stranger, if anything."""

    subject: str
    email: str
    email_verified: bool
    name: str
    role: Role | None


class AccessService:
    """Who may come into one workspace."""

    def __init__(
        self, access: Access, now: Callable[[], datetime], is_password: Callable[[str | None, str], bool] = is_password
    ) -> None:
        self._access = access
        self._now = now
        self._is_password = is_password

    # The way in: asked by nobody yet, so these are no verbs ---------------------------------------------------------

    def has_users(self) -> bool:
        return self._access.has_users()

    def first_link(self) -> str | None:
        """The token of a one-time link that makes the first owner; None once there is a user. Voids the one before."""
        if self._access.has_users():
            return None
        return self._link(None, Role.ADMIN)

    def invitation(self, token: str) -> Invitation:
        """What a link is for. Raises UserError `link_invalid`."""
        found = self._access.invitation(token)
        if found is None:
            raise UserError(
                "This link was used already, or it is too old. Ask for a new one: an admin makes it under Settings, or "
                "with `headrace users link`.",
                code="link_invalid",
            )
        return found

    def accept(self, token: str, email: str, name: str, password: str, address: str | None = None) -> User:
        """Uses a one-time link: makes its user, or gives them a new password. Raises UserError, and the link stays."""
        link = self.invitation(token)
        if link.user_id is not None:
            there = self._access.user(link.user_id)
            email, name = there.email, there.name
        mail = _mail(link.email or email)
        check_password(password, mail, name)
        with doing("access.accept", mail, address):
            user = self._access.accept(token, mail, name.strip()[:200] or mail, hash_password(password))
        if user is None:
            raise UserError("This link was used a moment ago. Sign in, or ask for a new one.", code="link_invalid")
        return user

    def sign_in(self, email: str, password: str, address: str) -> str:
        """A new session's token. Raises UserError `sign_in_failed`, `too_many_tries` with the seconds to wait."""
        account = email.strip().casefold()[:256]
        user = self._access.user_by_email(account)
        claimed = self._claim_try(account, address, user)
        hashed = user.password if user is not None and not user.disabled else None
        # As much work for an unknown address as for a known one: neither answer nor time tells them apart.
        if not self._is_password(hashed, password) or user is None:
            raise UserError("Address or password is wrong.", code="sign_in_failed")
        self._access.forget_tries(account, address, claimed)
        return self.open_session(user, address)

    def open_session(self, user: User, address: str) -> str:
        """A session for somebody who has shown who they are."""
        token = secrets.token_urlsafe(32)
        self._access.sweep_sessions(IDLE, ABSOLUTE)
        with doing("access.sign_in", user.email, address):
            self._access.open_session(token, user.id, address)
        return token

    def sign_in_by_issuer(self, who: Identity, address: str) -> str:
        """A new session for whom an issuer of OpenID Connect vouches for. Raises UserError `sign_in_failed`.

        The issuer's subject decides. A user of that verified address is bound to it once; a stranger becomes a user
        where the settings give a role to strangers.
        """
        if not self._access.has_users():
            message = "This workspace has no owner yet. Open the one-time link that the server printed when it started."
            raise UserError(message, code="sign_in_failed")
        user = self._access.user_by_subject(who.subject)
        if user is None and who.email_verified:
            user = self._access.user_by_email(who.email)
            with doing("access.sign_in", who.email, address):
                if user is not None and user.subject is None:
                    user = self._access.change_user(user.id, subject=who.subject)
                elif user is None and who.role is not None:
                    mail = _mail(who.email)
                    user = self._access.add_user(mail, who.name[:200] or mail, who.role, None, who.subject)
        if user is None or user.subject != who.subject or user.disabled:
            message = f"{who.email[:200]} may not sign in here. Ask an admin of the workspace for an invitation."
            raise UserError(message, code="sign_in_failed")
        return self.open_session(user, address)

    def _claim_try(self, account: str, address: str, user: User | None) -> int:
        """Growing waits after failures, never a lock: the right password works after fifteen minutes at most.

        Where somebody has a session already, strangers who guess elsewhere do not make them wait.
        """
        known = user is not None and self._access.has_session_from(user.id, address)

        def patience(of_account: Sequence[datetime], of_address: Sequence[datetime]) -> datetime | None:
            waits = [_due_after(of_address, FREE_TRIES_OF_ADDRESS)]
            if not known:
                waits.append(_due_after(of_account, FREE_TRIES))
            return max((one for one in waits if one is not None), default=None)

        now = self._now()
        claimed, due = self._access.claim_try(account, address, now - REMEMBERED, patience)
        if due is not None:
            seconds = int((due - now).total_seconds()) + 1
            message = f"Too many sign-ins failed. Try again in {seconds} s; the right password works then."
            raise UserError(message, code="too_many_tries", retry_after_s=seconds)
        return claimed

    def sign_out(self, token: str) -> None:
        self._access.close_session(token)

    def actor_of_session(self, token: str, address: str | None = None) -> Actor | None:
        """Who the session belongs to; None where it has run out."""
        session = self._access.session(token, IDLE, ABSOLUTE)
        if session is None:
            return None
        user = self._access.user(session.user_id)
        return None if user.disabled else Actor(user.email, user.role.scopes, user.id, address)

    def actor_of_key(self, token: str, address: str | None = None) -> Actor | None:
        """Whom the API key stands for; None where it is dead. A person's key may never do more than they may now."""
        key = self._access.key(token) if token.startswith(KEY_HEAD) and len(token) < 100 else None
        if key is None:
            return None
        scopes = key.scopes
        if key.user_id is not None:
            user = self._access.user(key.user_id)
            if user.disabled:
                return None
            scopes &= user.role.scopes
        return Actor(f"key:{key.prefix}", scopes, key.user_id, address, key.id)

    # Users --------------------------------------------------------------------------------------------------------

    @verb(Scope.ADMIN)
    def users(self) -> list[User]:
        """All, by address."""
        return self._access.users()

    @verb(Scope.READ)
    def me(self) -> User | None:
        """The person who acts; None for a key of nobody, and on the command line."""
        user_id = current_actor().user_id
        return self._access.user(user_id) if user_id is not None else None

    @verb(Scope.ADMIN)
    def invitations(self) -> list[Invitation]:
        """Links of people who are not there yet."""
        return self._access.invitations()

    @verb(Scope.ADMIN, changes=lambda email, role: f"invitation {email}")
    def invite(self, email: str, role: Role) -> str:
        """The token of a one-time link for a new user. Raises UserError `name_taken`, `email_invalid`."""
        mail = _mail(email)
        if self._access.user_by_email(mail) is not None:
            raise UserError(f"There is a user {mail} already.", code="name_taken")
        return self._link(mail, role)

    @verb(Scope.ADMIN, changes=lambda email: f"invitation {email}")
    def withdraw_invitation(self, email: str) -> None:
        """The link works no more. Raises NotFound."""
        self._access.withdraw(email.strip())

    @verb(Scope.ADMIN, changes=lambda user_id: f"user {user_id}")
    def new_password_link(self, user_id: int) -> str:
        """The token of a one-time link with which that user sets a new password. Raises NotFound."""
        user = self._access.user(user_id)
        return self._link(user.email, user.role, user.id)

    def _link(self, email: str | None, role: Role, user_id: int | None = None) -> str:
        token = secrets.token_urlsafe(32)
        now = self._now()
        self._access.invite(token, Invitation(email, role, user_id, now, now + LINK_LASTS))
        return token

    @verb(Scope.ADMIN, changes=lambda user_id, role: f"user {user_id}")
    def set_role(self, user_id: int, role: Role) -> User:
        """Ends their sessions. Raises NotFound, UserError `last_admin`."""
        return self._access.change_user(user_id, role=str(role))

    @verb(Scope.ADMIN, changes=lambda user_id, disabled: f"user {user_id}")
    def set_disabled(self, user_id: int, disabled: bool) -> User:
        """Ends their sessions; their API keys do nothing while they are disabled. Raises as `set_role`."""
        return self._access.change_user(user_id, disabled=disabled)

    # One's own ----------------------------------------------------------------------------------------------------

    @verb(Scope.READ, changes=lambda old, new: f"user {current_actor().user_id}")
    def change_password(self, old: str, new: str) -> User:
        """One's own. Ends all of one's sessions. Raises UserError `sign_in_failed`, `password_weak`."""
        user, address = self._person("changes a password"), current_actor().address or ""
        claimed = self._claim_try(user.email, address, user)
        if not self._is_password(user.password, old):
            raise UserError("The present password is another.", code="sign_in_failed")
        self._access.forget_tries(user.email, address, claimed)
        check_password(new, user.email, user.name)
        return self._access.change_user(user.id, password=hash_password(new))

    @verb(Scope.READ)
    def sessions(self) -> list[Session]:
        """Where one is signed in, newest first."""
        return self._access.sessions(self._person("has sessions").id)

    @verb(Scope.READ, changes=lambda session_id: f"sessions of user {current_actor().user_id}")
    def end_session(self, session_id: str | None = None) -> int:
        """Signs one out in that browser, or everywhere. How many sessions ended. Raises NotFound."""
        ended = self._access.close_sessions(self._person("ends sessions").id, session_id)
        if session_id is not None and not ended:
            raise NotFound("session", session_id)
        return ended

    def _person(self, does: str) -> User:
        """The person at the browser: a key that leaked must not outlive itself by a password or another key."""
        actor = current_actor()
        if actor.user_id is None or actor.key_id is not None:
            message = f"Only a person who is signed in {does}, and {actor.name} is none. Sign in with a browser."
            raise UserError(message, code="forbidden")
        return self._access.user(actor.user_id)

    # API keys -----------------------------------------------------------------------------------------------------

    @verb(Scope.READ)
    def keys(self) -> list[ApiKey]:
        """All for an admin, one's own for others."""
        actor = current_actor()
        if Scope.ADMIN in actor.scopes:
            return self._access.keys()
        return self._access.keys(actor.user_id) if actor.user_id is not None else []

    @verb(Scope.READ, changes=lambda name, scopes, lasts: f"API key {name}")
    def make_key(self, name: str, scopes: Iterable[Scope], lasts: timedelta | None = None) -> tuple[str, ApiKey]:
        """A key's secret, which is shown this once, and the key. Nobody gives more than they hold.

        Raises UserError `forbidden`, and `key_name_missing` for an empty name.
        """
        actor = current_actor()
        if actor.key_id is not None:
            actor.demand(Scope.ADMIN, "access.make_key with an API key")
        wanted = frozenset(scopes) | {Scope.READ}
        for scope in sorted(wanted):
            actor.demand(scope, "access.make_key")
        if not name.strip():
            raise UserError("Give the key a name that tells what it is for.", code="key_name_missing")
        token = KEY_HEAD + secrets.token_urlsafe(32)
        expires = self._now() + lasts if lasts is not None else None
        return token, self._access.add_key(token, name.strip()[:100], sorted(wanted), actor.user_id, expires)

    @verb(Scope.READ, changes=lambda key_id: f"API key {key_id}")
    def revoke_key(self, key_id: int) -> ApiKey:
        """It is dead at once. One's own, or as an admin anybody's. Raises NotFound."""
        if not any(one.id == key_id for one in self.keys()):
            raise NotFound("API key", str(key_id))
        return self._access.revoke_key(key_id)


def _mail(email: str) -> str:
    mail = email.strip().casefold()
    if not _EMAIL.match(mail):
        raise UserError(f'"{email[:80]}" is no e-mail address.', code="email_invalid")
    return mail


def _due_after(failures: Sequence[datetime], free: int) -> datetime | None:
    """When the next try is due: at once for the first ones, then after 2, 4, 8 ... s, at most fifteen minutes."""
    if len(failures) < free:
        return None
    wait = timedelta(seconds=2 ** min(len(failures) - free + 1, 12))
    return failures[-1] + min(wait, LONGEST_WAIT)

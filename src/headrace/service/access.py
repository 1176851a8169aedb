"""Access: the first owner, users and their roles, sign-in, sessions, one-time links, API keys.

Faces turn a cookie or a key into an actor here. No answer tells whether an address is somebody's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from headrace.domain.access import Actor, Role, Scope
from headrace.domain.errors import NotFound, UserError
from headrace.service.passwords import check_password, hash_password, is_password
from headrace.service.verbs import Change, current_actor, note, verb
from headrace.store.access import Access, ApiKey, Invitation, User
from headrace.store.audit import Audit

IDLE = timedelta(hours=8)
ABSOLUTE = timedelta(days=7)
LINK_LASTS = timedelta(hours=24)
KEY_HEAD = "hr_"
REMEMBERED = timedelta(hours=1)
LONGEST_WAIT = timedelta(minutes=15)
FREE_TRIES = 5
FREE_TRIES_OF_ADDRESS = 20
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\Z")


class AccessService:
    """Who may come into one workspace."""

    def __init__(self, access: Access, audit: Audit, now: Callable[[], datetime]) -> None:
        self._access = access
        self._audit = audit
        self._now = now

    def record(self, actor: Actor, verb_name: str, change: Change) -> None:
        """Writes an entry of the audit log: what `acting_as` is given."""
        self._audit.add(actor.name, actor.address, verb_name, change.subject, change.before, change.after)

    # The way in: asked by nobody yet, so these are no verbs ---------------------------------------------------------

    def has_users(self) -> bool:
        return self._access.has_users()

    def first_link(self) -> str | None:
        """The token of a one-time link that makes the first owner; None once there is a user. Voids the one before."""
        if self._access.has_users():
            return None
        token = secrets.token_urlsafe(32)
        link = Invitation(None, Role.ADMIN, None, self._now() + LINK_LASTS)
        self._access.invite(token, link, only=True)
        return token

    def invitation(self, token: str) -> Invitation:
        """What a link is for. Raises UserError `link_invalid`."""
        found = self._access.invitation(token)
        if found is None or (found.email is None and found.user_id is None and self._access.has_users()):
            raise UserError(
                "This link was used already, or it is too old. Ask for a new one: an admin makes it under Settings, or "
                "with `headrace users link`.",
                code="link_invalid",
            )
        return found

    def accept(self, token: str, email: str, name: str, password: str) -> User:
        """Uses a one-time link: makes its user, or gives them a new password. Raises UserError, and the link stays."""
        link = self.invitation(token)
        if link.user_id is not None:
            user = self._access.user(link.user_id)
            check_password(password, user.email, user.name)
            self._use(token)
            changed = self._access.change_user(user.id, password=hash_password(password), disabled=user.disabled)
            self._note_of(changed, "access.accept")
            return changed
        address = self._address(link.email or email)
        check_password(password, address, name)
        self._use(token)
        made = self._access.add_user(address, name.strip() or address, link.role, hash_password(password))
        self._note_of(made, "access.accept")
        return made

    def _use(self, token: str) -> None:
        if not self._access.use_invitation(token):
            raise UserError("This link was used a moment ago. Sign in, or ask for a new one.", code="link_invalid")

    def _note_of(self, user: User, verb_name: str) -> None:
        self._audit.add(user.email, None, verb_name, f"user {user.id}", None, _shown(user))

    def sign_in(self, email: str, password: str, address: str) -> str:
        """A new session's token. Raises UserError `sign_in_failed`, `too_many_tries` with the seconds to wait."""
        account = email.strip().casefold()[:256]
        self._demand_patience(account, address)
        user = self._access.user_by_email(account)
        hashed = user.password if user is not None and not user.disabled else None
        if not is_password(hashed, password) or user is None:
            self._access.note_failure(account, address, self._now() - REMEMBERED)
            raise UserError("Address or password is wrong.", code="sign_in_failed")
        self._access.forget_failures(account)
        return self.open_session(user, address)

    def open_session(self, user: User, address: str) -> str:
        """A session for somebody who has shown who they are."""
        token = secrets.token_urlsafe(32)
        self._access.sweep_sessions(IDLE, ABSOLUTE)
        self._access.open_session(token, user.id, address)
        self._audit.add(user.email, address, "access.sign_in", f"user {user.id}", None, None)
        return token

    def _demand_patience(self, account: str, address: str) -> None:
        """Growing waits after failures, never a lock: the right password works after fifteen minutes at most."""
        now = self._now()
        of_account, of_address = self._access.failures(account, address, now - REMEMBERED)
        waits = [_wait_after(of_account, FREE_TRIES), _wait_after(of_address, FREE_TRIES_OF_ADDRESS)]
        until = max((one for one in waits if one is not None), default=now)
        if until > now:
            seconds = int((until - now).total_seconds()) + 1
            message = f"Too many sign-ins failed. Try again in {seconds} s; the right password works then."
            raise UserError(message, code="too_many_tries", retry_after_s=seconds)

    def sign_out(self, token: str) -> None:
        self._access.close_session(token)

    def actor_of_session(self, token: str, address: str | None = None) -> Actor | None:
        """Who the session belongs to; None where it has run out."""
        session = self._access.session(token, IDLE, ABSOLUTE)
        if session is None:
            return None
        try:
            user = self._access.user(session.user_id)
        except NotFound:
            return None
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
        return Actor(f"key:{key.name}", scopes, key.user_id, address)

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

    @verb(Scope.ADMIN, changes=lambda email, role: f"invitation {email}")
    def invite(self, email: str, role: Role) -> str:
        """The token of a one-time link for a new user. Raises UserError `name_taken`, `email_invalid`."""
        address = self._address(email)
        if self._access.user_by_email(address) is not None:
            raise UserError(f"There is a user {address} already.", code="name_taken")
        return self._link(Invitation(address, role, None, self._now() + LINK_LASTS))

    @verb(Scope.ADMIN, changes=lambda user_id: f"user {user_id}")
    def new_password_link(self, user_id: int) -> str:
        """The token of a one-time link with which that user sets a new password. Raises NotFound."""
        user = self._access.user(user_id)
        return self._link(Invitation(user.email, user.role, user.id, self._now() + LINK_LASTS))

    def _link(self, invitation: Invitation) -> str:
        token = secrets.token_urlsafe(32)
        self._access.invite(token, invitation)
        return token

    @verb(Scope.ADMIN, changes=lambda user_id, role: f"user {user_id}")
    def set_role(self, user_id: int, role: Role) -> User:
        """Ends their sessions. Raises NotFound, UserError `last_admin`."""
        before = self._access.user(user_id)
        if role is not Role.ADMIN:
            self._keep_an_admin(before)
        after = self._access.change_user(user_id, role=str(role))
        note(f"user {user_id}", _shown(before), _shown(after))
        return after

    @verb(Scope.ADMIN, changes=lambda user_id, disabled: f"user {user_id}")
    def set_disabled(self, user_id: int, disabled: bool) -> User:
        """Ends their sessions; their API keys do nothing while they are disabled. Raises as `set_role`."""
        before = self._access.user(user_id)
        if disabled:
            self._keep_an_admin(before)
        after = self._access.change_user(user_id, disabled=disabled)
        note(f"user {user_id}", _shown(before), _shown(after))
        return after

    def _keep_an_admin(self, user: User) -> None:
        if user.role is Role.ADMIN and not user.disabled and self._access.admins() == 1:
            message = f"{user.email} is the last admin. Make somebody else an admin first."
            raise UserError(message, code="last_admin")

    @verb(Scope.READ, changes=lambda old, new: f"user {current_actor().user_id}")
    def change_password(self, old: str, new: str) -> None:
        """One's own. Ends all of one's sessions. Raises UserError `sign_in_failed`, `password_weak`."""
        user = self.me()
        if user is None:
            raise UserError("Only a person has a password, and no person is signed in.", code="signed_out")
        self._demand_patience(user.email, "")
        if not is_password(user.password, old):
            self._access.note_failure(user.email, "", self._now() - REMEMBERED)
            raise UserError("The present password is another.", code="sign_in_failed")
        check_password(new, user.email, user.name)
        self._access.change_user(user.id, password=hash_password(new))

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
        wanted = frozenset(scopes) | {Scope.READ}
        for scope in sorted(wanted):
            actor.demand(scope, "access.make_key")
        if not name.strip():
            raise UserError("Give the key a name that tells what it is for.", code="key_name_missing")
        token = KEY_HEAD + secrets.token_urlsafe(32)
        expires = self._now() + lasts if lasts is not None else None
        key = self._access.add_key(token, name.strip()[:100], sorted(wanted), actor.user_id, expires)
        note(f"API key {key.id}", None, {"name": key.name, "scopes": sorted(key.scopes)})
        return token, key

    @verb(Scope.READ, changes=lambda key_id: f"API key {key_id}")
    def revoke_key(self, key_id: int) -> ApiKey:
        """It is dead at once. One's own, or as an admin anybody's. Raises NotFound."""
        if not any(one.id == key_id for one in self.keys()):
            raise NotFound("API key", str(key_id))
        return self._access.revoke_key(key_id)

    def _address(self, email: str) -> str:
        address = email.strip().casefold()
        if not _EMAIL.match(address):
            raise UserError(f'"{email[:80]}" is no e-mail address.', code="email_invalid")
        return address


def _wait_after(failures: list[datetime], free: int) -> datetime | None:
    """When the next try is due: at once for the first ones, then after 2, 4, 8 ... s, at most fifteen minutes."""
    if len(failures) < free:
        return None
    wait = timedelta(seconds=2 ** min(len(failures) - free + 1, 12))
    return failures[-1] + min(wait, LONGEST_WAIT)


def _shown(user: User) -> dict[str, object]:
    return {"email": user.email, "name": user.name, "role": str(user.role), "disabled": user.disabled}

"""Users, sessions, one-time links, API keys and failed sign-ins. Of every secret only its hash is here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headrace.domain.access import Role, Scope
from headrace.domain.errors import NotFound, UserError
from headrace.store.access_tables import api_keys, failed_logins, invitations, sessions, users
from headrace.store.database import Database

SEEN_EVERY = timedelta(minutes=1)
"""So often at most the last use of a session or a key is written."""


@dataclass(frozen=True, slots=True)
class User:
    """A person. `password` is the argon2id hash, None for who signs in elsewhere only."""

    id: int
    email: str
    name: str
    role: Role
    disabled: bool
    created_at: datetime
    signed_in_at: datetime | None
    password: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class Session:
    user_id: int
    created_at: datetime
    seen_at: datetime
    address: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a one-time link is for: a new user of that role, or a new password of `user_id`."""

    email: str | None
    role: Role
    user_id: int | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `prefix` is what tells it apart in lists."""

    id: int
    name: str
    prefix: str
    scopes: frozenset[Scope]
    user_id: int | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def digest(token: str) -> bytes:
    """What is kept of a token of 256 random bits: too many to be guessed, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


class Access:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    # Users --------------------------------------------------------------------------------------------------------

    def add_user(self, email: str, name: str, role: Role, password: str | None, subject: str | None = None) -> User:
        """Raises UserError `name_taken` for an address that somebody has."""
        row = {
            "email": email.casefold(),
            "name": name,
            "role": str(role),
            "password": password,
            "subject": subject,
            "created_at": self._now(),
        }
        try:
            with self._database.write() as connection:
                user_id = connection.execute(insert(users).values(row).returning(users.c.id)).scalar_one()
        except IntegrityError as error:
            message = f"There is a user {email} already. Change that one, or choose another address."
            raise UserError(message, code="name_taken") from error
        return self.user(user_id)

    def user(self, user_id: int) -> User:
        """Raises NotFound."""
        found = self._user(users.c.id == user_id)
        if found is None:
            raise NotFound("user", str(user_id))
        return found

    def user_by_email(self, email: str) -> User | None:
        return self._user(users.c.email == email.strip().casefold())

    def user_by_subject(self, subject: str) -> User | None:
        return self._user(users.c.subject == subject)

    def _user(self, where: Any) -> User | None:
        with self._database.read() as connection:
            row = connection.execute(select(users).where(where)).one_or_none()
        return _user(row) if row is not None else None

    def users(self) -> list[User]:
        """All, by address."""
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.email))]

    def has_users(self) -> bool:
        with self._database.read() as connection:
            return connection.scalar(select(users.c.id).limit(1)) is not None

    def change_user(self, user_id: int, **values: Any) -> User:
        """Sets columns of a user; every session of theirs ends where it is about who they are. Raises NotFound."""
        with self._database.write() as connection:
            if not connection.execute(update(users).where(users.c.id == user_id), values).rowcount:
                raise NotFound("user", str(user_id))
            if values.keys() & {"password", "role", "disabled"}:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
        return self.user(user_id)

    def admins(self) -> int:
        """How many admins may sign in."""
        query = select(func.count()).select_from(users).where(users.c.role == Role.ADMIN, users.c.disabled.is_(False))
        with self._database.read() as connection:
            return int(connection.scalar(query) or 0)

    # Sessions -----------------------------------------------------------------------------------------------------

    def open_session(self, token: str, user_id: int, address: str | None) -> None:
        now = self._now()
        row = {"token": digest(token), "user_id": user_id, "created_at": now, "seen_at": now, "address": address}
        with self._database.write() as connection:
            connection.execute(insert(sessions), row)
            connection.execute(update(users).where(users.c.id == user_id), {"signed_in_at": now})

    def session(self, token: str, idle: timedelta, absolute: timedelta) -> Session | None:
        """The session of that token; None where there is none, or where it has run out."""
        here, now = sessions.c.token == digest(token), self._now()
        with self._database.read() as connection:
            row = connection.execute(select(sessions).where(here)).one_or_none()
        if row is None or row.seen_at < now - idle or row.created_at < now - absolute:
            return None
        if row.seen_at < now - SEEN_EVERY:
            with self._database.write() as connection:
                connection.execute(update(sessions).where(here), {"seen_at": now})
        return Session(row.user_id, row.created_at, row.seen_at, row.address)

    def close_session(self, token: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.token == digest(token)))

    def sweep_sessions(self, idle: timedelta, absolute: timedelta) -> None:
        """Takes away what has run out."""
        now, s = self._now(), sessions.c
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(or_(s.seen_at < now - idle, s.created_at < now - absolute)))
            connection.execute(delete(invitations).where(invitations.c.expires_at < now))

    # One-time links -----------------------------------------------------------------------------------------------

    def invite(self, token: str, invitation: Invitation, *, only: bool = False) -> None:
        """Keeps a link. `only` voids every other that is for nobody by name: the first owner's."""
        row = {
            "token": digest(token),
            "email": invitation.email,
            "role": str(invitation.role),
            "user_id": invitation.user_id,
            "created_at": self._now(),
            "expires_at": invitation.expires_at,
        }
        with self._database.write() as connection:
            if only:
                i = invitations.c
                connection.execute(delete(invitations).where(i.email.is_(None), i.user_id.is_(None)))
            connection.execute(insert(invitations), row)

    def invitation(self, token: str) -> Invitation | None:
        """What the link is for; None where it is used, voided or too old."""
        with self._database.read() as connection:
            row = connection.execute(select(invitations).where(invitations.c.token == digest(token))).one_or_none()
        if row is None or row.expires_at <= self._now():
            return None
        return Invitation(row.email, Role(row.role), row.user_id, row.expires_at)

    def use_invitation(self, token: str) -> bool:
        """Takes the link away. False where somebody was faster."""
        with self._database.write() as connection:
            return bool(connection.execute(delete(invitations).where(invitations.c.token == digest(token))).rowcount)

    # API keys -----------------------------------------------------------------------------------------------------

    def add_key(
        self, token: str, name: str, scopes: Sequence[Scope], user_id: int | None, expires_at: datetime | None
    ) -> ApiKey:
        row = {
            "name": name,
            "prefix": f"{token[:7]}…{token[-4:]}",
            "hash": digest(token),
            "scopes": sorted(str(one) for one in scopes),
            "user_id": user_id,
            "created_at": self._now(),
            "expires_at": expires_at,
        }
        with self._database.write() as connection:
            key_id = connection.execute(insert(api_keys).values(row).returning(api_keys.c.id)).scalar_one()
        return next(one for one in self.keys() if one.id == key_id)

    def keys(self, user_id: int | None = None) -> list[ApiKey]:
        """All, or those of one user, oldest first; the revoked ones too."""
        query = select(api_keys).order_by(api_keys.c.id)
        if user_id is not None:
            query = query.where(api_keys.c.user_id == user_id)
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def key(self, token: str) -> ApiKey | None:
        """The key of that secret, if it is alive."""
        here, now = api_keys.c.hash == digest(token), self._now()
        with self._database.read() as connection:
            row = connection.execute(select(api_keys).where(here)).one_or_none()
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            return None
        if row.used_at is None or row.used_at < now - SEEN_EVERY:
            with self._database.write() as connection:
                connection.execute(update(api_keys).where(here), {"used_at": now})
        return _key(row)

    def revoke_key(self, key_id: int) -> ApiKey:
        """Raises NotFound."""
        with self._database.write() as connection:
            here = update(api_keys).where(api_keys.c.id == key_id)
            if not connection.execute(here, {"revoked_at": self._now()}).rowcount:
                raise NotFound("API key", str(key_id))
        return next(one for one in self.keys() if one.id == key_id)

    # Failed sign-ins ----------------------------------------------------------------------------------------------

    def failures(self, account: str, address: str, since: datetime) -> tuple[list[datetime], list[datetime]]:
        """When sign-ins failed lately: of that account, and from that address."""
        f = failed_logins.c
        with self._database.read() as connection:
            rows = connection.execute(
                select(f.account, f.address, f.at)
                .where(f.at > since, or_(f.account == account, f.address == address))
                .order_by(f.id)
            ).all()
        of_account = [row.at for row in rows if row.account == account]
        return of_account, [row.at for row in rows if row.address == address]

    def note_failure(self, account: str, address: str, before: datetime) -> None:
        """Notes one, and forgets those of before that instant."""
        with self._database.write() as connection:
            connection.execute(delete(failed_logins).where(failed_logins.c.at < before))
            connection.execute(insert(failed_logins), {"account": account, "address": address, "at": self._now()})

    def forget_failures(self, account: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(failed_logins).where(failed_logins.c.account == account))


def _user(row: Any) -> User:
    stored = {name: row._mapping[name] for name in User.__dataclass_fields__}
    return User(**{**stored, "role": Role(row.role), "disabled": bool(row.disabled)})


def _key(row: Any) -> ApiKey:
    stored = {name: row._mapping[name] for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**stored, "scopes": frozenset(Scope(one) for one in row.scopes)})

"""Users, sessions, one-time links, API keys and failed sign-ins. Of every secret only its hash is here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headrace.domain.access import Role, Scope
from headrace.domain.errors import NotFound, UserError
from headrace.store.access_tables import api_keys, failed_logins, invitations, sessions, users
from headrace.store.changes import note
from headrace.store.database import Database

Patience = Callable[[Sequence[datetime], Sequence[datetime]], datetime | None]
"""When a try is due, after those of the account and those from the address."""
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
    password: str | None = field(repr=False)
    subject: str | None

    @property
    def may_administer(self) -> bool:
        return self.role is Role.ADMIN and not self.disabled

    @property
    def shown(self) -> dict[str, Any]:
        """What the audit log tells of a user."""
        return {"email": self.email, "name": self.name, "role": str(self.role), "disabled": self.disabled}


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in. `id` tells it apart in lists and opens nothing."""

    id: str
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
    created_at: datetime
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
        try:
            with self._database.write() as connection:
                return self._add_user(connection, email, name, role, password, subject)
        except IntegrityError as error:
            raise _taken(email) from error

    def _add_user(
        self, connection: Connection, email: str, name: str, role: Role, password: str | None, subject: str | None
    ) -> User:
        row = {"email": email.casefold(), "name": name, "role": str(role), "password": password, "subject": subject}
        added = connection.execute(insert(users).values(**row, created_at=self._now()).returning(users.c.id))
        user = _one_user(connection, added.scalar_one())
        note(f"user {user.id}", None, user.shown)
        return user

    def user(self, user_id: int) -> User:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _one_user(connection, user_id)

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
        """Sets columns of a user; every session of theirs ends where it is about who they are.

        Raises NotFound, UserError `last_admin`.
        """
        with self._database.write() as connection:
            before = _one_user(connection, user_id)
            connection.execute(update(users).where(users.c.id == user_id), values)
            if values.keys() & {"password", "role", "disabled"}:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            after = _one_user(connection, user_id)
            if before.may_administer and not after.may_administer and not _admins(connection):
                message = f"{before.email} is the last admin. Make somebody else an admin first."
                raise UserError(message, code="last_admin")
            # Of a new password only the fact is told.
            note(f"user {user_id}", *((before.shown, after.shown) if before.shown != after.shown else ()))
            return after

    # Sessions -----------------------------------------------------------------------------------------------------

    def open_session(self, token: str, user_id: int, address: str | None) -> None:
        now = self._now()
        row = {"token": digest(token), "user_id": user_id, "created_at": now, "seen_at": now, "address": address}
        with self._database.write() as connection:
            connection.execute(insert(sessions), row)
            connection.execute(update(users).where(users.c.id == user_id), {"signed_in_at": now})
            note(f"user {user_id}")

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
        return _session(row)

    def sessions(self, user_id: int) -> list[Session]:
        """Those of a user, newest first."""
        query = select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.created_at.desc())
        with self._database.read() as connection:
            return [_session(row) for row in connection.execute(query)]

    def close_sessions(self, user_id: int, session_id: str | None = None) -> int:
        """Ends that session of a user, or all of them. How many ended."""
        with self._database.write() as connection:
            tokens = connection.scalars(select(sessions.c.token).where(sessions.c.user_id == user_id)).all()
            wanted = [one for one in tokens if session_id is None or _id_of(one) == session_id]
            if wanted:
                note(f"sessions of user {user_id}")
                connection.execute(delete(sessions).where(sessions.c.token.in_(wanted)))
        return len(wanted)

    def has_session_from(self, user_id: int, address: str) -> bool:
        """Whether the user signed in from that address, and did not sign out."""
        query = select(sessions.c.user_id).where(sessions.c.user_id == user_id, sessions.c.address == address)
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

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

    def invite(self, token: str, invitation: Invitation) -> None:
        """Keeps a link. It voids the earlier one for the same person, or for whoever comes first."""
        row = {name: getattr(invitation, name) for name in Invitation.__dataclass_fields__}
        i = invitations.c
        if invitation.user_id is not None:
            same, subject = i.user_id == invitation.user_id, f"user {invitation.user_id}"
        elif invitation.email is not None:
            same, subject = i.email == invitation.email, f"invitation {invitation.email}"
        else:
            same, subject = i.email.is_(None), "invitation of the first owner"
        with self._database.write() as connection:
            connection.execute(delete(invitations).where(same))
            connection.execute(insert(invitations), {**row, "role": str(invitation.role), "token": digest(token)})
            until = invitation.expires_at.isoformat(timespec="seconds")
            note(subject, None, {"link_until": until, "role": str(invitation.role)})

    def invitation(self, token: str) -> Invitation | None:
        """What the link is for; None where it is used, voided or too old."""
        with self._database.read() as connection:
            return self._invitation(connection, token)

    def _invitation(self, connection: Connection, token: str) -> Invitation | None:
        row = connection.execute(select(invitations).where(invitations.c.token == digest(token))).one_or_none()
        if row is None or row.expires_at <= self._now():
            return None
        if row.email is None and connection.scalar(select(users.c.id).limit(1)) is not None:
            return None  # the first owner is there
        return _invitation(row)

    def invitations(self) -> list[Invitation]:
        """Of people who are not there yet, oldest first."""
        i = invitations.c
        open_ones = i.email.is_not(None), i.user_id.is_(None), i.expires_at > self._now()
        query = select(invitations).where(*open_ones).order_by(i.created_at, i.email)
        with self._database.read() as connection:
            return [_invitation(row) for row in connection.execute(query)]

    def withdraw(self, email: str) -> None:
        """Voids the link of somebody who is not there yet. Raises NotFound."""
        i = invitations.c
        with self._database.write() as connection:
            here = delete(invitations).where(i.email == email.casefold(), i.user_id.is_(None))
            if not connection.execute(here).rowcount:
                raise NotFound("invitation", email)
            note(f"invitation {email.casefold()}", {"email": email.casefold()})

    def accept(self, token: str, email: str, name: str, password: str) -> User | None:
        """Uses a link up, and makes its user or sets their password with it. None where somebody was faster.

        Raises UserError `name_taken`, and the link stays.
        """
        try:
            with self._database.write() as connection:
                link = self._invitation(connection, token)
                if link is None:
                    return None
                connection.execute(delete(invitations).where(invitations.c.token == digest(token)))
                if link.user_id is None:
                    return self._add_user(connection, link.email or email, name, link.role, password, None)
                connection.execute(update(users).where(users.c.id == link.user_id), {"password": password})
                connection.execute(delete(sessions).where(sessions.c.user_id == link.user_id))
                note(f"user {link.user_id}")
                return _one_user(connection, link.user_id)
        except IntegrityError as error:
            raise _taken(email) from error

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
            until = expires_at.isoformat(timespec="seconds") if expires_at else None
            note(f"API key {key_id}", None, {"name": name, "scopes": row["scopes"], "expires_at": until})
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
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
            if row is None:
                raise NotFound("API key", str(key_id))
            if row.revoked_at is None:
                connection.execute(update(api_keys).where(api_keys.c.id == key_id), {"revoked_at": self._now()})
                note(f"API key {key_id}", {"name": row.name, "scopes": row.scopes})
        return next(one for one in self.keys() if one.id == key_id)

    # Failed sign-ins ----------------------------------------------------------------------------------------------

    def claim_try(self, account: str, address: str, since: datetime, patience: Patience) -> tuple[int, datetime | None]:
        """Counts a try as failed before it is looked at, so that a thousand at once are no way round.

        `patience` gets when tries of the account and from the address failed since, oldest first, and says when the
        next one is due. The number of the try; or 0 and that instant where it is too early: then nothing is counted.
        """
        f, now = failed_logins.c, self._now()
        hashed = digest(account)
        with self._database.write() as connection:
            connection.execute(delete(failed_logins).where(f.at <= since))
            of_account = connection.scalars(select(f.at).where(f.account == hashed).order_by(f.at)).all()
            of_address = connection.scalars(select(f.at).where(f.address == address).order_by(f.at)).all()
            due = patience(of_account, of_address)
            if due is not None and due > now:
                return 0, due
            row = {"account": hashed, "address": address, "at": now}
            return int(connection.execute(insert(failed_logins).values(row).returning(f.id)).scalar_one()), None

    def forget_tries(self, account: str, address: str, claimed: int) -> None:
        """The claimed try was right: it counts no more, nor do those of this account from this address."""
        f = failed_logins.c
        here = (f.account == digest(account)) & (f.address == address)
        with self._database.write() as connection:
            connection.execute(delete(failed_logins).where(or_(f.id == claimed, here)))


def _one_user(connection: Connection, user_id: int) -> User:
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("user", str(user_id))
    return _user(row)


def _admins(connection: Connection) -> int:
    """How many admins may sign in."""
    query = select(func.count()).select_from(users).where(users.c.role == str(Role.ADMIN), users.c.disabled.is_(False))
    return int(connection.scalar(query) or 0)


def _taken(email: str) -> UserError:
    message = f"There is a user {email} already. Change that one, or choose another address."
    return UserError(message, code="name_taken")


def _id_of(token: bytes) -> str:
    return token.hex()[:16]


def _session(row: Any) -> Session:
    return Session(_id_of(row.token), row.user_id, row.created_at, row.seen_at, row.address)


def _invitation(row: Any) -> Invitation:
    return Invitation(row.email, Role(row.role), row.user_id, row.created_at, row.expires_at)


def _user(row: Any) -> User:
    stored = {name: row._mapping[name] for name in User.__dataclass_fields__}
    return User(**{**stored, "role": Role(row.role), "disabled": bool(row.disabled)})


def _key(row: Any) -> ApiKey:
    stored = {name: row._mapping[name] for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**stored, "scopes": frozenset(Scope(one) for one in row.scopes)})

"""Who comes in: one-time links, passwords, sessions, keys; and who does not, or not any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from headrace.domain.access import Actor, Role, Scope
from headrace.domain.errors import NotFound, UserError
from headrace.service.access import AccessService, Identity
from headrace.service.verbs import acting_as
from headrace.store.access import User
from headrace.store.access_tables import api_keys, failed_logins, invitations, sessions, users
from headrace.store.workspace import Workspace

PASSWORD = "correct horse battery staple"
OTHER = "four quite random words"
OWNER = "owner@example.com"
HOME = "192.0.2.1"


class Counting:
    """Compares passwords in no time, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, str]] = []

    def __call__(self, hashed: str | None, password: str) -> bool:
        self.asked.append((hashed is not None, password))
        return hashed is not None and password == PASSWORD


class Door:
    """A workspace's access, its time, and who is in it."""

    def __init__(self, folder: str | Path) -> None:
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)
        self.workspace = Workspace.open(folder, create=True, now=lambda: self.now)
        self.access = AccessService(self.workspace.access, lambda: self.now)

    def pass_time(self, **by: float) -> None:
        self.now += timedelta(**by)

    def owner(self) -> User:
        token = self.access.first_link()
        assert token is not None
        return self.access.accept(token, OWNER, "Olga", PASSWORD)

    def member(self, role: Role, email: str = "member@example.com") -> User:
        return self.access.accept(self.access.invite(email, role), "", "Max", PASSWORD)

    def signed_in(self, user: User) -> str:
        return self.access.open_session(user, HOME)

    def acting(self, user: User) -> Actor:
        return Actor(user.email, user.role.scopes, user.id, HOME)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    built = Door(tmp_path / "ws")
    yield built
    built.workspace.close()


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        ask()
    return caught.value.code


# The first owner and links ------------------------------------------------------------------------------------------


def test_the_first_link_makes_one_owner_and_then_there_is_none(where: str) -> None:
    """Whoever starts the server is the one who may become its owner, on both kinds of database."""
    door = Door(where)
    token = door.access.first_link()
    assert token is not None

    owner = door.access.accept(token, " Owner@Example.com ", "Olga", PASSWORD)
    token_of_session = door.access.sign_in(OWNER, PASSWORD, HOME)

    assert (OWNER, Role.ADMIN) == (owner.email, owner.role)
    assert door.access.first_link() is None
    assert "link_invalid" == refused(lambda: door.access.accept(token, "evil@example.com", "", PASSWORD))
    actor = door.access.actor_of_session(token_of_session)
    assert actor is not None
    assert (owner.id, frozenset(Scope)) == (actor.user_id, actor.scopes)
    door.workspace.close()


def test_a_restart_voids_the_first_link_and_so_does_a_day(door: Door) -> None:
    """A link in an old terminal or log must not stay a key to the house."""
    first, second = door.access.first_link(), door.access.first_link()
    assert first is not None
    assert second is not None

    assert "link_invalid" == refused(lambda: door.access.invitation(first))
    assert door.access.invitation(second).role is Role.ADMIN
    door.pass_time(hours=24)
    assert "link_invalid" == refused(lambda: door.access.invitation(second))


def test_a_first_link_is_worth_nothing_once_there_is_a_user(door: Door) -> None:
    """Two people who both hold a link, or a link printed before somebody was invited by hand."""
    token = door.access.first_link()
    assert token is not None
    door.workspace.access.add_user("by-hand@example.com", "", Role.VIEWER, None)

    assert "link_invalid" == refused(lambda: door.access.accept(token, OWNER, "Olga", PASSWORD))


def test_an_invitation_is_for_its_address_and_role(door: Door) -> None:
    """Whoever opens the link can't write another address, nor become more than was meant."""
    token = door.access.invite("New@Example.com", Role.EDITOR)

    made = door.access.accept(token, "other@example.com", "Nia", PASSWORD)

    assert ("new@example.com", Role.EDITOR) == (made.email, made.role)
    assert "name_taken" == refused(lambda: door.access.invite("new@example.com", Role.ADMIN))
    assert "email_invalid" == refused(lambda: door.access.invite("nobody", Role.ADMIN))


def test_a_weak_password_leaves_the_link_as_it_is(door: Door) -> None:
    token = door.access.invite("new@example.com", Role.EDITOR)

    weak = ["short", "aaaaaaaaaaaaaa", "qwertyuiopasdf"[:12], "password1234", "new@example.com1", "headrace2026!"]
    assert ["password_weak"] * 6 == [refused(lambda one=one: door.access.accept(token, "", "Nia", one)) for one in weak]
    assert door.access.accept(token, "", "Nia", PASSWORD).email == "new@example.com"


def test_open_invitations_are_listed_and_can_be_withdrawn(door: Door) -> None:
    token = door.access.invite("new@example.com", Role.EDITOR)

    listed = [(one.email, one.role) for one in door.access.invitations()]
    door.access.withdraw_invitation("New@example.com")

    assert [("new@example.com", Role.EDITOR)] == listed
    assert [] == door.access.invitations()
    assert "link_invalid" == refused(lambda: door.access.invitation(token))
    assert "not_found" == refused(lambda: door.access.withdraw_invitation("new@example.com"))


def test_a_new_password_by_link_ends_every_session(door: Door) -> None:
    """Who forgot it may have lost it to somebody, who is signed in."""
    owner = door.owner()
    stolen = door.signed_in(owner)

    door.access.accept(door.access.new_password_link(owner.id), "x@example.com", "X", OTHER)

    assert door.access.actor_of_session(stolen) is None
    assert "sign_in_failed" == refused(lambda: door.access.sign_in(OWNER, PASSWORD, HOME))
    assert door.access.sign_in(OWNER, OTHER, HOME)


# Sessions -----------------------------------------------------------------------------------------------------------


def test_a_session_ends_after_eight_idle_hours_and_after_seven_days(door: Door) -> None:
    token = door.signed_in(door.owner())

    for _ in range(7 * 24 // 6 - 1):
        door.pass_time(hours=6)
        assert door.access.actor_of_session(token) is not None
    door.pass_time(hours=6, seconds=1)
    assert door.access.actor_of_session(token) is None, "older than seven days"

    fresh = door.access.sign_in(OWNER, PASSWORD, HOME)
    door.pass_time(hours=8, seconds=1)
    assert door.access.actor_of_session(fresh) is None, "idle for eight hours"


def test_a_session_replayed_after_sign_out_reset_role_or_disable_is_nobodys(door: Door) -> None:
    """T11: a copied cookie dies with what it stood for."""
    door.owner()
    ends: list[Callable[[User, str], object]] = [
        lambda _user, token: door.access.sign_out(token),
        lambda user, _token: door.access.set_role(user.id, Role.EDITOR),
        lambda user, _token: door.access.set_disabled(user.id, True),
    ]
    for number, end in enumerate(ends):
        user = door.member(Role.VIEWER, f"m{number}@example.com")
        token = door.signed_in(user)
        assert door.access.actor_of_session(token) is not None

        end(user, token)

        assert door.access.actor_of_session(token) is None


def test_changing_ones_password_ends_all_sessions_and_needs_the_old_one(door: Door) -> None:
    owner = door.owner()
    tokens = [door.signed_in(owner), door.signed_in(owner)]

    with acting_as(door.acting(owner)):
        assert "sign_in_failed" == refused(lambda: door.access.change_password("not the old one", OTHER))
        assert "password_weak" == refused(lambda: door.access.change_password(PASSWORD, "short"))
        door.access.change_password(PASSWORD, OTHER)

    assert [None, None] == [door.access.actor_of_session(one) for one in tokens]
    assert door.access.sign_in(OWNER, OTHER, HOME)


def test_one_sees_ones_own_sessions_and_ends_them(door: Door) -> None:
    """Somebody else's session is not there for me, also where I guess its name."""
    owner, other = door.owner(), door.member(Role.VIEWER)
    mine, theirs = door.signed_in(owner), door.signed_in(other)

    with acting_as(door.acting(other)):
        their_id = door.access.sessions()[0].id
    with acting_as(door.acting(owner)):
        assert [HOME] == [one.address for one in door.access.sessions()]
        with pytest.raises(NotFound):
            door.access.end_session(their_id)
        assert 1 == door.access.end_session()

    assert door.access.actor_of_session(mine) is None
    assert door.access.actor_of_session(theirs) is not None


def test_every_sign_in_has_a_token_of_its_own(door: Door) -> None:
    """A session that was fixed beforehand is worth nothing."""
    owner = door.owner()

    tokens = {door.signed_in(owner) for _ in range(5)}

    assert 5 == len(tokens)
    assert {43} == {len(one) for one in tokens}  # 256 bits in base64


def test_the_last_admin_stays(door: Door) -> None:
    owner = door.owner()

    assert "last_admin" == refused(lambda: door.access.set_role(owner.id, Role.VIEWER))
    assert "last_admin" == refused(lambda: door.access.set_disabled(owner.id, True))
    door.member(Role.ADMIN)
    assert Role.VIEWER is door.access.set_role(owner.id, Role.VIEWER).role


# Guessing -----------------------------------------------------------------------------------------------------------


def test_of_a_thousand_wrong_tries_in_a_minute_twenty_are_looked_at_at_most(door: Door) -> None:
    """T12: for one account from many addresses, and for many accounts from one address."""
    door.owner()
    for spread in (lambda n: (OWNER, f"198.51.100.{n % 250}"), lambda n: (f"user{n}@example.com", HOME)):
        counting = Counting()
        access = AccessService(door.workspace.access, lambda: door.now, counting)
        door.pass_time(hours=2)
        for number in range(1000):
            email, address = spread(number)
            with pytest.raises(UserError):
                access.sign_in(email, "a wrong password", address)
            door.pass_time(seconds=0.06)

        assert 5 <= len(counting.asked) <= 20


def test_the_right_password_works_after_fifteen_minutes_at_most(door: Door) -> None:
    """A lock for good would let anybody shut anybody out."""
    door.owner()
    for _ in range(200):
        refused(lambda: door.access.sign_in(OWNER, "a wrong password", HOME))
        door.pass_time(seconds=20)

    door.pass_time(minutes=15)

    assert door.access.sign_in(OWNER, PASSWORD, HOME)


def test_who_is_signed_in_somewhere_is_not_kept_out_there_by_strangers(door: Door) -> None:
    """Somebody who guesses all day would else keep the owner out all day."""
    owner = door.owner()
    door.signed_in(owner)
    for number in range(100):
        refused(lambda number=number: door.access.sign_in(OWNER, "a wrong password", f"198.51.100.{number}"))

    assert "too_many_tries" == refused(lambda: door.access.sign_in(OWNER, PASSWORD, "203.0.113.9"))
    assert door.access.sign_in(OWNER, PASSWORD, HOME)


def test_unknown_disabled_and_wrong_cost_one_comparison_each_and_say_the_same(door: Door) -> None:
    """Neither words nor time may tell who has an account. The work is counted, since clocks of tests lie."""
    door.owner()
    off = door.member(Role.VIEWER, "off@example.com")
    door.access.set_disabled(off.id, True)
    counting = Counting()
    access = AccessService(door.workspace.access, lambda: door.now, counting)
    said = []
    for email, password in ((OWNER, "wrong"), ("nobody@example.com", PASSWORD), ("off@example.com", PASSWORD)):
        with pytest.raises(UserError) as caught:
            access.sign_in(email, password, HOME)
        said.append((caught.value.code, caught.value.message))

    assert 1 == len(set(said))
    assert 3 == len(counting.asked)


def test_a_comparison_without_a_hash_does_the_work_and_says_no() -> None:
    from headrace.service.passwords import hash_password, is_password

    assert not is_password(None, "nobody has this password")
    assert is_password(hash_password(PASSWORD), PASSWORD)
    assert hash_password(PASSWORD).startswith("$argon2id$v=19$m=47104,t=1,p=1$")


# API keys -----------------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_works_until_it_is_revoked_or_old(door: Door) -> None:
    token, key = door.access.make_key("airflow", [Scope.RUN], timedelta(days=30))

    actor = door.access.actor_of_key(token, HOME)

    assert actor is not None
    assert (frozenset({Scope.READ, Scope.RUN}), None, key.id) == (actor.scopes, actor.user_id, actor.key_id)
    assert (token[:7], token[-4:]) == (key.prefix[:7], key.prefix[-4:])
    assert token not in repr(door.access.keys())
    assert door.now == door.access.keys()[0].used_at
    door.pass_time(days=30)
    assert door.access.actor_of_key(token) is None

    token, key = door.access.make_key("airflow", [])
    assert door.access.actor_of_key(token) is not None
    door.access.revoke_key(key.id)
    assert door.access.actor_of_key(token) is None


def test_a_persons_key_never_does_more_than_the_person_may_now(door: Door) -> None:
    door.owner()
    member = door.member(Role.EDITOR)
    with acting_as(door.acting(member)):
        token, _ = door.access.make_key("mine", [Scope.CONFIGURE])
        assert "forbidden" == refused(lambda: door.access.make_key("more", [Scope.ADMIN]))

    door.access.set_role(member.id, Role.VIEWER)
    demoted = door.access.actor_of_key(token)
    assert demoted is not None
    assert frozenset({Scope.READ}) == demoted.scopes
    door.access.set_disabled(member.id, True)
    assert door.access.actor_of_key(token) is None


def test_a_key_makes_no_key_and_no_password(door: Door) -> None:
    """One that leaked would outlive its own end."""
    door.owner()
    member = door.member(Role.EDITOR)
    with acting_as(door.acting(member)):
        token, _ = door.access.make_key("mine", [Scope.CONFIGURE])
    actor = door.access.actor_of_key(token)
    assert actor is not None

    with acting_as(actor):
        assert "forbidden" == refused(lambda: door.access.make_key("child", []))
        assert "forbidden" == refused(lambda: door.access.change_password(PASSWORD, OTHER))


def test_one_sees_and_revokes_ones_own_keys_only(door: Door) -> None:
    """T14: what belongs to others is not there, rather than forbidden."""
    owner, member = door.owner(), door.member(Role.EDITOR)
    with acting_as(door.acting(owner)):
        _, owners = door.access.make_key("owner's", [])

    with acting_as(door.acting(member)):
        assert [] == door.access.keys()
        with pytest.raises(NotFound):
            door.access.revoke_key(owners.id)


def test_the_last_use_of_a_key_is_written_once_a_minute(door: Door) -> None:
    token, _ = door.access.make_key("busy", [])
    first = door.now
    door.access.actor_of_key(token)

    door.pass_time(seconds=59)
    door.access.actor_of_key(token)
    assert first == door.access.keys()[0].used_at

    door.pass_time(seconds=2)
    door.access.actor_of_key(token)
    assert door.now == door.access.keys()[0].used_at


def test_what_is_in_the_database_opens_nothing(door: Door) -> None:
    """T13: who has a dump of the tables can neither sign in nor call the API."""
    owner = door.owner()
    door.signed_in(owner)
    door.access.make_key("airflow", [Scope.ADMIN])
    door.access.invite("new@example.com", Role.ADMIN)
    refused(lambda: door.access.sign_in("my secret passphrase", "x", HOME))
    dumped: set[str] = set()
    with door.workspace.database.read() as connection:
        for table in (users, sessions, invitations, api_keys, failed_logins):
            for row in connection.execute(select(table)):
                for value in row:
                    dumped |= {value.hex(), value.decode("latin-1")} if isinstance(value, bytes) else {str(value)}

    assert "my secret passphrase" not in dumped
    for stolen in dumped:
        assert door.access.actor_of_session(stolen) is None
        assert door.access.actor_of_key(stolen) is None
        assert door.access.actor_of_key(f"hr_{stolen}") is None
        assert "link_invalid" == refused(lambda stolen=stolen: door.access.invitation(stolen))


# By an issuer of OpenID Connect -------------------------------------------------------------------------------------


def vouched(**other: object) -> Identity:
    said = {"subject": "https://id.example.com 7", "email": OWNER, "email_verified": True, "name": "Olga", "role": None}
    return Identity(**(said | other))  # type: ignore[arg-type]


def test_an_issuer_binds_a_verified_address_to_its_subject_once(door: Door) -> None:
    """Who later gets the address at the issuer must not get the account with it."""
    owner = door.owner()

    token = door.access.sign_in_by_issuer(vouched(), HOME)
    again = door.access.sign_in_by_issuer(vouched(email="renamed@example.com"), HOME)

    for one in (token, again):
        actor = door.access.actor_of_session(one)
        assert actor is not None
        assert owner.id == actor.user_id
    taken_over = vouched(subject="https://id.example.com 8")
    assert "sign_in_failed" == refused(lambda: door.access.sign_in_by_issuer(taken_over, HOME))


def test_an_address_that_the_issuer_did_not_verify_is_nobodys(door: Door) -> None:
    door.owner()

    assert "sign_in_failed" == refused(lambda: door.access.sign_in_by_issuer(vouched(email_verified=False), HOME))


def test_a_stranger_comes_in_only_where_the_settings_give_a_role(door: Door) -> None:
    door.owner()
    stranger = vouched(email="new@example.com", subject="https://id.example.com 9")
    assert "sign_in_failed" == refused(lambda: door.access.sign_in_by_issuer(stranger, HOME))

    door.access.sign_in_by_issuer(vouched(email="new@example.com", subject="s 9", role=Role.VIEWER), HOME)

    assert [("new@example.com", Role.VIEWER)] == [
        (one.email, one.role) for one in door.access.users() if one.email != OWNER
    ]


def test_a_disabled_user_does_not_come_in_by_the_issuer_either(door: Door) -> None:
    door.owner()
    member = door.member(Role.VIEWER)
    door.access.sign_in_by_issuer(vouched(email=member.email, subject="s 2"), HOME)
    door.access.set_disabled(member.id, True)

    assert "sign_in_failed" == refused(
        lambda: door.access.sign_in_by_issuer(vouched(email=member.email, subject="s 2"), HOME)
    )

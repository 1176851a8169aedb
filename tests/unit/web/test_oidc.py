"""Sign-in by OpenID Connect against a real issuer: whom it vouches for comes in, and no lie is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from headrace.app import App
from headrace.domain.access import Role
from headrace.domain.errors import UserError
from headrace.web.oidc import Begun, OidcSettings
from headrace.web.security import Guarding
from headrace.web.server import create_app

from .conftest import PASSWORD, Web
from .issuer import CLIENT_ID, CLIENT_SECRET, TestIssuer, issuing

BASE = "http://127.0.0.1"
BEGUN = "headrace_begun"
SIGN_IN = "/sign-in/issuer"


@pytest.fixture
def issuer() -> Iterator[TestIssuer]:
    with issuing() as made:
        yield made


@pytest.fixture
def enter(web: Web, issuer: TestIssuer) -> Callable[..., TestClient]:
    """A browser at a server that takes the issuer's word."""

    def make(**more: str) -> TestClient:
        said = {
            "HEADRACE_OIDC_ISSUER": issuer.url,
            "HEADRACE_OIDC_CLIENT_ID": CLIENT_ID,
            "HEADRACE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            **more,
        }
        settings = replace(web.app.settings, environment=MappingProxyType({**web.app.settings.environment, **said}))
        server = create_app(App(settings, web.app.workspace), Guarding())
        return TestClient(server, BASE, follow_redirects=False)

    return make


def invite(web: Web, email: str = "ada@example.com", role: Role = Role.EDITOR) -> int:
    token = web.app.access.invite(email, role)
    return web.app.access.accept(token, email, "", PASSWORD).id


def ask(browser: TestClient, next: str = "/runs") -> str:
    """Where the browser is sent to when somebody wants to sign in."""
    answered = browser.get(SIGN_IN, params={"next": next})
    assert answered.status_code == 303, answered.text
    return str(answered.headers["location"])


def come_back(browser: TestClient, issuer: TestIssuer) -> Any:
    return browser.get(issuer.agree(ask(browser)))


def is_in(browser: TestClient) -> bool:
    return browser.get("/api/v1/session").status_code == 200


def test_whom_the_issuer_vouches_for_comes_in_and_goes_where_they_wanted(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    """A company has one place for its people's passwords."""
    invite(web)
    browser = enter()

    answered = come_back(browser, issuer)
    me = browser.get("/api/v1/session").json()

    assert (303, "/runs") == (answered.status_code, answered.headers["location"])
    assert ("ada@example.com", "editor") == (me["user"]["email"], me["user"]["role"])
    assert BEGUN not in browser.cookies


def test_the_subject_decides_once_it_is_known(web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]) -> None:
    """Somebody marries: another address, the same person. Another person gets the old address: not the same."""
    invite(web)
    assert come_back(enter(), issuer).status_code == 303
    issuer.person["email"] = "ada.byron@example.com"
    renamed = enter()
    come_back(renamed, issuer)
    issuer.person |= {"sub": "999", "email": "ada@example.com"}
    other = enter()
    answered = come_back(other, issuer)

    assert "ada@example.com" == renamed.get("/api/v1/session").json()["user"]["email"]
    assert (401, False) == (answered.status_code, is_in(other))


def test_a_stranger_stays_outside_unless_the_settings_let_their_domain_in(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    invite(web, "owner@example.com", Role.ADMIN)
    closed, open_ = enter(), enter(HEADRACE_OIDC_ROLE="viewer", HEADRACE_OIDC_DOMAINS="example.com, example.org")
    refused = come_back(closed, issuer)
    issuer.person["email"] = "eve@example.com.evil.example"
    foreign = come_back(open_, issuer)
    issuer.person["email"] = "ada@Example.com"
    let_in = come_back(open_, issuer)

    assert [401, 401, 303] == [one.status_code for one in (refused, foreign, let_in)]
    people = {one.email: one.role for one in web.app.access.users()}
    assert {"owner@example.com": Role.ADMIN, "ada@example.com": Role.VIEWER} == people


def test_no_stranger_comes_in_before_the_owner(web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]) -> None:
    """The first user voids the owner's link: a viewer who was faster would leave nobody in charge."""
    link = web.app.access.first_link()
    assert link is not None
    browser = enter(HEADRACE_OIDC_ROLE="viewer", HEADRACE_OIDC_DOMAINS="example.com")

    early = come_back(browser, issuer)
    web.app.access.accept(link, "owner@example.com", "", PASSWORD)
    later = come_back(browser, issuer)

    assert [401, 303] == [early.status_code, later.status_code]
    assert "owner" in early.text


@pytest.mark.parametrize("verified", [False, None, "yes", 1.5])
def test_an_address_that_nobody_verified_is_nobodys(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient], verified: object
) -> None:
    """Else whoever may type an address at the issuer is whoever they like here."""
    invite(web, role=Role.ADMIN)
    issuer.person["email_verified"] = verified
    browser = enter()

    assert 401 == come_back(browser, issuer).status_code
    assert not is_in(browser)


def test_who_is_disabled_stays_outside(web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]) -> None:
    web.app.access.set_disabled(invite(web), True)
    browser = enter()

    assert 401 == come_back(browser, issuer).status_code
    assert not is_in(browser)


LIES: dict[str, Callable[[TestIssuer], Any]] = {
    "another issuer": lambda issuer: issuer.claims.update(iss="https://evil.example"),
    "another client": lambda issuer: issuer.claims.update(aud="somebody-else"),
    "another client among several": lambda issuer: issuer.claims.update(aud=[CLIENT_ID, "other"], azp="other"),
    "no audience": lambda issuer: issuer.claims.update(aud=None),
    "another nonce": lambda issuer: issuer.claims.update(nonce="replayed"),
    "no nonce": lambda issuer: issuer.claims.update(nonce=None),
    "expired": lambda issuer: issuer.claims.update(exp=1_700_000_000),
    "no expiry": lambda issuer: issuer.claims.update(exp=None),
    "from the future": lambda issuer: issuer.claims.update(iat=4_000_000_000, nbf=4_000_000_000),
    "no subject": lambda issuer: issuer.claims.update(sub=None),
    "no signature": lambda issuer: setattr(issuer, "algorithm", "none"),
    "signed with our secret": lambda issuer: setattr(issuer, "algorithm", "HS256"),
    "another key": lambda issuer: setattr(issuer, "signs_with", RSAKey.generate_key(2048, {"kid": "one"})),
    "an unknown key": lambda issuer: setattr(issuer, "signs_with", RSAKey.generate_key(2048, {"kid": "two"})),
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("lie", sorted(LIES))
def test_no_token_is_believed_that_does_not_hold(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient], lie: str
) -> None:
    invite(web, role=Role.ADMIN)
    LIES[lie](issuer)
    browser = enter()

    answered = come_back(browser, issuer)

    assert 1 == len(issuer.redeemed), "the token itself must be what is refused"
    assert (401, False) == (answered.status_code, is_in(browser))


def test_keys_that_the_issuer_changed_are_asked_for_again(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    invite(web)
    browser = enter()
    first = come_back(browser, issuer)
    issuer.rotate()

    assert [303, 303] == [first.status_code, come_back(browser, issuer).status_code]


def test_an_answer_counts_only_in_the_browser_that_asked(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    """Login CSRF: a link that signs somebody else's browser in as the attacker."""
    invite(web)
    attacker, victim = enter(), enter()
    link = issuer.agree(ask(attacker))
    ask(victim)

    answers = [victim.get(link), enter().get(link)]

    assert [401, 401] == [one.status_code for one in answers]
    assert [] == issuer.redeemed
    assert not is_in(victim)


def test_an_answer_counts_once(web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]) -> None:
    invite(web)
    browser = enter()
    link = issuer.agree(ask(browser))

    assert [303, 401] == [browser.get(link).status_code, browser.get(link).status_code]


@pytest.mark.parametrize(
    "query",
    ["", "?code=x", "?state=%C3%A9&code=x", "?error=access_denied", "?iss=https://evil.example&code=x"],
)
def test_a_broken_answer_is_told_on_the_sign_in_page(
    issuer: TestIssuer, enter: Callable[..., TestClient], query: str
) -> None:
    browser = enter()
    ask(browser)

    answered = browser.get(f"{SIGN_IN}/back{query}")

    assert 401 == answered.status_code
    assert "The sign-in did not succeed" in answered.text


def test_an_answer_that_names_another_issuer_is_refused_before_its_code_goes_anywhere(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    """RFC 9207: a code of one issuer must not be handed to another."""
    invite(web)
    foreign, own = enter(), enter()
    mixed = foreign.get(issuer.agree(ask(foreign)) + "&iss=https%3A%2F%2Fevil.example")
    spent = list(issuer.redeemed)
    right = own.get(issuer.agree(ask(own)) + f"&iss={issuer.url}")

    assert [401, 303] == [mixed.status_code, right.status_code]
    assert [] == spent


def test_what_the_issuer_says_of_itself_must_be_what_was_configured(
    issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    """Mix-up: one issuer's document in another's place."""
    issuer.calls_itself = "https://accounts.example.com"

    answered = enter().get(SIGN_IN)

    assert 502 == answered.status_code
    assert "accounts.example.com" in answered.text


def test_an_issuer_that_is_away_is_told_and_the_password_still_serves(
    web: Web, enter: Callable[..., TestClient], issuer: TestIssuer
) -> None:
    invite(web)
    browser = enter(HEADRACE_OIDC_ISSUER="http://127.0.0.1:1")
    browser.headers["Sec-Fetch-Site"] = "same-origin"

    away = browser.get(SIGN_IN)
    signed_in = browser.post("/sign-in", data={"email": "ada@example.com", "password": PASSWORD})

    assert (502, 303) == (away.status_code, signed_in.status_code)
    assert "does not answer as it should" in away.text


def test_an_address_that_is_only_told_on_asking_is_asked_for(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    invite(web)
    issuer.told_in_token = False
    browser = enter()
    issuer.person["iss"] = "said beside the token, and proved by nobody"
    there = come_back(browser, issuer)
    issuer.person["sub"], subject = "somebody-else", issuer.person["sub"]
    issuer.claims["sub"] = subject
    mixed = come_back(enter(), issuer)

    assert (303, True) == (there.status_code, is_in(browser))
    assert 401 == mixed.status_code


def test_the_way_back_leads_to_no_other_site(web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]) -> None:
    invite(web)
    for next in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        browser = enter()
        answered = browser.get(issuer.agree(ask(browser, next)))

        assert "/" == answered.headers["location"]
    tampered = enter()
    link = issuer.agree(ask(tampered))
    begun = Begun.parse(tampered.cookies[BEGUN])
    assert begun is not None
    tampered.cookies.clear()
    tampered.cookies.set(BEGUN, replace(begun, next="https://evil.example/").text())
    assert "/" == tampered.get(link).headers["location"]


def test_the_sign_in_page_offers_the_issuer_only_where_there_is_one(web: Web, enter: Callable[..., TestClient]) -> None:
    without = web.client()

    assert "Sign in with 127.0.0.1" in enter().get("/sign-in").text
    assert "Sign in with" not in without.get("/sign-in").text
    assert 404 == without.get(SIGN_IN).status_code


def test_no_secret_of_the_client_is_in_anything_that_a_browser_gets(
    web: Web, issuer: TestIssuer, enter: Callable[..., TestClient]
) -> None:
    browser = enter()
    address = ask(browser)

    assert CLIENT_SECRET not in address + str(dict(browser.cookies)) + browser.get("/sign-in").text
    assert CLIENT_SECRET not in repr(OidcSettings("https://a.example", CLIENT_ID, CLIENT_SECRET, None, frozenset()))


WHOLE = {
    "HEADRACE_OIDC_ISSUER": "https://accounts.example.com",
    "HEADRACE_OIDC_CLIENT_ID": "a",
    "HEADRACE_OIDC_CLIENT_SECRET": "b",
}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"HEADRACE_OIDC_CLIENT_ID": ""}, "HEADRACE_OIDC_CLIENT_ID"),
        ({"HEADRACE_OIDC_CLIENT_SECRET": " "}, "HEADRACE_OIDC_CLIENT_SECRET"),
        ({"HEADRACE_OIDC_ISSUER": "http://accounts.example.com"}, "https"),
        ({"HEADRACE_OIDC_ISSUER": "accounts.example.com"}, "https"),
        ({"HEADRACE_OIDC_ROLE": "boss", "HEADRACE_OIDC_DOMAINS": "example.com"}, "viewer, editor, admin"),
        ({"HEADRACE_OIDC_ROLE": "viewer"}, "HEADRACE_OIDC_DOMAINS"),
    ],
)
def test_settings_that_do_not_fit_are_told_at_the_start(change: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named) as caught:
        OidcSettings.read(WHOLE | change)

    assert "setting_invalid" == caught.value.code


def test_without_an_issuer_nothing_is_asked_for() -> None:
    assert OidcSettings.read({}) is None
    assert OidcSettings.read(WHOLE) is not None


@pytest.mark.parametrize("text", ["", "x", "bm8=", "WzFd", "WyJhIiwiYiIsImMiXQ=="])
def test_what_we_did_not_write_is_no_sign_in_under_way(text: str) -> None:
    assert Begun.parse(text) is None

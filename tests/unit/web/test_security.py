"""The wall: who is let in, from where, under which name, and what goes along with every answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from headrace.domain.access import Role, Scope
from headrace.domain.errors import UserError
from headrace.web.security import LARGEST_BODY, Guarding, check_binding
from headrace.web.server import create_app

from .conftest import PASSWORD, Web


def operations(web: Web) -> list[tuple[str, str]]:
    """(method, path) of every operation of the API."""
    paths = web.server.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(path: str, number: int = 1) -> str:
    """The path with something in each of its places: what is counted has that number."""
    return re.sub(r"\{(\w+)\}", lambda place: str(number) if place[1] in COUNTED else "accounts", path)


COUNTED = {"run_id", "number", "user_id", "key_id"}
OPEN = {("POST", "/api/v1/session"), ("POST", "/api/v1/links/use")}
"""Where one comes in."""


def unsafe(web: Web) -> list[tuple[str, str]]:
    return [(method, path) for method, path in operations(web) if method != "GET"]


OF_EVERYONE = {
    ("DELETE", "/api/v1/api-keys/{key_id}"),
    ("DELETE", "/api/v1/session"),
    ("DELETE", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/{session_id}"),
    ("POST", "/api/v1/api-keys"),
    ("POST", "/api/v1/password"),
}
"""What changes one's own only. All that is read is everyone's too."""
OF_ADMINS = {
    ("DELETE", "/api/v1/invitations/{email}"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/audit/proof"),
    ("GET", "/api/v1/invitations"),
    ("GET", "/api/v1/users"),
    ("PATCH", "/api/v1/users/{user_id}"),
    ("POST", "/api/v1/key/rotate"),
    ("POST", "/api/v1/users"),
    ("POST", "/api/v1/users/{user_id}/link"),
}
BODIES: dict[str, dict[str, object]] = {
    "/api/v1/users/{user_id}": {"disabled": True},
    "/api/v1/users": {"email": "new@example.com", "role": "viewer"},
    "/api/v1/api-keys": {"name": "mine"},
    "/api/v1/password": {"old": "x", "new": "y"},
    "/api/v1/preview": {"source": "nowhere", "table": "t", "primary_key": ["id"]},
    "/api/v1/secrets/{name}": {"value": "x"},
    "/api/v1/configuration/check": {"yaml": ""},
    "/api/v1/configuration/apply": {"yaml": ""},
    "/api/v1/syncs/{name}/test-row": {"key": "1"},
}
"""What an operation must be sent to get as far as the verb."""


def body_of(path: str) -> dict[str, object]:
    return {"name": "other"} if path.endswith("/rename") else BODIES.get(path, {})


def may(role: Role, operation: tuple[str, str]) -> bool:
    if operation in OF_ADMINS:
        return role is Role.ADMIN
    return role is not Role.VIEWER or operation in OF_EVERYONE or operation[0] == "GET"


@pytest.mark.parametrize("role", list(Role))
def test_every_operation_is_for_exactly_the_roles_that_it_is_meant_for(web: Web, role: Role) -> None:
    """T14: the table above is what we mean; a new operation is the editors' unless it only reads, or is named there."""
    web.browser("boss@example.com")
    browser = web.browser("ada@example.com", role)
    ada = next(one for one in web.app.access.users() if one.email == "ada@example.com")
    wrong = {}
    for method, path in operations(web):
        if (method, path) in OPEN:
            continue
        browser.cookies.set("headrace", web.app.access.open_session(ada, "testclient"), domain="127.0.0.1", path="/")
        answered = browser.request(method, filled(path, 999), json=None if method == "GET" else body_of(path))
        code = answered.json().get("code") if answered.status_code >= 400 else ""
        if may(role, (method, path)) != (code != "forbidden") or code == "signed_out" or answered.status_code >= 500:
            wrong[method, path] = (answered.status_code, code)

    assert {} == wrong


def test_what_is_not_there_is_not_found_for_everyone_who_may_look(web: Web) -> None:
    """T14: somebody else's number, and one that nothing has, are answered alike."""
    client = web.client(Role.ADMIN)
    counted = [path for method, path in operations(web) if method == "GET" and "{run_id}" in path]

    answers = {path: client.get(filled(path, 999)).status_code for path in counted}

    assert {404} == set(answers.values()), answers


def test_no_unsafe_operation_acts_on_a_cookie_alone(web: Web) -> None:
    """T8: from another site, without a word of where from, as text, and as a form."""
    browser = web.browser("ada@example.com")
    del browser.headers["Sec-Fetch-Site"]
    ours = {"Sec-Fetch-Site": "same-origin"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    attempts: dict[str, dict[str, str]] = {
        "cross-site": {"Sec-Fetch-Site": "cross-site"},
        "another origin": {"Origin": "https://evil.example"},
        "another port": {"Origin": "http://127.0.0.1:9"},
        "no word": {},
        "text": ours | {"Content-Type": "text/plain"},
        "a form": ours | form,
        "a form, from nowhere": form,
        "a file": ours | {"Content-Type": "multipart/form-data; boundary=x"},
        "no type": ours | {"Content-Type": ""},
    }
    let_in = [
        (name, method, path)
        for method, path in unsafe(web)
        for name, headers in attempts.items()
        if browser.request(method, filled(path), content=b"{}", headers=headers).json().get("code") != "cross_site"
    ]

    assert [] == let_in
    assert 200 == browser.get("/api/v1/runs").status_code, "the session is still alive"


def test_an_origin_that_is_ours_will_do_for_a_browser_without_fetch_metadata(web: Web) -> None:
    browser = web.browser("ada@example.com")
    del browser.headers["Sec-Fetch-Site"]

    answered = browser.post("/api/v1/api-keys", json={"name": "mine"}, headers={"Origin": "http://127.0.0.1"})

    assert 201 == answered.status_code


def test_a_key_needs_no_word_of_where_from(web: Web) -> None:
    """A program sends no such headers, and no browser sends a key by itself."""
    assert 404 == web.client(Role.EDITOR).post("/api/v1/runs/999/cancel").status_code


def test_every_operation_refuses_a_foreign_host_and_carries_the_headers(web: Web) -> None:
    """T16 and T9, for each operation: with a key, and on refusals."""
    client = web.client(Role.VIEWER)
    for method, path in operations(web):
        foreign = client.request(method, filled(path, 999), json={}, headers={"Host": "evil.example"})
        refused = web.client().request(method, filled(path, 999), json={})

        assert 421 == foreign.status_code
        for answered in (foreign, refused):
            assert "frame-ancestors 'none'" in answered.headers["Content-Security-Policy"]
            assert "unsafe-" not in answered.headers["Content-Security-Policy"]
            assert "nosniff" == answered.headers["X-Content-Type-Options"]
            assert "no-store" == answered.headers["Cache-Control"]


def test_a_bug_is_answered_with_the_headers_and_without_its_inside(web: Web) -> None:
    """The page of an error is a page too."""

    def broken() -> None:
        raise RuntimeError("the password is sesame")

    web.server.add_api_route("/api/v1/broken", broken)

    answered = web.client(Role.VIEWER).get("/api/v1/broken")

    assert (500, "bug") == (answered.status_code, answered.json()["code"])
    assert "sesame" not in answered.text
    assert "default-src 'none'" in answered.headers["Content-Security-Policy"]


def test_a_body_without_a_length_is_cut_off_at_the_limit_too(web: Web) -> None:
    """A client that does not say how much it sends could else fill the memory."""

    def endless() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 65_536 + 2):
            yield b" " * 65_536

    answered = web.client(Role.EDITOR).put(
        "/api/v1/syncs/s", content=endless(), headers={"Content-Type": "application/json"}
    )

    assert (413, "body_too_large") == (answered.status_code, answered.json()["code"])


def test_behind_https_the_cookie_is_bound_to_the_host_and_browsers_stay_with_https(tmp_path: Path, web: Web) -> None:
    """A cookie of a neighbouring host, or one that went over plain HTTP once, must not become ours."""
    server = create_app(web.app, Guarding(url="https://headrace.example.com"))
    client = TestClient(server, "https://headrace.example.com", headers={"Sec-Fetch-Site": "same-origin"})
    web.browser("ada@example.com")

    answered = client.post("/api/v1/session", json={"email": "ada@example.com", "password": PASSWORD})

    cookie = answered.headers["Set-Cookie"]
    assert cookie.startswith("__Host-headrace=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "max-age=31536000" in answered.headers["Strict-Transport-Security"]
    assert 200 == client.get("/api/v1/runs").status_code


def test_a_changed_password_signs_out_every_other_browser(web: Web) -> None:
    mine, other = web.browser("ada@example.com"), web.client()
    ada = web.app.access.users()[0]
    other.cookies.set("headrace", web.app.access.open_session(ada, ""))

    changed = mine.post("/api/v1/password", json={"old": PASSWORD, "new": "four quite random words"})

    assert 204 == changed.status_code
    assert (200, 401) == (mine.get("/api/v1/runs").status_code, other.get("/api/v1/runs").status_code)
    assert 1 == mine.get("/api/v1/sessions").json()["total"]


def test_guesses_are_slowed_down_over_http_and_told_how_long(web: Web) -> None:
    client = web.client()
    client.headers["Sec-Fetch-Site"] = "same-origin"
    wrong = {"email": "ada@example.com", "password": "a wrong password"}

    answers = [client.post("/api/v1/session", json=wrong) for _ in range(8)]

    assert [401] * 5 == [one.status_code for one in answers[:5]]
    assert 429 == answers[-1].status_code
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 4


def test_invitations_and_the_log_are_read_over_http(web: Web) -> None:
    boss = web.browser("boss@example.com")
    link = boss.post("/api/v1/users", json={"email": "new@example.com", "role": "editor"}).json()["link"]

    listed = boss.get("/api/v1/invitations").json()["items"]
    boss.delete("/api/v1/invitations/new@example.com")
    log = boss.get("/api/v1/audit?actor=boss@example.com&limit=2").json()["items"]
    proof = boss.get("/api/v1/audit/proof").json()

    assert "/welcome/" in link
    assert [("new@example.com", "editor")] == [(one["email"], one["role"]) for one in listed]
    assert ["access.withdraw_invitation", "access.invite"] == [one["verb"] for one in log]
    assert ["testclient"] * 2 == [one["address"] for one in log]
    assert proof["broken_at"] is None


def test_no_operation_answers_to_nobody(web: Web) -> None:
    """A new route without a thought for access must refuse, not leak."""
    client = web.client()
    client.headers["Sec-Fetch-Site"] = "same-origin"

    answers = {
        (method, path): client.request(method, filled(path), json={}).status_code
        for method, path in operations(web)
        if (method, path) not in OPEN and path != "/api/v1/session"
    }

    assert {401} == set(answers.values()), {key: one for key, one in answers.items() if one != 401}


def test_a_viewer_changes_nothing_and_an_editor_is_no_admin(web: Web) -> None:
    """Roles are checked where the work is done, so every face is as strict as the others."""
    viewer, editor = web.client(Role.VIEWER), web.client(Role.EDITOR)
    document = viewer.get("/api/v1/syncs/accounts").json()["document"]
    asked = [
        viewer.put("/api/v1/syncs/accounts", json=document),
        viewer.post("/api/v1/syncs/accounts/runs", json={}),
        viewer.put("/api/v1/secrets/a", json={"value": "b"}),
        viewer.delete("/api/v1/syncs/accounts"),
        editor.get("/api/v1/users"),
        editor.post("/api/v1/key/rotate"),
        editor.get("/api/v1/audit"),
        editor.post("/api/v1/api-keys", json={"name": "more", "scopes": ["admin"]}),
    ]

    assert [403] * len(asked) == [one.status_code for one in asked]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_site_cannot_make_a_browser_act(web: Web, headers: dict[str, str], method: str) -> None:
    browser = web.browser("ada@example.com")

    answered = browser.request(method, "/api/v1/syncs/accounts", json={}, headers=headers)

    assert (403, "cross_site") == (answered.status_code, answered.json()["code"])


def test_a_form_of_another_site_without_any_word_of_origin_is_refused(web: Web) -> None:
    browser = web.browser("ada@example.com")
    del browser.headers["Sec-Fetch-Site"]

    answered = browser.post("/api/v1/runs/1/cancel", content="a=b", headers={"Content-Type": "text/plain"})

    assert 403 == answered.status_code


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "0.0.0.0", "localhost.evil"])
def test_a_foreign_name_is_not_answered_to(web: Web, host: str) -> None:
    """DNS rebinding: a page makes its own name point to this machine."""
    answered = web.client(Role.ADMIN).get("/api/v1/runs", headers={"Host": host})

    assert (421, "host_unknown") == (answered.status_code, answered.json()["code"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8788", "[::1]:8788", "LOCALHOST"])
def test_the_names_of_this_machine_are_answered_to(web: Web, host: str) -> None:
    assert 200 == web.client(Role.ADMIN).get("/api/v1/runs", headers={"Host": host}).status_code


def test_every_answer_carries_the_headers_that_protect_a_page(web: Web) -> None:
    client = web.client(Role.ADMIN)
    answers = [client.get("/api/v1/runs"), client.get("/nowhere"), web.client().get("/api/v1/runs")]

    for answered in answers:
        assert "default-src 'none'" in answered.headers["Content-Security-Policy"]
        assert "unsafe" not in answered.headers["Content-Security-Policy"]
        assert "nosniff" == answered.headers["X-Content-Type-Options"]
        assert "no-store" == answered.headers["Cache-Control"]


def test_a_key_in_an_address_is_refused(web: Web) -> None:
    key, _ = web.app.access.make_key("leaky", [Scope.READ])

    answered = web.client().get(f"/api/v1/runs?token={key}")

    assert (400, "key_in_address") == (answered.status_code, answered.json()["code"])


def test_a_revoked_key_is_dead_at_once(web: Web) -> None:
    key, made = web.app.access.make_key("short", [Scope.READ])
    client = web.client()
    client.headers["Authorization"] = f"Bearer {key}"
    before = client.get("/api/v1/runs").status_code

    web.app.access.revoke_key(made.id)

    assert (200, 401) == (before, client.get("/api/v1/runs").status_code)


def test_the_database_alone_lets_nobody_in(web: Web) -> None:
    """A stolen backup must not call the API."""
    key, _ = web.app.access.make_key("ours", [Scope.READ])
    browser = web.browser("ada@example.com")
    stored = b"".join(path.read_bytes() for path in (web.project / "ws").glob("store.sqlite*"))

    assert key.encode() not in stored
    assert PASSWORD.encode() not in stored
    assert browser.cookies["headrace"].encode() not in stored


@pytest.mark.parametrize("end", ["sign out", "disable", "role"])
def test_a_session_that_ended_is_never_good_again(web: Web, end: str) -> None:
    browser = web.browser("ada@example.com")
    other = web.browser("eve@example.com")
    cookie = other.cookies["headrace"]
    user = next(one for one in web.app.access.users() if one.email == "eve@example.com")
    if end == "sign out":
        other.delete("/api/v1/session")
    elif end == "disable":
        web.app.access.set_disabled(user.id, True)
    else:
        web.app.access.set_role(user.id, Role.VIEWER)

    thief = web.client()
    thief.cookies.set("headrace", cookie)
    replayed = thief.get("/api/v1/runs")

    assert 401 == replayed.status_code
    assert 200 == browser.get("/api/v1/runs").status_code


def test_a_body_that_is_too_large_is_refused_unread(web: Web) -> None:
    answered = web.client(Role.EDITOR).put("/api/v1/syncs/s", content=b" " * (LARGEST_BODY + 1))

    assert (413, "body_too_large") == (answered.status_code, answered.json()["code"])


def test_a_wide_address_needs_users_and_a_name() -> None:
    with pytest.raises(UserError, match="Nobody can sign in yet"):
        check_binding("0.0.0.0", Guarding(), has_users=False)
    with pytest.raises(UserError, match="HEADRACE_URL"):
        check_binding("0.0.0.0", Guarding(), has_users=True)

    check_binding("0.0.0.0", Guarding(url="https://headrace.example.com"), has_users=True)
    check_binding("127.0.0.1", Guarding(), has_users=False)


def test_the_first_link_works_once_and_only_while_there_is_nobody(web: Web) -> None:
    first, second = web.app.access.first_link(), web.app.access.first_link()
    assert first is not None
    assert second is not None
    client: TestClient = web.client()
    client.headers["Sec-Fetch-Site"] = "same-origin"
    said = {"email": "ada@example.com", "password": PASSWORD}

    voided = client.post("/api/v1/links/use", json=said | {"token": first})
    used = client.post("/api/v1/links/use", json=said | {"token": second})
    again = client.post("/api/v1/links/use", json=said | {"token": second, "email": "eve@example.com"})

    assert (400, 200, 400) == (voided.status_code, used.status_code, again.status_code)
    assert web.app.access.first_link() is None


def test_routes_are_told_apart_by_their_whole_path(web: Web) -> None:
    """Elsewhere a path that merely ended in an open name was let through."""
    client = web.client()

    for path in ("/api/v1/runs/healthz", "/healthz/../api/v1/runs", "/api/v1/session/", "//healthz"):
        assert client.get(path).status_code in (401, 404), path
    assert 200 == client.get("/healthz").status_code

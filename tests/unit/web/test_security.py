"""The wall: who is let in, from where, under which name, and what goes along with every answer."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from headrace.domain.access import Role, Scope
from headrace.domain.errors import UserError
from headrace.web.security import LARGEST_BODY, Guarding, check_binding

from .conftest import PASSWORD, Web


def operations(web: Web) -> list[tuple[str, str]]:
    """(method, path) of every operation of the API."""
    paths = web.server.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(path: str) -> str:
    """The path with something in each of its places."""
    for place, value in (("{run_id}", "1"), ("{number}", "1"), ("{user_id}", "1"), ("{key_id}", "1")):
        path = path.replace(place, value)
    return path.replace("{name}", "accounts")


def test_no_operation_answers_to_nobody(web: Web) -> None:
    """A new route without a thought for access must refuse, not leak."""
    client = web.client()
    client.headers["Sec-Fetch-Site"] = "same-origin"
    open_ = {("POST", "/api/v1/session"), ("POST", "/api/v1/links/use")}

    answers = {
        (method, path): client.request(method, filled(path), json={}).status_code
        for method, path in operations(web)
        if (method, path) not in open_ and path != "/api/v1/session"
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

"""Access over HTTP: sign in and out, one-time links, users, API keys, the audit log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import Response

from headrace.domain.errors import UserError
from headrace.service.verbs import current_actor
from headrace.store.access import ApiKey, Invitation, Session, User
from headrace.web.api.models import (
    Accept,
    ActorOut,
    AuditList,
    Credentials,
    InvitationList,
    Invite,
    KeyList,
    KeyOut,
    LinkOut,
    NewKey,
    NewKeyOut,
    PasswordChange,
    ProofOut,
    SessionList,
    UserChange,
    UserList,
    UserOut,
)
from headrace.web.api.routes import Cursor, Headrace, Limit, answer, router
from headrace.web.security import Guarding

SESSION = "/api/v1/session"
LINKS = "/api/v1/links/use"
OPEN = frozenset({SESSION, LINKS})
"""Where one comes in: these need no sign-in."""
routes = router("access")
UserId = Annotated[int, Path(ge=1, le=2**53)]


@routes.post(
    "/session", operation_id="sign_in", summary="Sign in with a password", responses={200: {"model": ActorOut}}
)
def sign_in(request: Request, app: Headrace, wanted: Credentials) -> Response:
    token = app.access.sign_in(wanted.email, wanted.password, _address(request))
    actor = app.access.actor_of_session(token)
    assert actor is not None
    found = answer({"name": actor.name, "scopes": sorted(actor.scopes), "user": None})
    set_cookie(found, request.app.state.guarding, token)
    return found


@routes.get("/session", operation_id="who_am_i", summary="Who asks", responses={200: {"model": ActorOut}})
def who_am_i(app: Headrace) -> Response:
    actor, me = current_actor(), app.access.me()
    return answer({"name": actor.name, "scopes": sorted(actor.scopes), "user": _user(me) if me else None})


@routes.delete(
    "/session", operation_id="sign_out", summary="End this session", status_code=204, response_class=Response
)
def sign_out(request: Request, app: Headrace) -> Response:
    guarding: Guarding = request.app.state.guarding
    if token := request.cookies.get(guarding.cookie):
        app.access.sign_out(token)
    found = Response(status_code=204)
    found.delete_cookie(guarding.cookie, secure=guarding.is_https, httponly=True, samesite="lax")
    return found


@routes.post(
    "/links/use",
    operation_id="use_link",
    summary="Use a one-time link: become a user, or set a new password",
    responses={200: {"model": UserOut}},
)
def use_link(request: Request, app: Headrace, wanted: Accept) -> Response:
    made = app.access.accept(wanted.token, wanted.email, wanted.name, wanted.password, _address(request))
    return answer(_user(made))


@routes.post(
    "/password",
    operation_id="change_password",
    summary="Change one's own password; ends all of one's sessions and begins a new one here",
    status_code=204,
    response_class=Response,
)
def change_password(request: Request, app: Headrace, wanted: PasswordChange) -> Response:
    user = app.access.change_password(wanted.old, wanted.new)
    found = Response(status_code=204)
    set_cookie(found, request.app.state.guarding, app.access.open_session(user, _address(request)))
    return found


@routes.get(
    "/sessions", operation_id="list_sessions", summary="Where one is signed in", responses={200: {"model": SessionList}}
)
def sessions(app: Headrace) -> Response:
    found = app.access.sessions()
    return answer({"items": [_session(one) for one in found], "total": len(found)})


@routes.delete(
    "/sessions", operation_id="end_sessions", summary="Sign out everywhere", status_code=204, response_class=Response
)
def end_sessions(app: Headrace) -> Response:
    app.access.end_session()
    return Response(status_code=204)


@routes.delete(
    "/sessions/{session_id}",
    operation_id="end_session",
    summary="Sign out in one browser",
    status_code=204,
    response_class=Response,
)
def end_session(app: Headrace, session_id: Annotated[str, Path(max_length=64)]) -> Response:
    app.access.end_session(session_id)
    return Response(status_code=204)


@routes.get("/users", operation_id="list_users", summary="Users", responses={200: {"model": UserList}})
def users(app: Headrace) -> Response:
    found = app.access.users()
    return answer({"items": list(map(_user, found)), "total": len(found)})


@routes.post("/users", operation_id="invite_user", summary="A link for a new user", responses={200: {"model": LinkOut}})
def invite(request: Request, app: Headrace, wanted: Invite) -> Response:
    return answer({"link": link_of(request, app.access.invite(wanted.email, wanted.role))})


@routes.get(
    "/invitations",
    operation_id="list_invitations",
    summary="Links of people who are not there yet",
    responses={200: {"model": InvitationList}},
)
def invitations(app: Headrace) -> Response:
    found = app.access.invitations()
    return answer({"items": [_invitation(one) for one in found], "total": len(found)})


@routes.delete(
    "/invitations/{email}",
    operation_id="withdraw_invitation",
    summary="Make such a link worthless",
    status_code=204,
    response_class=Response,
)
def withdraw_invitation(app: Headrace, email: Annotated[str, Path(max_length=256)]) -> Response:
    app.access.withdraw_invitation(email)
    return Response(status_code=204)


@routes.post(
    "/users/{user_id}/link",
    operation_id="new_password_link",
    summary="A link with which the user sets a new password",
    responses={200: {"model": LinkOut}},
)
def new_password_link(request: Request, app: Headrace, user_id: UserId) -> Response:
    return answer({"link": link_of(request, app.access.new_password_link(user_id))})


@routes.patch(
    "/users/{user_id}",
    operation_id="change_user",
    summary="Another role, or disable and enable",
    responses={200: {"model": UserOut}},
)
def change_user(app: Headrace, user_id: UserId, wanted: UserChange) -> Response:
    if (wanted.role is None) == (wanted.disabled is None):
        raise UserError("Say one of role and disabled.", code="request_invalid")
    if wanted.role is not None:
        return answer(_user(app.access.set_role(user_id, wanted.role)))
    assert wanted.disabled is not None
    return answer(_user(app.access.set_disabled(user_id, wanted.disabled)))


@routes.get("/api-keys", operation_id="list_keys", summary="API keys", responses={200: {"model": KeyList}})
def keys(app: Headrace) -> Response:
    found = app.access.keys()
    return answer({"items": list(map(_key, found)), "total": len(found)})


@routes.post(
    "/api-keys",
    operation_id="make_key",
    summary="A new API key",
    status_code=201,
    responses={201: {"model": NewKeyOut}},
)
def make_key(app: Headrace, wanted: NewKey) -> Response:
    lasts = timedelta(days=wanted.days) if wanted.days else None
    secret, key = app.access.make_key(wanted.name, wanted.scopes, lasts)
    return answer(_key(key) | {"secret": secret}, 201)


@routes.delete(
    "/api-keys/{key_id}", operation_id="revoke_key", summary="Revoke an API key", responses={200: {"model": KeyOut}}
)
def revoke_key(app: Headrace, key_id: Annotated[int, Path(ge=1, le=2**53)]) -> Response:
    return answer(_key(app.access.revoke_key(key_id)))


@routes.get("/audit", operation_id="list_audit", summary="Who changed what", responses={200: {"model": AuditList}})
def audit(
    app: Headrace,
    subject: Annotated[str | None, Query(max_length=200, description="`sync nightly`, `user 3`.")] = None,
    actor: Annotated[str | None, Query(max_length=256, description="An address, `key:...`, `cli:...`.")] = None,
    verb: Annotated[str | None, Query(max_length=100, description="`catalog.apply`, `runs.cancel`.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    page = app.audit.entries(subject, limit, cursor, actor=actor, verb=verb)
    return answer({"items": [_entry(one) for one in page.items], "cursor": page.cursor})


@routes.get(
    "/audit/proof",
    operation_id="prove_audit",
    summary="Whether the log was altered afterwards",
    responses={200: {"model": ProofOut}},
)
def proof(app: Headrace) -> Response:
    return answer(asdict(app.audit.verify()))


def set_cookie(found: Response, guarding: Guarding, token: str) -> None:
    """The session as a cookie that no script reads and no other site sends along."""
    found.set_cookie(guarding.cookie, token, path="/", secure=guarding.is_https, httponly=True, samesite="lax")


def link_of(request: Request, token: str) -> str:
    """The address of a one-time link. The token stands behind `#`, so that no log of a server has it."""
    guarding: Guarding = request.app.state.guarding
    base = guarding.url or str(request.base_url).rstrip("/")
    return f"{base.rstrip('/')}/welcome#{token}"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _session(one: Session) -> dict[str, Any]:
    return {key: value for key, value in asdict(one).items() if key != "user_id"}


def _invitation(one: Invitation) -> dict[str, Any]:
    return {key: value for key, value in asdict(one).items() if key != "user_id"}


def _user(user: User) -> dict[str, Any]:
    return {key: one for key, one in asdict(user).items() if key not in ("password", "subject")}


def _key(key: ApiKey) -> dict[str, Any]:
    return asdict(key) | {"scopes": sorted(key.scopes)}


def _entry(one: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(one).items() if key != "chain"}

"""Coming in and going out: sign-in by password or by an issuer, the one-time link, the theme.

These pages are asked for by nobody yet, so they show nothing of the workspace but its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from headrace.domain.errors import HeadraceError, NotFound, UserError, WorldError
from headrace.web.oidc import LASTS_S, Begun, Issuer
from headrace.web.pages.frame import Context
from headrace.web.pages.render import THEME_COOKIE, THEMES, Pages, own_address

SIGN_IN = "/sign-in"
WELCOME = "/welcome/"
ISSUER = "/sign-in/issuer"
BACK = "/sign-in/issuer/back"
OPEN_PATHS = frozenset({SIGN_IN, ISSUER, BACK, "/theme", "/sign-out"})
"""What needs no sign-in, exactly as written; links under `WELCOME` are open too, each known only to who got it."""
YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage(Context):
    """The form of address and password."""

    template: ClassVar[str] = "sign_in.html"

    next: Annotated[str, "Where to go on."]
    email: Annotated[str, "What was typed before."]
    has_users: Annotated[bool, "Whether anybody can sign in yet."]
    issuer: Annotated[str | None, "Who else vouches for people, as they know it."] = None
    wrong: Annotated[str | None, "Why the last try failed."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomePage(Context):
    """What a one-time link opens."""

    template: ClassVar[str] = "welcome.html"

    lead: Annotated[str, "What this link is for."]
    button: Annotated[str, "The word on the button."]
    is_reset: Annotated[bool, "Whether it sets a new password of somebody who is there."]
    known_email: Annotated[str | None, "The address that the link is for; None where one chooses."]
    email: Annotated[str, "What was typed before."]
    name: Annotated[str, "What was typed before."]
    wrong: Annotated[str | None, "Why the last try failed."] = None


def routes(pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    access = pages.app.access
    begun_cookie = "__Host-headrace_begun" if pages.secure else "headrace_begun"

    @router.get(SIGN_IN)
    def ask(request: Request, next: str = "/") -> Response:
        return _sign_in(request, own_address(next))

    @router.post(SIGN_IN)
    def sign_in(
        request: Request,
        email: Annotated[str, Form()],
        password: Annotated[str, Form()],
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        try:
            token = access.sign_in(email, password, _address(request))
        except UserError as error:
            status = 429 if error.code == "too_many_tries" else 401
            return _sign_in(request, own_address(next), email, error.message, status)
        return _with_session(pages.go(own_address(next)), token)

    @router.get(ISSUER)
    def ask_issuer(request: Request, next: str = "/") -> Response:
        issuer = _issuer()
        try:
            address, begun = issuer.begin(_back(request), own_address(next))
        except WorldError as error:
            return _sign_in(request, own_address(next), wrong=error.message, status=502)
        response = RedirectResponse(address, 303)
        secure = pages.secure
        response.set_cookie(begun_cookie, begun.text(), LASTS_S, httponly=True, samesite="lax", secure=secure, path="/")
        return response

    @router.get(BACK)
    def answer_of_issuer(request: Request) -> Response:
        issuer = _issuer()
        begun = Begun.parse(request.cookies.get(begun_cookie, ""))
        next = own_address(begun.next) if begun is not None else "/"
        try:
            who = issuer.finish(_back(request), begun, dict(request.query_params))
            response = _with_session(pages.go(next), access.sign_in_by_issuer(who, _address(request)))
        except HeadraceError as error:
            status = 502 if isinstance(error, WorldError) else 401
            response = _sign_in(request, next, wrong=error.message, status=status)
        # One answer for one question: a second with the same state is of nobody.
        response.delete_cookie(begun_cookie, secure=pages.secure, httponly=True, samesite="lax", path="/")
        return response

    def _issuer() -> Issuer:
        if pages.issuer is None:
            raise NotFound("page", ISSUER)
        return pages.issuer

    def _back(request: Request) -> str:
        base = pages.url or str(request.base_url)
        return base.rstrip("/") + BACK

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        access.sign_out(request.cookies.get(pages.cookie, ""))
        response = pages.go(SIGN_IN)
        response.delete_cookie(pages.cookie, secure=pages.secure, httponly=True, samesite="lax")
        return response

    @router.get(WELCOME + "{token}")
    def open_link(request: Request, token: str) -> Response:
        return _welcome(request, token)

    @router.post(WELCOME + "{token}")
    def accept(
        request: Request,
        token: str,
        password: Annotated[str, Form()],
        email: Annotated[str, Form()] = "",
        name: Annotated[str, Form()] = "",
    ) -> Response:
        try:
            user = access.accept(token, email, name, password)
        except UserError as error:
            if error.code == "link_invalid":
                raise
            return _welcome(request, token, email, name, error.message)
        return _with_session(pages.go("/"), access.open_session(user, _address(request)))

    @router.post("/theme")
    def theme(theme: Annotated[str, Form()], back: Annotated[str, Form()] = "/") -> Response:
        response = pages.go(own_address(back))
        if theme in THEMES:
            response.set_cookie(THEME_COOKIE, theme, max_age=YEAR_S, httponly=True, samesite="lax", secure=pages.secure)
        return response

    def _sign_in(request: Request, next: str, email: str = "", wrong: str | None = None, status: int = 200) -> Response:
        context = SignInPage(
            frame=pages.frame(request),
            title="Sign in",
            next=next,
            email=email,
            has_users=access.has_users(),
            issuer=pages.issuer.settings.title if pages.issuer else None,
            wrong=wrong,
        )
        return pages.render(context, status)

    def _welcome(request: Request, token: str, email: str = "", name: str = "", wrong: str | None = None) -> Response:
        link = access.invitation(token)
        is_first = link.user_id is None and link.email is None
        is_reset = link.user_id is not None
        title = "Set a new password" if is_reset else "Make the owner" if is_first else "Join the workspace"
        lead = "For " + link.email if is_reset and link.email else f"You will be {link.role} of this workspace."
        context = WelcomePage(
            frame=pages.frame(request),
            title=title,
            lead=lead,
            button="Set the password" if is_reset else "Go in",
            is_reset=is_reset,
            known_email=link.email,
            email=email,
            name=name,
            wrong=wrong,
        )
        return pages.render(context, 400 if wrong else 200)

    def _with_session(response: Response, token: str) -> Response:
        response.set_cookie(pages.cookie, token, httponly=True, samesite="lax", secure=pages.secure, path="/")
        return response

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else ""

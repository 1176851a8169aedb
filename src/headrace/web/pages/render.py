"""Turns a page's context into HTML. Templates escape by default, and a name that a context lacks is a fault.

Also reads from a request what stands around a page, and keeps what was said for the page that comes after a deed.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from headrace.app import App
from headrace.domain.errors import UserError
from headrace.service.verbs import current_actor
from headrace.web.oidc import Issuer
from headrace.web.pages import built, shown
from headrace.web.pages.frame import Context, Frame, Said, Section, Theme

TEMPLATES = Path(__file__).parents[1] / "templates"
THEME_COOKIE = "headrace_theme"
SAID_COOKIE = "headrace_said"
THEMES: tuple[Theme, ...] = ("system", "light", "dark")
LONGEST_SAID = 600
"""What is said travels in a cookie, which a browser cuts at 4 KB."""


def icon(name: str, size: int = 16) -> Markup:
    """An icon drawn inline; it says nothing that the words beside it do not."""
    shape = built.icons()[name]
    attributes = 'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"'
    svg = f'<svg width="{size}" height="{size}" viewBox="0 0 24 24" {attributes} aria-hidden="true">{shape}</svg>'
    return Markup(svg)  # noqa: S704 - the shape is of our own built file


def environment() -> Environment:
    """Templates with their filters."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (shown.number, shown.percent, shown.exact, shown.clock, shown.span, shown.every, shown.milliseconds)
    words = (shown.face, shown.plural, shown.body, shown.ago)
    made.filters |= {one.__name__: one for one in (*filters, *words)} | {"words": shown.title, "path": _path}
    made.globals |= {"icon": icon, "built": built.address}
    return made


def _path(text: object) -> str:
    """A name as one part of an address, slashes and all."""
    return quote(str(text), safe="")


class Pages:
    """What every route of pages is given."""

    def __init__(
        self, app: App, cookie: str, *, secure: bool = False, url: str | None = None, issuer: Issuer | None = None
    ) -> None:
        self.app = app
        self.cookie = cookie
        self.secure = secure
        self.url = url
        self.issuer = issuer
        self._environment = environment()

    def frame(self, request: Request, section: Section = "") -> Frame:
        """What stands around the page that this request asks for."""
        theme = request.cookies.get(THEME_COOKIE, "system")
        try:
            actor = current_actor()
        except UserError:
            actor = None
        return Frame(
            path=request.url.path,
            query=dict(request.query_params),
            now=self.app.clock.now(),
            section=section,
            theme=next((one for one in THEMES if one == theme), "system"),
            person=actor.name if actor else None,
            scopes=actor.scopes if actor else frozenset(),
            said=_said(request.cookies.get(SAID_COOKIE)),
            workspace=self.app.catalog.workspace_name(),
        )

    def render(self, context: Context, status: int = 200) -> Response:
        """The page. What was said is said once."""
        values: dict[str, Any] = {one.name: getattr(context, one.name) for one in fields(context)}
        response = HTMLResponse(self._environment.get_template(context.template).render(values), status)
        if context.frame.said is not None:
            response.delete_cookie(SAID_COOKIE)
        return response

    def go(self, address: str, text: str | None = None, tone: str = "green") -> Response:
        """To another page after a deed, with what it came to. The address is one of ours."""
        response = RedirectResponse(address, 303)
        if text is not None:
            told = base64.urlsafe_b64encode(json.dumps([tone, text[:LONGEST_SAID]]).encode()).decode()
            response.set_cookie(SAID_COOKIE, told, max_age=60, httponly=True, samesite="lax", secure=self.secure)
        return response


def _said(cookie: str | None) -> Said | None:
    """What the cookie holds; None for what we did not write."""
    if not cookie:
        return None
    try:
        tone, text = json.loads(base64.urlsafe_b64decode(cookie))
    except (ValueError, binascii.Error):
        return None
    known = isinstance(text, str) and tone in ("green", "amber", "red", "blue", "grey")
    return Said(tone, text) if known else None


def own_address(text: str | None, otherwise: str = "/") -> str:
    """An address of ours, as a form or a link names it; never one of another site."""
    if text and text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable():
        return text
    return otherwise

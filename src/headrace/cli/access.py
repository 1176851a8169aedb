"""Who may come in, by hand: users and their links, API keys, the audit log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.console import clean, is_terminal, say, say_json, say_table, shortened
from headrace.cli.listing import instant
from headrace.cli.serving import PORT
from headrace.cli.session import Json, opened
from headrace.domain.access import Role, Scope
from headrace.domain.errors import NotFound, UserError

if TYPE_CHECKING:
    from headrace.app import App
    from headrace.store.access import ApiKey, User

Email = Annotated[str, typer.Argument(metavar="EMAIL")]
AsRole = Annotated[Role, typer.Option(help="What the person may do.")]
LONGEST_VALUE = 200
USER_ERROR = 2


def register(app: typer.Typer) -> None:
    users = typer.Typer(help="People who may sign in: list them, invite, change.", invoke_without_command=True)
    users.callback()(list_users)
    for name, command in (
        ("invite", invite),
        ("withdraw", withdraw),
        ("link", new_password_link),
        ("role", set_role),
        ("disable", disable),
        ("enable", enable),
    ):
        users.command(name)(command)
    app.add_typer(users, name="users")
    keys = typer.Typer(help="API keys for programs: list them, make, revoke.", invoke_without_command=True)
    keys.callback()(list_keys)
    keys.command("create")(create_key)
    keys.command("revoke")(revoke_key)
    app.add_typer(keys, name="api-keys")
    audit = typer.Typer(help="Who changed what: the newest entries, or a proof of all.", invoke_without_command=True)
    audit.callback()(list_entries)
    audit.command("verify")(verify)
    app.add_typer(audit, name="audit")


# Users --------------------------------------------------------------------------------------------------------------


def list_users(ctx: typer.Context, json: Json = False) -> None:
    if ctx.invoked_subcommand is not None:
        return
    with opened() as app:
        found, invited = app.access.users(), app.access.invitations()
    if json:
        say_json([_user(one) for one in found])
        return
    if not found:
        say("There is no user. `headrace serve` prints a link for the first one.")
    else:
        rows = [[one.email, one.name, one.role, _state(one), instant(one.signed_in_at)] for one in found]
        say_table(("address", "name", "role", "state", "signed in"), rows)
    for one in invited:
        say(f"Invited as {one.role}, until {instant(one.expires_at)}: {one.email}")


def invite(email: Email, role: AsRole = Role.VIEWER, json: Json = False) -> None:
    """Make a one-time link with which somebody becomes a user. It works for 24 hours."""
    with opened() as app:
        token = app.access.invite(email, role)
        _say_link(app, token, f"{email} becomes {_a(role)} with this link, once, within 24 hours", as_json=json)


def withdraw(email: Email, json: Json = False) -> None:
    """Make the link of somebody who was invited worthless."""
    with opened() as app:
        app.access.withdraw_invitation(email)
    say_json({"email": email, "withdrawn": True}) if json else say(f"The link of {email} works no more.")


def new_password_link(email: Email, json: Json = False) -> None:
    """Make a one-time link with which a user sets a new password. It works for 24 hours."""
    with opened() as app:
        token = app.access.new_password_link(_of(app, email).id)
        _say_link(app, token, f"{email} sets a new password with this link, once, within 24 hours", as_json=json)


def set_role(
    email: Email, role: Annotated[Role, typer.Argument(help="viewer, editor or admin.")], json: Json = False
) -> None:
    """Give a user another role. Their browsers are signed out."""
    with opened() as app:
        user = app.access.set_role(_of(app, email).id, role)
    say_json(_user(user)) if json else say(f"{user.email} is {_a(user.role)} now.")


def disable(email: Email, json: Json = False) -> None:
    """Shut a user out: browsers are signed out, API keys do nothing. Nothing is deleted."""
    _set_disabled(email, True, json)


def enable(email: Email, json: Json = False) -> None:
    """Let a disabled user in again."""
    _set_disabled(email, False, json)


def _set_disabled(email: str, disabled: bool, as_json: bool) -> None:
    with opened() as app:
        user = app.access.set_disabled(_of(app, email).id, disabled)
    say_json(_user(user)) if as_json else say(f"{user.email} is {_state(user)} now.")


def _of(app: App, email: str) -> User:
    found = app.access.users()
    wanted = email.strip().casefold()
    for one in found:
        if one.email == wanted:
            return one
    raise NotFound("user", email, [one.email for one in found])


def _say_link(app: App, token: str, what: str, *, as_json: bool) -> None:
    from headrace.service.access import link_of

    link = link_of(app.settings.environment.get("HEADRACE_URL") or f"http://127.0.0.1:{PORT}", token)
    if as_json:
        say_json({"link": link})
    else:
        say(f"{what}:\n  {link}")


def _a(role: Role) -> str:
    return f"a{'' if role is Role.VIEWER else 'n'} {role}"


def _state(user: User) -> str:
    return "disabled" if user.disabled else "enabled"


def _user(user: User) -> dict[str, Any]:
    return {key: one for key, one in asdict(user).items() if key not in ("password", "subject")}


# API keys -----------------------------------------------------------------------------------------------------------


def list_keys(ctx: typer.Context, json: Json = False) -> None:
    if ctx.invoked_subcommand is not None:
        return
    with opened() as app:
        found, people = app.access.keys(), {one.id: one.email for one in app.access.users()}
        now = app.clock.now()
    if json:
        say_json([_key(one) for one in found])
    elif not found:
        say("There is no API key. `headrace api-keys create NAME --scope run` makes one.")
    else:
        rows = [
            [
                str(one.id),
                clean(one.name),
                one.prefix,
                ", ".join(sorted(one.scopes)),
                people.get(one.user_id or 0, "command line"),
                "revoked" if one.revoked_at else "expired" if one.expires_at and one.expires_at <= now else "alive",
                instant(one.expires_at),
                instant(one.used_at),
            ]
            for one in found
        ]
        say_table(("id", "name", "key", "scopes", "of", "state", "until", "used"), rows, right=("id",))


def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What uses it: airflow, the nightly job.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="read is always in; run, configure and admin on top. Repeat for several.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3660, help="After so many days it is dead.")] = None,
    json: Json = False,
) -> None:
    """Make an API key. It is shown this once; only a hash of it is kept."""
    with opened() as app:
        secret, key = app.access.make_key(name, scope or [], timedelta(days=days) if days else None)
    if json:
        say_json(_key(key) | {"secret": secret})
        return
    until = f", until {instant(key.expires_at)}" if key.expires_at else ""
    said = f'The API key "{clean(key.name)}" may {", ".join(sorted(key.scopes))}{until}. '
    say(said + "It is shown this once:" if is_terminal() else said)
    say(f"  {secret}" if is_terminal() else secret)


def revoke_key(key_id: Annotated[int, typer.Argument(metavar="ID", min=1)], json: Json = False) -> None:
    """Kill an API key. It works no more at once."""
    with opened() as app:
        key = app.access.revoke_key(key_id)
    say_json(_key(key)) if json else say(f'The API key "{clean(key.name)}" ({key.prefix}) is dead.')


def _key(key: ApiKey) -> dict[str, Any]:
    return asdict(key) | {"scopes": sorted(key.scopes)}


# The audit log ------------------------------------------------------------------------------------------------------


def list_entries(
    ctx: typer.Context,
    subject: Annotated[str | None, typer.Option(help="Of one thing: 'sync nightly', 'user 3'.")] = None,
    actor: Annotated[str | None, typer.Option(help="Of one person, key or command-line user.")] = None,
    verb: Annotated[str | None, typer.Option(help="Of one verb: catalog.apply, runs.cancel.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the page before ended.")] = None,
    changes: Annotated[bool, typer.Option("--changes", help="Each key that differs, before and after.")] = False,
    json: Json = False,
) -> None:
    if ctx.invoked_subcommand is not None:
        return
    from headrace.service.audit import differences

    with opened() as app:
        page = app.audit.entries(subject, limit, cursor, actor=actor, verb=verb)
    if json:
        say_json({"items": [asdict(one) for one in page.items], "cursor": page.cursor})
        return
    if not page.items:
        say("The log has no such entry.")
    elif changes:
        for one in page.items:
            say(f"{instant(one.at)}  {clean(one.actor)}  {one.verb}  {clean(one.subject)}")
            for that in differences(one.before or {}, one.after or {}):
                say(f"    {clean(that.path)}: {_value(that.before)} -> {_value(that.after)}")
    else:
        rows = [
            [str(one.id), instant(one.at), clean(one.actor), one.address or "", one.verb, clean(one.subject)]
            for one in page.items
        ]
        say_table(("id", "at", "who", "from", "verb", "what"), rows, right=("id",))
    if page.cursor:
        say(f"There are more: --cursor {page.cursor}")


def _value(value: Any) -> str:
    import json

    return "nothing" if value is None else shortened(clean(json.dumps(value, ensure_ascii=False)), LONGEST_VALUE)


def verify(json: Json = False) -> None:
    """Prove that no entry was altered, put in or taken out. Ends with 2 where one was."""
    with opened() as app:
        proof = app.audit.verify()
    if proof.broken_at is not None and not json:
        message = f"Entry {proof.broken_at} of the audit log is not as it was written, or is missing. "
        raise UserError(message + "Compare the log with a backup from before.", code="audit_broken")
    if json:
        say_json(asdict(proof))
    else:
        say(f"All {proof.entries:,} entries are as they were written. Their hash, to keep elsewhere: {proof.head}")
    if proof.broken_at is not None:
        raise typer.Exit(USER_ERROR)

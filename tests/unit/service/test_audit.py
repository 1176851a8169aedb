"""The audit log: exactly one entry for each thing that changes, beside the change, in a chain that shows a forgery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import delete, insert, update

from headrace.app import App, Settings
from headrace.domain.access import Actor, Role, Scope, whole
from headrace.domain.errors import HeadraceError, UserError
from headrace.domain.outcome import Change, Counts
from headrace.engine.job import RunOptions
from headrace.service.verbs import acting_as
from headrace.store.access import User
from headrace.store.access_tables import audit
from headrace.store.audit import AuditEntry
from headrace.store.changes import doing, note
from headrace.store.runs import Hold, NewRun, Run

from .world import PROJECT, all_verbs

SYNC = "accounts-to-vitally"
PASSWORD = "correct horse battery staple"
OTHER = "four quite random words"


class House:
    """A workspace with one sync over an empty table, and somebody who changes things in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
            warehouse.execute("CREATE TABLE accounts (id VARCHAR, name VARCHAR, plan VARCHAR)")
        (folder / "headrace.yaml").write_text(PROJECT)
        self.app = App.open(Settings(folder / "ws", None, 256, {"REST_TOKEN": "sk_live_1"}), create=True)
        self.app.catalog.apply(self.app.catalog.check(folder, offline=True))

    def entries(self) -> list[AuditEntry]:
        """Oldest first."""
        return list(reversed(self.app.audit.entries(limit=500).items))

    def left_by(self, ask: Callable[[], Any]) -> list[AuditEntry]:
        """The entries that somebody's asking left."""
        before = len(self.entries())
        ask()
        return self.entries()[before:]

    def apply(self, old: str, new: str) -> None:
        (self.folder / "headrace.yaml").write_text(PROJECT.replace(old, new))
        self.app.catalog.apply(self.app.catalog.check(self.folder, offline=True))

    def with_sequence(self, ask: Callable[[], Any]) -> Callable[[], Any]:
        sequence = f"sequences:\n  nightly: {{syncs: [{SYNC}]}}\n"
        (self.folder / "headrace.yaml").write_text(PROJECT + sequence)
        self.app.catalog.apply(self.app.catalog.check(self.folder, offline=True))
        return ask

    def with_sequence_run(self) -> Callable[[], Any]:
        self.with_sequence(lambda: None)
        run = self.app.sequences.trigger("nightly")
        return lambda: self.app.sequences.cancel(run.id)

    # What samples need to be there ----------------------------------------------------------------------------------

    def user(self, email: str = "member@example.com") -> User:
        token = self.app.access.invite(email, Role.EDITOR)
        return self.app.access.accept(token, "", "Max", PASSWORD)

    def as_person(self, ask: Callable[[User], Any]) -> Callable[[], Any]:
        user = self.user()
        self.app.access.open_session(user, "192.0.2.1")

        def asking() -> Any:
            with acting_as(Actor(user.email, frozenset(Scope), user.id)):
                return ask(user)

        return asking

    def add_row(self) -> None:
        """A row without the name that an account needs: it is tried, and nothing is sent."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as warehouse:
            warehouse.execute("INSERT INTO accounts VALUES ('1', NULL, NULL)")

    def queued(self) -> Run:
        return self.app.runs.trigger(SYNC)

    def held(self) -> Run:
        run = self.app.workspace.runs.create(NewRun(SYNC, SYNC))
        expires = datetime.now(UTC) + timedelta(hours=1)
        return self.app.workspace.runs.hold(run.id, Counts(), Hold(1, "one removal", "1", expires))


def in_vain(ask: Callable[[], Any]) -> None:
    with pytest.raises(HeadraceError):
        ask()


Sample = Callable[[House], Callable[[], Any]]
SAMPLES: dict[str, Sample] = {
    "access.invite": lambda house: lambda: house.app.access.invite("new@example.com", Role.VIEWER),
    "access.withdraw_invitation": lambda house: (
        house.app.access.invite("new@example.com", Role.VIEWER)
        and (lambda: house.app.access.withdraw_invitation("new@example.com"))
    ),
    "access.new_password_link": lambda house: _of_user(house, lambda u: house.app.access.new_password_link(u.id)),
    "access.set_role": lambda house: _of_user(house, lambda u: house.app.access.set_role(u.id, Role.VIEWER)),
    "access.set_disabled": lambda house: _of_user(house, lambda u: house.app.access.set_disabled(u.id, True)),
    "access.change_password": lambda house: house.as_person(
        lambda _: house.app.access.change_password(PASSWORD, OTHER)
    ),
    "access.end_session": lambda house: house.as_person(lambda _: house.app.access.end_session()),
    "access.make_key": lambda house: lambda: house.app.access.make_key("airflow", [Scope.RUN]),
    "access.revoke_key": lambda house: _of_key(house),
    "catalog.apply": lambda house: lambda: house.apply("{every: 15m}", "{every: 20m}"),
    "catalog.delete": lambda house: lambda: house.app.catalog.delete("sync", SYNC),
    "objects.put": lambda house: (
        lambda: house.app.objects.put(
            "model", "users", {"source": "warehouse", "primary_key": "id", "table": "users"}, offline=True
        )
    ),
    "objects.rename": lambda house: (
        house.apply("model: accounts", "id: nightly\n    model: accounts")
        or (lambda: house.app.objects.rename("sync", SYNC, "nightly"))
    ),
    "operations.set_retention": lambda house: lambda: house.app.operations.set_retention({"calls_days": 7}),
    "operations.sweep": lambda house: lambda: house.app.operations.sweep(),
    "schedule.pause": lambda house: lambda: house.app.schedules.pause("sync", SYNC),
    "schedule.resume": lambda house: (
        house.app.schedules.pause("sync", SYNC) and (lambda: house.app.schedules.resume("sync", SYNC))
    ),
    "sequences.trigger": lambda house: house.with_sequence(lambda: house.app.sequences.trigger("nightly")),
    "sequences.cancel": lambda house: house.with_sequence_run(),
    "runs.run": lambda house: (
        lambda: asyncio.run(house.app.runs.run(SYNC, RunOptions(), lambda _: None, lambda _: None))
    ),
    "runs.trigger": lambda house: lambda: house.app.runs.trigger(SYNC),
    "runs.retry": lambda house: _of_run(house, lambda run: house.app.runs.retry(run.id)),
    "runs.cancel": lambda house: _of_queued(house, lambda run: house.app.runs.cancel(run.id)),
    "runs.approve": lambda house: _of_held(house, lambda run: house.app.runs.approve(run.id)),
    "runs.discard": lambda house: _of_held(house, lambda run: house.app.runs.discard(run.id)),
    "trials.test_row": lambda house: (
        house.add_row() or (lambda: house.app.trials.test_row(SYNC, "1", Change.ADDED, {"plan": "free"}))
    ),
    "vault.set": lambda house: lambda: house.app.vault.set("crm.token", "sk_live_secret"),
    "vault.delete": lambda house: (
        house.app.vault.set("crm.token", "x") or (lambda: house.app.vault.delete("crm.token"))
    ),
    "vault.rotate": lambda house: house.app.vault.set("crm.token", "x") or (lambda: house.app.vault.rotate()),
}
"""For each verb that changes something: what makes ready for it, and the call. Who adds a verb adds its call."""


def _of_user(house: House, ask: Callable[[User], Any]) -> Callable[[], Any]:
    user = house.user()
    return lambda: ask(user)


def _of_key(house: House) -> Callable[[], Any]:
    _, key = house.app.access.make_key("airflow", [])
    return lambda: house.app.access.revoke_key(key.id)


def _of_queued(house: House, ask: Callable[[Run], Any]) -> Callable[[], Any]:
    run = house.queued()
    return lambda: ask(run)


def _of_run(house: House, ask: Callable[[Run], Any]) -> Callable[[], Any]:
    report = asyncio.run(house.app.runs.run(SYNC, RunOptions(), lambda _: None, lambda _: None))
    run = house.app.history.run(report.run_id)
    return lambda: ask(run)


def _of_held(house: House, ask: Callable[[Run], Any]) -> Callable[[], Any]:
    run = house.held()
    return lambda: ask(run)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.app.close()


def test_there_is_a_call_for_every_verb_that_changes_something() -> None:
    """A verb whose entries nobody counts. Add a call of it to SAMPLES."""
    here = {name for name, one in all_verbs().items() if one.changes and not name.startswith("test_")}

    assert set() == here ^ set(SAMPLES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_change_leaves_exactly_one_entry(name: str, house: House) -> None:
    """T20: none is missed, and none is told twice. What a verb asks of another may stand under that one's name."""
    ask = SAMPLES[name](house)

    left = house.left_by(ask)

    changed = 2 if name == "sequences.trigger" else 1  # the sequence, and the run of its first sync
    assert changed == len(left), left
    assert left[0].verb in (name, "runs.trigger", "runs.cancel")
    assert left[0].subject
    assert "test" in left[0].actor or "@" in left[0].actor
    assert house.app.audit.verify().broken_at is None


def test_apply_leaves_an_entry_for_each_object_with_before_and_after(house: House) -> None:
    """Which key changed, from what to what."""
    changed = house.left_by(lambda: house.apply("plan: {column: plan}", "plan: {static: free}"))
    unchanged = house.left_by(lambda: house.apply("plan: {column: plan}", "plan: {static: free}"))

    assert [f"sync {SYNC}"] == [one.subject for one in changed]
    plans = [one["fields"]["traits"]["object"]["plan"] for one in (changed[0].before, changed[0].after)]
    assert ["plan", "free"] == [plans[0]["column"], plans[1]["static"]]
    assert [] == unchanged


def test_the_first_apply_names_everything_that_it_made(house: House) -> None:
    made = {one.subject: one.before for one in house.entries()}

    assert {"source warehouse", "model accounts", "destination vitally", f"sync {SYNC}"} == set(made)
    assert {None} == set(made.values())


def test_a_secret_never_stands_in_the_log(house: House) -> None:
    """The log is read by more people than the vault."""
    house.app.vault.set("crm.token", "sk_live_secret")
    user = house.user()
    token, _ = house.app.access.make_key("airflow", [])
    link = house.app.access.new_password_link(user.id)

    told = repr(house.entries())
    for secret in ("sk_live_secret", PASSWORD, "argon2", token, token[7:-4], link):
        assert secret not in told


def test_what_fails_leaves_no_entry(house: House) -> None:
    """An entry tells what is so, not what somebody wanted."""
    nothing = house.left_by(lambda: in_vain(lambda: house.app.catalog.delete("source", "warehouse")))
    nothing += house.left_by(lambda: in_vain(lambda: house.app.catalog.delete("sync", "nobody")))
    nothing += house.left_by(lambda: in_vain(lambda: house.app.access.invite("nobody", Role.ADMIN)))

    assert [] == nothing


def test_the_entry_is_in_the_transaction_of_the_change(house: House) -> None:
    """A crash between the two would leave a change that nobody made."""
    database = house.app.workspace.database
    with (  # noqa: PT012 - the end of the inner context is what fails
        pytest.raises(RuntimeError, match="the disk is gone"),
        doing("catalog.delete", "somebody", None),
        database.write() as connection,
    ):
        note("sync nightly")
        connection.execute(delete(audit).where(audit.c.id == 1))
        raise RuntimeError("the disk is gone")

    assert house.app.audit.verify().broken_at is None
    assert "sync nightly" not in [one.subject for one in house.entries()]


def test_what_the_program_does_by_itself_leaves_no_entry(house: House) -> None:
    """A sync each minute would bury what people did; the runs say who asked for them."""
    with acting_as(whole("scheduler")):
        run = house.app.runs.trigger(SYNC, reason="schedule")

    assert "scheduler" == run.requested_by
    assert [] == [one for one in house.entries() if one.verb == "runs.trigger"]


def test_an_entry_says_who_and_from_where(house: House) -> None:
    user = house.user()
    with acting_as(Actor(user.email, user.role.scopes, user.id, "192.0.2.7")):
        house.app.runs.trigger(SYNC)

    last = house.entries()[-1]
    assert (user.email, "192.0.2.7", "runs.trigger") == (last.actor, last.address, last.verb)


@pytest.mark.parametrize("forgery", ["altered", "taken out", "cut off", "put in", "emptied"])
def test_a_forgery_of_the_log_is_found(forgery: str, house: House) -> None:
    """Whoever can write the tables must not be able to change one row in silence."""
    count = len(house.entries())
    assert 4 == count
    with house.app.workspace.database.write() as connection:
        match forgery:
            case "altered":
                connection.execute(update(audit).where(audit.c.id == 2), {"actor": "somebody else"})
            case "taken out":
                connection.execute(delete(audit).where(audit.c.id == 2))
            case "cut off":
                connection.execute(delete(audit).where(audit.c.id == count))
            case "put in":
                row = {"id": 99, "at": datetime.now(UTC), "actor": "x", "verb": "x", "subject": "x", "chain": "x"}
                connection.execute(insert(audit), row)
            case "emptied":
                connection.execute(delete(audit))

    broken = {"altered": 2, "taken out": 2, "cut off": count, "put in": count + 1, "emptied": 1}
    assert broken[forgery] == house.app.audit.verify().broken_at


def test_entries_are_found_by_thing_actor_and_verb_page_by_page(house: House) -> None:
    for number in range(5):
        house.app.vault.set(f"crm.token{number}", "x")

    first = house.app.audit.entries(verb="vault.set", limit=3)
    second = house.app.audit.entries(verb="vault.set", limit=3, cursor=first.cursor)

    assert ["secret crm.token4", "secret crm.token3", "secret crm.token2"] == [one.subject for one in first.items]
    assert (["secret crm.token1", "secret crm.token0"], None) == ([one.subject for one in second.items], second.cursor)
    assert 1 == len(house.app.audit.entries(subject="secret crm.token3").items)
    assert () == house.app.audit.entries(actor="nobody").items
    with pytest.raises(UserError):
        house.app.audit.entries(cursor="x")

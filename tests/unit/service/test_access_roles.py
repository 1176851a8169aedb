"""Roles and verbs: who may ask for what, for every verb that there is."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import Any

import pytest

from headrace.domain.access import Actor, Role, Scope
from headrace.domain.errors import UserError
from headrace.service.verbs import acting_as, verb

from .world import all_verbs

VERBS = all_verbs()

CHANGE_NOTHING = {
    "schedule.fire_due",
    "sequences.advance",
    "access.invitations",
    "access.users",
    "audit.entries",
    "audit.verify",
    "catalog.check",
    "catalog.check_documents",
    "catalog.check_text",
    "objects.check",
    "trials.preview_unsaved",
    "trials.test_destination",
    "trials.test_source",
}
"""Verbs that need more than reading, and leave everything as it was."""


def method_of(name: str) -> tuple[Any, Any]:
    """A bare service and its method of that verb: a refusal comes before anything of the service is touched."""
    module_name, _, method_name = name.partition(".")
    module = importlib.import_module(f"headrace.service.{module_name}")
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ == module.__name__ and hasattr(vars(kind).get(method_name), "__wrapped__"):
            return object.__new__(kind), getattr(kind, method_name)
    raise AssertionError(f"{name} is no method of a service in {module.__name__}")


def refusal(name: str) -> str | None:
    """The code with which the verb refuses who acts now; None where it begins its work."""
    service, method = method_of(name)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    missing = {one.name: None for one in parameters if one.default is inspect.Parameter.empty}
    positional = [
        missing.pop(one.name) for one in parameters if one.name in missing and one.kind is not one.KEYWORD_ONLY
    ]
    try:
        answer = method(service, *positional, **missing)
        if inspect.iscoroutine(answer):
            asyncio.run(answer)
    except UserError as error:
        of_verb = error.code == "signed_out" or error.facts.get("verb") == name
        return error.code if of_verb else None
    except Exception:
        return None  # it began, and a bare service has nothing to work with
    return None


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("name", sorted(VERBS))
def test_a_role_may_ask_for_exactly_what_its_scopes_cover(name: str, role: Role) -> None:
    """T14: the check is where the work is done, so that no face can forget it."""
    with acting_as(Actor("someone@example.com", role.scopes)):
        refused = refusal(name)

    assert ("forbidden" if VERBS[name].needs not in role.scopes else None) == refused


@pytest.mark.parametrize("scope", list(Scope))
@pytest.mark.parametrize("name", sorted(VERBS))
def test_a_key_with_one_scope_may_do_what_needs_that_scope(name: str, scope: Scope) -> None:
    """A scope is no ladder: a key that may run may not configure."""
    with acting_as(Actor("key:hr_1234", frozenset({scope}))):
        refused = refusal(name)

    assert ("forbidden" if VERBS[name].needs is not scope else None) == refused


@pytest.mark.parametrize("name", sorted(VERBS))
def test_nobody_may_ask_for_anything(name: str) -> None:
    """A face that forgets to say who asks must be shut, not open."""
    with acting_as(None):
        assert "signed_out" == refusal(name)


def test_every_verb_that_needs_more_than_reading_leaves_an_entry() -> None:
    """T20: a change that nobody can trace. Who adds a verb says what it changes, or names it here."""
    silent = {name for name, one in VERBS.items() if one.needs is not Scope.READ and not one.changes}

    assert CHANGE_NOTHING == silent


def test_a_refusal_names_scope_and_verb() -> None:
    """Whoever is refused must know what to ask an admin for."""

    class Service:
        @verb(Scope.ADMIN)
        def shut_down(self) -> None: ...

    from headrace.service.verbs import VERBS as known

    known.pop("test_access_roles.shut_down")
    with acting_as(Actor("v@example.com", Role.VIEWER.scopes)), pytest.raises(UserError) as caught:
        Service().shut_down()

    assert "needs the scope admin, and v@example.com has read" in caught.value.message

"""From a JSON body to the changes it asks for, or to a 400 that names the field.

Required fields first, then each field's type, then the records it refers to. Read-only fields are ignored; fields that
stand in no table are refused, because a client that sends them is mistaken.
"""

from typing import Any

import orjson

from headrace.emulator.answers import Refused
from headrace.emulator.journal import Call
from headrace.emulator.kinds import KINDS, Field, Kind
from headrace.emulator.shelf import Record
from headrace.emulator.state import State


def read_json(call: Call) -> Any:
    """The parsed body. Raises Refused (400) for another content type or for what is no JSON.  vitally.md 4, 10.2"""
    media_type = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(400, "Content-Type must be application/json")
    try:
        return orjson.loads(call.body)
    except orjson.JSONDecodeError as wrong:
        raise Refused(400, f"Malformed JSON: {wrong}") from wrong


def read_creation(state: State, kind: Kind, body: Any) -> Record:
    """The fields of a record to be made. Raises Refused (400)."""
    changes = _checked(state, kind, body, kind.on_create, kind.required_on_create)
    if "customerId" in changes and kind.name == "projects":
        changes["accountId"] = changes.pop("customerId")
    _check_parents(kind, changes)
    return changes


def read_update(state: State, kind: Kind, body: Any) -> Record:
    """The fields a PUT changes; a missing field stays as it is. Raises Refused (400)."""
    fields = kind.on_update
    if kind.name == "accounts" and not state.settings.account_name_editable:
        # Two copies of Vitally's documents disagree on whether PUT renames an account.  vitally.md 5.2
        fields = {name: field for name, field in fields.items() if name != "name"}
    return _checked(state, kind, body, fields, kind.required_on_update, is_update=True)


def check_field(field: Field, value: Any) -> Any:
    """The value as it is stored. Raises Refused (400)."""
    if value is None and field.is_nullable:
        return None
    if "N" in field.rules:
        raise Refused(400, f"{field.name} may only be set to null")
    if not field.type.accepts(value):
        raise Refused(400, f"{field.name} must be {field.type.phrase}")
    return field.type.tidy(value) if field.type.tidy else value


def _checked(
    state: State,
    kind: Kind,
    body: Any,
    fields: dict[str, Field],
    required: tuple[str, ...],
    *,
    is_update: bool = False,
) -> Record:
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object")
    for name in required:
        if body.get(name) is None or body[name] == "":
            raise Refused(400, f"{name} is required")
    changes: Record = {}
    for name, value in body.items():
        field = fields.get(name)
        if field is None:
            if name not in kind.fields and state.settings.unknown_fields == "reject":
                raise Refused(400, f"{name} is not a field of {kind.singular}")
            continue
        stored = check_field(field, value)
        if field.refers_to and stored is not None:
            stored = _resolve(state, kind, field, stored, is_update)
        changes[name] = _declared(state, kind, stored) if name == "traits" and kind.has_declared_traits else stored
    return changes


def _resolve(state: State, kind: Kind, field: Field, value: Any, is_update: bool) -> Any:
    """The Vitally ids of the records named. Raises Refused (400) for one that does not exist."""
    accepts = state.settings.parents_accept_external_id
    by_external = (kind.name == "users" and accepts.users) or (
        kind.name == "accounts" and is_update and accepts.accounts
    )
    target = str(field.refers_to)
    shelf = state.shelves[target]
    ids: list[str] = []
    for key in value if field.is_many else [value]:
        found = shelf.find(key) if by_external else shelf.records.get(key)
        if found is None:
            raise Refused(400, f"{field.name}: there is no {KINDS[target].singular} with the id {key!r}")
        if found["id"] not in ids:
            ids.append(found["id"])
    return ids if field.is_many else ids[0]


def _check_parents(kind: Kind, changes: Record) -> None:
    given = [name for name in kind.parents if changes.get(name)]
    if kind.parents and not given:
        # The text is as Hightouch shows it for users; not seen from Vitally itself.  vitally.md 4.3
        raise Refused(400, f"Must specify at least one of: {' or '.join(kind.parents)}")
    if kind.has_one_parent and len(given) > 1:
        raise Refused(400, f"Must specify only one of: {' or '.join(kind.parents)}")


def _declared(state: State, kind: Kind, traits: Record) -> Record:
    """Only what the switch lets through: here a key must be the path of a custom trait.  vitally.md 4.2, DOC"""
    if state.settings.unknown_custom_traits == "accept":
        return traits
    model = "customObjects" if kind.name == "instances" else kind.name
    paths = {each["path"] for each in state.shelves["customFields"].records.values() if each["model"] == model}
    unknown = [key for key in traits if key not in paths]
    if unknown and state.settings.unknown_custom_traits == "reject":
        raise Refused(400, f"traits: {unknown[0]} is not a custom trait of {kind.name}")
    return {key: value for key, value in traits.items() if key in paths}

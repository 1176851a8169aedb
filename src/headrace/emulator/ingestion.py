"""What an accepted Analytics message does to the state.  vitally.md 7 and 10.3

All ids in messages are the client's own (externalIds). Nothing is ever refused here: it is too late for an answer.
"""

import uuid
from typing import Any

from headrace.emulator.clock import vitally_time
from headrace.emulator.kinds import KINDS
from headrace.emulator.shelf import Record
from headrace.emulator.state import State
from headrace.emulator.values import parse_instant

# The traits that also are fields of the record, and the fields' names.  vitally.md 7, DOC
_RESERVED: dict[str, dict[str, str]] = {
    "organizations": {"name": "name"},
    "accounts": {"name": "name"},
    "users": {"name": "name", "email": "email", "avatar": "avatar", "createdAt": "joinDate"},
}


def apply_message(state: State, message_type: str, message: Record) -> None:
    """Let a checked message take effect."""
    match message_type:
        case "organization":
            _upsert(state, "organizations", message["organizationId"], message)
        case "account":
            _apply_account(state, message)
        case "user":
            _apply_user(state, message)
        case "track":
            _apply_track(state, message)
        case "unlink":
            _apply_unlink(state, message)
        case "customobjectinstance":
            _apply_instance(state, message)


def _apply_account(state: State, message: Record) -> None:
    organization = _parent(state, "organizations", message.get("organizationId"))
    links = {} if organization is None else {"organizationId": organization["id"]}
    _upsert(state, "accounts", message["accountId"], message, links)


def _apply_user(state: State, message: Record) -> None:
    """The links are added; others stay. An unknown account is made.  vitally.md 7, DOC2"""
    present = state.shelves["users"].by_external_id(str(message["userId"]))
    links: Record = {}
    for field, kind in (("accountId", "accounts"), ("organizationId", "organizations")):
        parent = _parent(state, kind, message.get(field))
        if parent is not None:
            held = present[field + "s"] if present else []
            # The latest association stands last: track needs to know it.
            links[field + "s"] = [*(each for each in held if each != parent["id"]), parent["id"]]
    if present is not None or links:
        _upsert(state, "users", message["userId"], message, links)


def _apply_track(state: State, message: Record) -> None:
    """Store the event; with a user alone it belongs to the account they were last associated with.  vitally.md 7.4"""
    user = _known(state, "users", message.get("userId"))
    account = _known(state, "accounts", message.get("accountId"))
    if user is not None and account is None and "accountId" not in message and user["accountIds"]:
        account = state.shelves["accounts"].records.get(user["accountIds"][-1])
    at = _time(state, message)
    event = {name: message.get(name) for name in ("event", "properties", "userId", "accountId", "organizationId")}
    attached = None if account is None else account["externalId"]
    stored = {"id": str(uuid.uuid4()), "timestamp": at, "messageId": message.get("messageId"), **event}
    state.events.append(stored | {"attachedAccountId": attached})
    for kind, record, first in (("users", user, "firstKnown"), ("accounts", account, "firstSeenTimestamp")):
        if record is not None:
            record[first] = record[first] or at
            record["lastSeenTimestamp"] = max(record["lastSeenTimestamp"] or at, at)
            state.touch(KINDS[kind], record)


def _apply_unlink(state: State, message: Record) -> None:
    user, account = _known(state, "users", message["userId"]), _known(state, "accounts", message["accountId"])
    if user is not None and account is not None and account["id"] in user["accountIds"]:
        kept = [each for each in user["accountIds"] if each != account["id"]]
        state.change(KINDS["users"], user, {"accountIds": kept})


def _apply_instance(state: State, message: Record) -> None:
    """Upsert by externalId within the custom object.  vitally.md 7.7, DOC"""
    kind, object_id = KINDS["instances"], message["customObjectId"]
    changes: Record = {"traits": _traits(state, message)}
    for field, name, parents in (
        ("accountId", "customerId", "accounts"),
        ("organizationId", "organizationId", "organizations"),
    ):
        parent = _parent(state, parents, message.get(field))
        if parent is not None:
            changes[name] = parent["id"]
    if "name" in message:
        changes["name"] = message["name"]
    external_id = str(message["externalId"])
    present = state.shelves["instances"].by_external_id(external_id, object_id)
    if present is not None:
        state.change(kind, present, changes)
    elif object_id in state.shelves["customObjects"].records:
        new = {"externalId": external_id, "name": external_id, **changes}
        state.create(kind, new, customObjectId=object_id)


def _upsert(state: State, kind_name: str, external_id: Any, message: Record, links: Record | None = None) -> None:
    kind = KINDS[kind_name]
    record = state.shelves[kind_name].by_external_id(str(external_id))
    if record is not None and state.is_stale(record, _time(state, message)):
        return
    traits = _traits(state, message)
    changes = {"traits": traits, **(links or {})}
    for trait, field in _RESERVED[kind_name].items():
        value = message.get("traits", {}).get(trait)
        if trait in traits and (value is None or kind.fields[field].type.accepts(value)):
            tidy = kind.fields[field].type.tidy
            if value is not None or kind.fields[field].is_nullable:
                changes[field] = tidy(value) if tidy and value is not None else value
            if state.settings.analytics_reserved_traits == "move":
                del traits[trait]
    if record is None:
        named = {"name": str(external_id)} if kind_name != "users" else {}
        record = state.create(kind, {"externalId": str(external_id), **named, **changes})
    else:
        state.change(kind, record, changes)
    state.stamp(record, _time(state, message))


def _parent(state: State, kind: str, external_id: Any) -> Record | None:
    """The parent named; made, with its id for a name, if unknown and the switch allows."""
    if external_id is None or external_id == "":
        return None
    found = _known(state, kind, external_id)
    if found is None and state.settings.analytics_creates_parents:
        found = state.create(KINDS[kind], {"externalId": str(external_id), "name": str(external_id)})
    return found


def _known(state: State, kind: str, external_id: Any) -> Record | None:
    return None if external_id is None else state.shelves[kind].by_external_id(str(external_id))


def _traits(state: State, message: Record) -> Record:
    """A null removes, by analogy with REST, unless the switch says it is passed over.  vitally.md 7, INF"""
    traits = message.get("traits", {})
    if state.settings.analytics_null_traits == "ignore":
        return {key: value for key, value in traits.items() if value is not None}
    return dict(traits)


def _time(state: State, message: Record) -> str:
    instant = parse_instant(message["timestamp"]) if "timestamp" in message else None
    return state.now() if instant is None else vitally_time(instant)

"""Records put in from outside, as if the workspace had held them for years: any field may be set, also read-only ones.

Parents may be named by id or externalId. Types are checked: a seed is written by hand, and hands slip.
"""

from collections.abc import Iterable
from typing import Any

from headrace.emulator.answers import Refused, not_found
from headrace.emulator.bodies import check_field
from headrace.emulator.kinds import KINDS, Field, Kind
from headrace.emulator.shelf import Record
from headrace.emulator.state import State


def sow(state: State, kind_name: str, records: Iterable[Record]) -> list[Record]:
    """Create the records and answer them as Vitally would; if one is refused, none is kept.

    Raises Refused: 404 for a kind that does not exist, 400 for a bad record, 409 for an id or externalId that is taken.
    """
    kind = KINDS.get(kind_name)
    if kind is None:
        raise not_found(f"{kind_name!r} is none of: {', '.join(KINDS)}")
    made: list[Record] = []
    try:
        for record in records:
            made.append(_create(state, kind, record))
    except Refused as refusal:
        for record in reversed(made):
            state.remove(kind, record)
        raise Refused(refusal.status, f"{kind_name}[{len(made)}]: {refusal.message}") from refusal
    return [state.render(kind, record) for record in made]


def _create(state: State, kind: Kind, seed: Any) -> Record:
    if not isinstance(seed, dict):
        raise Refused(400, "a record must be a JSON object")
    for name in kind.required_on_create:
        if seed.get(name) is None and name != "messages":
            raise Refused(400, f"{name} is required")
    if kind.name == "instances" and seed.get("customObjectId") is None:
        raise Refused(400, "customObjectId is required")
    fixed: Record = {}
    for name, value in seed.items():
        field = kind.fields.get(name)
        if field is None or "hidden" in field.rules or field.embeds or field.counts:
            raise Refused(400, f"{name} cannot be set on {kind.singular}")
        fixed[name] = _stored(state, field, value)
    shelf = state.shelves[kind.name]
    external_id = fixed.get("externalId")
    taken = external_id is not None and shelf.by_external_id(external_id, fixed.get("customObjectId")) is not None
    if taken or fixed.get("id") in shelf.records:
        raise Refused(409, f"there is a {kind.singular} {external_id or fixed.get('id')!r} already")
    traits = fixed.pop("traits", None)
    record = state.create(kind, {} if traits is None else {"traits": traits}, **fixed)
    # Creation stamps both times; a seed may have been made and changed long ago.
    record["updatedAt"] = fixed.get("updatedAt") or fixed.get("createdAt") or record["updatedAt"]
    return record


def _stored(state: State, field: Field, value: Any) -> Any:
    if value is None:
        return field.empty()
    if "N" in field.rules:
        return value
    stored = check_field(field, value)
    if field.refers_to is None:
        return stored
    ids = [_id(state, field, key) for key in (stored if field.is_many else [stored])]
    return ids if field.is_many else ids[0]


def _id(state: State, field: Field, key: str) -> str:
    found = state.shelves[str(field.refers_to)].find(key)
    if found is None:
        raise Refused(400, f"{field.name}: there is no {KINDS[str(field.refers_to)].singular} {key!r}")
    return str(found["id"])

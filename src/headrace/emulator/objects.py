"""The parts of REST objects that no table can tell: messages of a conversation, searches, custom fields, NPS marks."""

from collections.abc import Iterable
from typing import Any

from headrace.emulator.answers import Answer, Refused, answer_json, not_found
from headrace.emulator.bodies import read_creation
from headrace.emulator.kinds import KINDS, Kind
from headrace.emulator.shelf import Record
from headrace.emulator.state import State

# vitally.md 6.7
_MODELS = (
    "users", "accounts", "organizations", "customObjects", "tasks", "notes", "projects", "conversations", "team",
)  # fmt: skip


def read_messages(state: State, messages: Iterable[Any]) -> list[Record]:
    """The checked messages of a conversation's body. Raises Refused (400) naming the message's place."""
    checked = []
    for place, body in enumerate(messages):
        try:
            message = read_creation(state, KINDS["messages"], body)
            _check_party(message["from"], "from")
            for each in message["to"]:
                _check_party(each, "to")
        except Refused as refusal:
            raise Refused(refusal.status, f"messages[{place}]: {refusal.message}") from refusal
        checked.append(message)
    return checked


def add_message(state: State, conversation: Record, body: Any) -> Record:
    """One more message. Raises Refused (400)."""
    (message,) = read_messages(state, [body])
    return _store_message(state, conversation, message)


def follow_up(state: State, kind: Kind, record: Record, messages: list[Record]) -> None:
    """What a written record changes elsewhere: its messages, or the user's latest NPS answer."""
    for message in messages:
        _store_message(state, record, message)
    if kind.name == "npsResponses":
        user = state.shelves["users"].records[record["userId"]]
        user["npsLastScore"], user["npsLastFeedback"] = record["score"], record["feedback"]
        user["npsLastRespondedAt"] = record["respondedAt"]


def with_messages(state: State, kind: Kind, answer: Record) -> Record:
    """A single conversation carries its messages; in lists it does not.  vitally.md 6.4, CODE"""
    if kind.name != "conversations":
        return answer
    return answer | {"messages": list(state.children(answer["id"], "messages"))}


def search_admins(state: State, query: dict[str, str]) -> Answer:
    """By email.  vitally.md 6.8; object or results is unknown."""
    email = (query.get("email") or "").lower()
    if not email:
        raise Refused(400, "email is required")
    found = [each for each in state.records("admins") if each["email"].lower() == email]
    return _answer_search(found, state.settings.admin_search_shape)


def search_instances(state: State, object_id: str, query: dict[str, str]) -> Answer:
    """By exactly one criterion; a `limit` beside it was seen to fail.  vitally.md 6.6, DOC2 and OBS"""
    pair = {name for name in ("customFieldId", "customFieldValue") if query.get(name)}
    single = [name for name in ("id", "externalId", "customerId", "organizationId") if query.get(name)]
    if len(single) + bool(pair) != 1 or len(pair) == 1 or "limit" in query:
        raise Refused(
            400,
            "Must specify exactly one of: id, externalId, customerId, organizationId"
            " or the pair customFieldId and customFieldValue",
        )
    field = state.shelves["customFields"].records.get(query.get("customFieldId", ""))
    path = field["path"] if field else None
    found = [
        state.render(KINDS["instances"], record)
        for record in state.children(object_id, "instances")
        if (record[single[0]] == query[single[0]] if single else _has_trait(record, path, query["customFieldValue"]))
    ]
    return _answer_search(found, state.settings.instance_search_shape)


def list_custom_fields(state: State, query: dict[str, str]) -> Answer:
    """A bare array sorted by label.  vitally.md 6.7, DOC"""
    model, object_id = query.get("model"), query.get("customObjectId")
    if model is not None and model not in _MODELS:
        raise Refused(400, f"model must be one of: {', '.join(_MODELS)}")
    if model == "customObjects" and not object_id:
        raise Refused(400, "customObjectId is required when model is customObjects")
    hidden = ("model", "customObjectId", "updatedAt")
    found = [
        {name: value for name, value in each.items() if name not in hidden}
        for each in state.records("customFields")
        if model is None
        or (each["model"] == model and (model != "customObjects" or each["customObjectId"] == object_id))
    ]
    return answer_json(200, sorted(found, key=lambda each: each["label"]))


def read_health(account: Record) -> Answer:
    """The breakdown of an account's health; its shape is not documented, only that it exists.  vitally.md 5.2"""
    return answer_json(200, {"healthScore": account["healthScore"], "healthScores": []})


def _store_message(state: State, conversation: Record, message: Record) -> Record:
    """A message whose externalId the conversation already has replaces it; PUT's meaning is not documented."""
    kind = KINDS["messages"]
    external_id = message.get("externalId")
    present = None if external_id is None else state.shelves["messages"].by_external_id(external_id)
    if present is not None and present["conversationId"] == conversation["id"]:
        state.change(kind, present, message)
        return present
    direction = "outbound" if message["from"]["type"] == "admin" else "inbound"
    return state.create(kind, message, conversationId=conversation["id"], type=direction)


def _check_party(party: Any, name: str) -> None:
    if (
        not isinstance(party, dict)
        or party.get("type") not in ("admin", "user")
        or not isinstance(party.get("id"), str)
    ):
        raise Refused(400, f"{name} must have the type admin or user, and an id")


def _has_trait(record: Record, path: str | None, value: str) -> bool:
    return path is not None and path in record["traits"] and str(record["traits"][path]) == value


def _answer_search(found: list[Record], shape: str) -> Answer:
    if shape == "results":
        return answer_json(200, {"results": found})
    if not found:
        raise not_found("No match")
    return answer_json(200, found[0])

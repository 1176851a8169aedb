"""The REST API: from a request under `/resources` to the answer.  vitally.md 4, 5, 6 and 10.2

Authentication and limits lie before, errors and the journal behind. What each kind allows stands in `kinds`.
"""

from typing import Any, assert_never

from headrace.emulator import objects
from headrace.emulator.answers import Answer, Refused, answer_json, not_found
from headrace.emulator.bodies import read_creation, read_json, read_update
from headrace.emulator.journal import Call
from headrace.emulator.kinds import KINDS, Address, Deletion, Kind
from headrace.emulator.lists import read_flag, read_page
from headrace.emulator.shelf import Record
from headrace.emulator.state import State
from headrace.emulator.values import parse_instant

# Parent collections that have sub-lists, and the lists.  vitally.md 5 and 6
_SUB_LISTS: dict[str, tuple[str, ...]] = {
    "organizations": ("accounts", "users", "notes", "tasks", "projects", "npsResponses"),
    "accounts": ("users", "notes", "tasks", "projects", "npsResponses"),
}


def answer_rest(state: State, call: Call) -> Answer:
    """The answer to an authenticated request. Raises Refused."""
    segments = call.segments()[1:]
    match segments:
        case ["users", "search"] if call.method == "GET":
            return _search_users(state, call.query)
        case ["admins", "search"] if call.method == "GET":
            return objects.search_admins(state, call.query)
        case ["customFields"] if call.method == "GET":
            return objects.list_custom_fields(state, call.query)
        case ["accounts", key, "healthScores"] if call.method == "GET":
            return objects.read_health(_existing(state, KINDS["accounts"], key, call.query))
        case ["customObjects", object_id, "instances", *rest]:
            return _instances(state, call, object_id, rest)
        case ["conversations", key, "messages"] if call.method == "POST":
            conversation = _existing(state, KINDS["conversations"], key, call.query)
            return _created(state, KINDS["messages"], objects.add_message(state, conversation, read_json(call)))
        case [name] if name in KINDS:
            return _collection(state, KINDS[name], call)
        case [name, key] if name in KINDS:
            return _record(state, KINDS[name], key, call)
        case [parent, key, name] if name in _SUB_LISTS.get(parent, ()):
            return _sub_list(state, _existing(state, KINDS[parent], key, call.query), KINDS[name], call)
    raise not_found()


def _collection(state: State, kind: Kind, call: Call) -> Answer:
    match call.method:
        case "GET" if "LIST" in kind.methods:
            return answer_json(200, read_page(state, kind, call.query, keep=_filter(kind, call.query)))
        case "POST" if "POST" in kind.methods:
            return _post(state, kind, read_json(call))
    raise _wrong_method(state, bool(kind.methods & {"LIST", "POST"}))


def _record(state: State, kind: Kind, key: str, call: Call) -> Answer:
    if call.method not in kind.methods - {"LIST", "POST"}:
        raise _wrong_method(state, bool(kind.methods & {"GET", "PUT", "DELETE"}))
    record = _existing(state, kind, key, call.query, by_id_only=kind.deletes_by_id and call.method == "DELETE")
    match call.method:
        case "PUT":
            return _put(state, kind, record, read_json(call))
        case "DELETE":
            return _delete(state, kind, record, call.query)
    return answer_json(200, _full(state, kind, record))


def _post(state: State, kind: Kind, body: Any, scope: str | None = None) -> Answer:
    changes = read_creation(state, kind, body)
    messages = objects.read_messages(state, changes.pop("messages", ()))
    external_id = changes.get("externalId")
    present = None if external_id is None else state.shelves[kind.name].by_external_id(external_id, scope)
    if present is not None:
        return _post_on_existing(state, kind, present, changes, messages)
    fixed: Record = {"source": state.settings.rest_source} if "source" in kind.fields else {}
    if scope is not None:
        fixed["customObjectId"] = scope
    record = state.create(kind, changes, **fixed)
    objects.follow_up(state, kind, record, messages)
    return _created(state, kind, record)


def _post_on_existing(state: State, kind: Kind, record: Record, changes: Record, messages: list[Record]) -> Answer:
    """Vitally documents upsert for some kinds and is silent on others.  vitally.md 5.5"""
    policy = state.settings.post_on_existing.model_dump(by_alias=True).get(kind.name, "upsert")
    if policy != "upsert":
        raise Refused(int(policy), f"{kind.singular} with externalId {record['externalId']!r} already exists")
    state.change(kind, record, _with_parents(state, kind, record, changes))
    objects.follow_up(state, kind, record, messages)
    return answer_json(200, _full(state, kind, record))


def _put(state: State, kind: Kind, record: Record, body: Any) -> Answer:
    changes = read_update(state, kind, body)
    _check_name_is_free(state, kind, record, changes.get("externalId"))
    messages = objects.read_messages(state, changes.pop("messages", ()))
    state.change(kind, record, _with_parents(state, kind, record, changes))
    objects.follow_up(state, kind, record, messages)
    return answer_json(200, _full(state, kind, record))


def _check_name_is_free(state: State, kind: Kind, record: Record, external_id: str | None) -> None:
    """Only an instance can be renamed; what Vitally answers to a taken name is unknown, a refusal is our guess."""
    if external_id is not None and external_id != record["externalId"]:
        present = state.shelves[kind.name].by_external_id(external_id, record.get("customObjectId"))
        if present is not None:
            raise Refused(409, f"externalId {external_id!r} is taken")


def _delete(state: State, kind: Kind, record: Record, query: dict[str, str]) -> Answer:
    match kind.deletion:
        case Deletion.REMOVE:
            state.remove(kind, record)
        case Deletion.ARCHIVE:
            state.change(kind, record, {"archivedAt": state.now()})
        case Deletion.SCHEDULE:
            _delete_user(state, kind, record, query.get("deleteOn"))
        case Deletion.NEVER:
            raise _wrong_method(state, True)
        case unknown:
            assert_never(unknown)
    status = state.settings.delete_status
    return Answer(204) if status == 204 else answer_json(status, {})


def _delete_user(state: State, kind: Kind, record: Record, delete_on: str | None) -> None:
    """Live, a deleted user stays readable and no field tells of the mark.  vitally.md 5.3, OBS"""
    if delete_on is not None and parse_instant(delete_on) is None:
        raise Refused(400, "deleteOn must be an ISO-8601 date")
    if state.settings.user_delete == "immediate" and delete_on is None:
        state.remove(kind, record)
        return
    state.user_deletions[record["id"]] = delete_on or state.now()
    state.touch(kind, record)


def _with_parents(state: State, kind: Kind, record: Record, changes: Record) -> Record:
    """The changes as the switches of parents have them: PUT adds to a user's, and leaves an instance where it is.

    Of an instance's parents one table of the documents says that they are editable, the other one leaves them out of
    the body of PUT.  vitally.md 6.6
    """
    if kind.name == "instances" and state.settings.instance_parents_on_put == "ignore":
        return {name: value for name, value in changes.items() if name not in kind.parents}
    if kind.name != "users" or state.settings.user_parents_on_put == "replace":
        return changes
    joined = {name: list(dict.fromkeys([*record[name], *changes[name]])) for name in kind.parents if name in changes}
    return {**changes, **joined}


def _sub_list(state: State, parent: Record, kind: Kind, call: Call) -> Answer:
    if call.method != "GET":
        raise _wrong_method(state, True)
    if kind.name == "npsResponses":
        among = [
            each for user in state.children(parent["id"], "users") for each in state.children(user["id"], kind.name)
        ]
    else:
        among = list(state.children(parent["id"], kind.name))
    keep = None if kind.name == "accounts" and "status" not in call.query else _filter(kind, call.query)
    return answer_json(200, read_page(state, kind, call.query, keep, among))


def _filter(kind: Kind, query: dict[str, str]) -> Any:
    """What a list leaves out, as a predicate, or None if nothing. Raises Refused (400) for an unknown choice."""
    if kind.name == "accounts":
        match query.get("status") or "active":
            case "active":
                return lambda record: record["churnedAt"] is None
            case "churned":
                return lambda record: record["churnedAt"] is not None
            case "activeOrChurned":
                return None
        raise Refused(400, "status must be one of: active, churned, activeOrChurned")
    if kind.deletion is Deletion.ARCHIVE:
        archived, source = read_flag(query, "archived"), (query.get("source") or "").lower()
        return lambda record: (
            (record["archivedAt"] is not None) is archived
            and (not source or (record.get("source") or "").lower() == source)
        )
    if kind.name == "projectTemplates" and query.get("categoryId"):
        return lambda record: record["categoryId"] == query["categoryId"]
    if kind.name == "npsResponses" and (query.get("target") or "accounts") not in ("accounts", "organization"):
        raise Refused(400, "target must be one of: accounts, organization")
    return None


def _search_users(state: State, query: dict[str, str]) -> Answer:
    """Exactly one criterion; emails compare without case.  vitally.md 5.3 and 10.2"""
    given = {name: query[name] for name in ("externalId", "email", "emailSubdomain") if query.get(name)}
    if len(given) != 1:
        raise Refused(400, "Must specify exactly one of: externalId, email or emailSubdomain")
    kind = KINDS["users"]
    ((name, wanted),) = given.items()
    if name == "externalId":
        found = state.shelves["users"].by_external_id(wanted)
        return answer_json(200, {"results": [] if found is None else [state.render(kind, found)]})
    wanted = wanted.lower() if name == "email" else "@" + wanted.lower()
    matches = [
        state.render(kind, record)
        for record in state.shelves["users"].records.values()
        if record["email"] is not None
        and (record["email"].lower() == wanted if name == "email" else record["email"].lower().endswith(wanted))
    ]
    return answer_json(200, {"results": matches})


def _instances(state: State, call: Call, object_id: str, rest: list[str]) -> Answer:
    """Instances live under their custom object, which is addressed by Vitally id only.  vitally.md 6.6"""
    kind = KINDS["instances"]
    definition = _existing(state, KINDS["customObjects"], object_id, {})
    match call.method, rest:
        case "GET", []:
            among = list(state.children(definition["id"], kind.name))
            return answer_json(200, read_page(state, kind, call.query, _filter(kind, call.query), among))
        case "POST", []:
            return _post(state, kind, read_json(call), scope=definition["id"])
        case "GET", ["search"]:
            return objects.search_instances(state, definition["id"], call.query)
        case "PUT" | "DELETE", [key]:
            record = _existing(state, kind, key, call.query)
            if record["customObjectId"] != definition["id"]:
                raise not_found(f"No instance with id {key!r}")
            if call.method == "DELETE":
                return _delete(state, kind, record, call.query)
            return _put(state, kind, record, read_json(call))
    raise _wrong_method(state, rest == [])


def _existing(state: State, kind: Kind, key: str, query: dict[str, str], *, by_id_only: bool = False) -> Record:
    """The record that a path names. Raises Refused (404)."""
    shelf = state.shelves[kind.name]
    record = shelf.records.get(key)
    if record is None and kind.address is Address.ID_OR_EXTERNAL and not by_id_only:
        record = shelf.by_external_id(key)
    elif record is None and kind.address is Address.ID_OR_SOURCE and not by_id_only and query.get("source"):
        named = shelf.by_external_id(key)
        # Which `source` names what REST itself has made is unknown: the switch restSource, null for any.
        if named is not None and (named["source"] or query["source"]).lower() == query["source"].lower():
            record = named
    if record is None:
        raise not_found(f"No {kind.singular} with id {key!r}")
    return record


def _full(state: State, kind: Kind, record: Record) -> Record:
    return objects.with_messages(state, kind, state.render(kind, record))


def _created(state: State, kind: Kind, record: Record) -> Answer:
    return answer_json(state.settings.create_status, _full(state, kind, record))


def _wrong_method(state: State, is_route: bool) -> Refused:
    """404 as for any unknown route, or 405: undocumented.  vitally.md 10.2, INF"""
    status = state.settings.wrong_method_status if is_route else 404
    return Refused(status, "Not Found" if status == 404 else "Method Not Allowed")

"""What comes next for a row, as decision tables: mode, match and what is known give the request. No HTTP, no state."""

from __future__ import annotations

import json
from string import Formatter
from typing import Any

import pytest

from headrace.destinations import Known, Learned, NeedParents, Origin, Retry, Send, Settled, Stop, Task
from headrace.destinations.vitally import open_destination
from headrace.destinations.vitally.connection import Connection, VitallySettings
from headrace.destinations.vitally.objects import REST_OBJECTS
from headrace.destinations.vitally.resources import RESOURCES
from headrace.destinations.vitally.rest import RestObjects
from headrace.domain.config import SyncConfig
from headrace.domain.mapping import Record, Reference
from headrace.domain.plan import Operation
from headrace.domain.request import NoResponse, Request, Response
from headrace.domain.spec import Mode, ObjectSpec

HOST = "https://rest.vitally.io"
ORG = ("organization", "o-1")


def destination(
    kind: str = "account", match: str = "externalId", parents: Any = "exact", **settings: str
) -> RestObjects:
    connection = Connection(VitallySettings(region="us"), {"rest_api_token": "k"})
    return RestObjects(connection, kind, match, parents, settings)


def record(match: str = "a-1", *, parent: str | None = None, **values: Any) -> Record:
    references = {"organizationId": Reference("organization", (parent,), "external_id", many=False)} if parent else {}
    return Record(match, values or {"name": "Acme"}, references)


def task(kind: Any, found: Record | None = None, *, match: str = "a-1", parents: bool = True) -> Task:
    return Task(Operation(kind, match, parents), found or record(match), "1")


def told(step: object) -> str:
    """A step in a line: `PUT /resources/accounts/a-1`, `skipped record_exists`, `parents organization`."""
    match step:
        case Send(request=request):
            return f"{request.method} {request.url.removeprefix(HOST)}"
        case Settled(outcome=outcome, fault=fault):
            return f"{outcome} {fault.code}" if fault else str(outcome)
        case NeedParents(references=references):
            return "parents " + " ".join(one.kind for one in references)
    raise AssertionError(step)


REFUSED = Response(409, {}, b'{"error":"taken"}')
PUT, GET, POST = "PUT /resources/accounts/a-1", "GET /resources/accounts/a-1", "POST /resources/accounts"


@pytest.mark.parametrize(
    ("kind", "known", "wanted"),
    [
        ("upsert", Known(), PUT),
        ("upsert", Known(exists=True), PUT),
        ("upsert", Known(exists=False), POST),
        ("upsert", Known(exists=None, refused=REFUSED), PUT),
        ("upsert", Known(exists=False, refused=REFUSED), "rejected destination_rejected"),
        ("upsert", Known(exists=None, unknown_outcome=True), PUT),
        ("update", Known(), PUT),
        ("update", Known(exists=True), PUT),
        ("update", Known(exists=False), "skipped record_not_found"),
        ("insert", Known(), GET),
        ("insert", Known(exists=True), "skipped record_exists"),
        ("insert", Known(exists=False), POST),
        ("insert", Known(exists=None, refused=REFUSED), GET),
        ("insert", Known(exists=False, refused=REFUSED), "rejected destination_rejected"),
        ("insert", Known(exists=True, unknown_outcome=True), "delivered"),
        ("clear", Known(), PUT),
        ("clear", Known(exists=False), "skipped record_not_found"),
        ("delete", Known(), "DELETE /resources/accounts/a-1"),
        ("delete", Known(exists=False), "delivered"),
    ],
)
def test_by_external_id(kind: Any, known: Known, wanted: str):
    step = destination().next_step(task(kind), known)
    assert wanted == told(step)
    assert wanted.startswith("POST") is (isinstance(step, Send) and step.creates)


SEARCH, BY_ID = "GET /resources/users/search?email=a%2Bb%40x.test", "PUT /resources/users/u-9"
FOUND = Known(exists=True, record_id="u-9")


@pytest.mark.parametrize(
    ("kind", "known", "wanted"),
    [
        ("upsert", Known(), SEARCH),
        ("upsert", FOUND, BY_ID),
        ("upsert", Known(exists=False), "POST /resources/users"),
        ("upsert", Known(exists=False, refused=REFUSED), "GET /resources/users/x-1"),
        ("upsert", Known(exists=False, refused=REFUSED, taken=False), "rejected destination_rejected"),
        ("update", Known(), SEARCH),
        ("update", FOUND, BY_ID),
        ("update", Known(exists=False), "skipped record_not_found"),
        ("insert", Known(), SEARCH),
        ("insert", FOUND, "skipped record_exists"),
        ("insert", Known(exists=False), "GET /resources/users/x-1"),
        ("insert", Known(exists=False, taken=False), "POST /resources/users"),
        ("insert", Known(exists=True, taken=True, record_id="u-9"), "skipped record_exists"),
        ("clear", Known(), SEARCH),
        ("clear", FOUND, BY_ID),
        ("clear", Known(exists=False), "skipped record_not_found"),
        ("delete", Known(), SEARCH),
        ("delete", FOUND, "DELETE /resources/users/u-9"),
        ("delete", Known(exists=False), "delivered"),
    ],
)
def test_by_email(kind: Any, known: Known, wanted: str):
    """The path takes no email: a search comes first, and the write goes by Vitally's own id (vitally 4, 5.3)."""
    email = " a+b@x.test "
    row = record(email, externalId="x-1", name="Ann")
    assert wanted == told(destination("user", "email").next_step(task(kind, row, match=email), known))


@pytest.mark.parametrize(
    ("kind", "known", "wanted"),
    [
        ("update", Known(), "PUT /resources/organizations/v%2F1"),
        ("update", Known(exists=False), "skipped record_not_found"),
        ("clear", Known(), "PUT /resources/organizations/v%2F1"),
        ("delete", Known(), "DELETE /resources/organizations/v%2F1"),
    ],
)
def test_by_vitallys_id(kind: Any, known: Known, wanted: str):
    row = record("v/1", name="Org")
    assert wanted == told(destination("organization", "id").next_step(task(kind, row, match="v/1"), known))


BY_SOURCE, OWN = "/resources/notes/n%2F1?source=My%20CRM", "/resources/notes/v-1"
KEPT = Known(record_id="v-1")
NO_SOURCE: dict[str, str] = {}
SOURCE = {"source": " My CRM "}


@pytest.mark.parametrize(
    ("kind", "settings", "known", "wanted"),
    [
        ("upsert", NO_SOURCE, Known(), "POST /resources/notes"),
        ("upsert", SOURCE, Known(), "POST /resources/notes"),
        ("upsert", NO_SOURCE, KEPT, f"PUT {OWN}"),
        ("upsert", NO_SOURCE, Known(exists=False), "POST /resources/notes"),
        ("upsert", NO_SOURCE, Known(refused=REFUSED), "rejected destination_rejected"),
        ("upsert", SOURCE, Known(refused=REFUSED), f"PUT {BY_SOURCE}"),
        ("upsert", SOURCE, Known(exists=False, refused=REFUSED), "rejected destination_rejected"),
        ("upsert", NO_SOURCE, Known(unknown_outcome=True), "POST /resources/notes"),
        ("upsert", SOURCE, Known(unknown_outcome=True), f"PUT {BY_SOURCE}"),
        ("upsert", SOURCE, Known(exists=False, unknown_outcome=True), "POST /resources/notes"),
        ("update", SOURCE, Known(), f"PUT {BY_SOURCE}"),
        ("update", SOURCE, KEPT, f"PUT {OWN}"),
        ("update", SOURCE, Known(exists=False), "skipped record_not_found"),
        ("clear", NO_SOURCE, Known(), "skipped record_not_found"),
        ("clear", SOURCE, Known(), f"PUT {BY_SOURCE}"),
        ("clear", NO_SOURCE, KEPT, f"PUT {OWN}"),
        ("clear", SOURCE, Known(exists=False), "skipped record_not_found"),
        ("delete", NO_SOURCE, Known(), "skipped record_not_found"),
        ("delete", SOURCE, Known(), f"GET {BY_SOURCE}"),
        ("delete", SOURCE, Known(exists=True, record_id="v-1"), f"DELETE {OWN}"),
        ("delete", NO_SOURCE, KEPT, f"DELETE {OWN}"),
        ("delete", NO_SOURCE, KEPT.but(exists=False), "delivered"),
        ("delete", SOURCE, Known(exists=False), "skipped record_not_found"),
    ],
)
def test_by_external_id_and_source(kind: Any, settings: dict[str, str], known: Known, wanted: str):
    """Without its source an external id names no note, and none is ever deleted by it (vitally 4, 6.1)."""
    row = record("n/1", note="Hi")
    step = destination("note", **settings).next_step(task(kind, row, match="n/1"), known)
    assert wanted == told(step)
    assert wanted.startswith("POST") is (isinstance(step, Send) and step.creates)


INSTANCES = "/resources/customObjects/c%2F1/instances"


@pytest.mark.parametrize(
    ("kind", "known", "wanted"),
    [
        ("upsert", Known(), f"GET {INSTANCES}/search?externalId=i%2F1"),
        ("upsert", Known(exists=True, record_id="v-1"), f"PUT {INSTANCES}/v-1"),
        ("upsert", Known(exists=False), f"POST {INSTANCES}"),
        ("upsert", Known(refused=REFUSED), f"GET {INSTANCES}/search?externalId=i%2F1"),
        ("upsert", Known(exists=False, refused=REFUSED), "rejected destination_rejected"),
        ("insert", Known(exists=False), f"POST {INSTANCES}"),
        ("insert", Known(exists=True, record_id="v-1"), "skipped record_exists"),
        ("insert", Known(exists=True, record_id="v-1", unknown_outcome=True), "delivered"),
        ("update", Known(exists=False), "skipped record_not_found"),
        ("clear", Known(exists=True, record_id="v-1"), f"PUT {INSTANCES}/v-1"),
        ("delete", Known(), f"GET {INSTANCES}/search?externalId=i%2F1"),
        ("delete", Known(exists=True, record_id="v-1"), f"DELETE {INSTANCES}/v-1"),
        ("delete", Known(exists=False), "delivered"),
    ],
)
def test_by_a_search_for_the_external_id(kind: Any, known: Known, wanted: str):
    """An instance is found by search only, and named by Vitally's id only (vitally 6.6)."""
    instances = destination("custom_object_instance", custom_object="c/1")
    assert wanted == told(instances.next_step(task(kind, record("i/1", name="HQ"), match="i/1"), known))


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (Known(), "POST /resources/npsResponses"),
        (Known(unknown_outcome=True), "PUT /resources/npsResponses/n-1"),
        (Known(refused=REFUSED), "PUT /resources/npsResponses/n-1"),
        (Known(exists=False, unknown_outcome=True), "POST /resources/npsResponses"),
        (Known(exists=False, refused=REFUSED), "rejected destination_rejected"),
    ],
)
def test_a_creation_that_is_documented_to_update_is_the_whole_upsert(known: Known, wanted: str):
    """Vitally 6.5. Should it refuse or not answer, the record is named by its external id after all."""
    row = record("n-1", score=9)
    assert wanted == told(destination("nps_response").next_step(task("upsert", row, match="n-1"), known))


def test_a_parent_that_every_update_needs_is_looked_up_and_sent_although_it_did_not_change():
    user = Reference("user", ("u-1",), "external_id", many=False)
    row = task("update", Record("n-1", {"score": 9}, {"userId": user}), match="n-1", parents=False)

    assert "parents user" == told(destination("nps_response").next_step(row, Known()))
    step = destination("nps_response").next_step(row, Known(parents={("user", "u-1"): "v-1"}))
    assert {"score": 9, "userId": "v-1"} == body(step)


def test_clear_empties_lists_and_nulls_the_rest():
    row = record("n-1", note="Hi", subject="S", tags=["a"], traits={"vitally.custom.x": 1})
    step = destination("note").next_step(task("clear", row, match="n-1"), KEPT)
    assert {"subject": None, "tags": [], "traits": {"vitally.custom.x": None}} == body(step)


@pytest.mark.parametrize(
    ("kind", "parents", "known", "wanted"),
    [
        ("upsert", True, Known(), "parents organization"),
        ("upsert", True, Known(parents={ORG: "v-1"}), PUT),
        ("upsert", True, Known(parents={ORG: None}), "invalid parent_not_found"),
        ("upsert", False, Known(), PUT),
        ("upsert", False, Known(exists=False), "parents organization"),
        ("upsert", False, Known(exists=False, parents={ORG: "v-1"}), POST),
        ("update", True, Known(), "parents organization"),
        ("insert", True, Known(), GET),
        ("insert", True, Known(exists=False), "parents organization"),
        ("insert", True, Known(exists=True), "skipped record_exists"),
    ],
)
def test_parents_are_looked_up_when_they_will_be_sent(kind: Any, parents: bool, known: Known, wanted: str):
    row = record(parent="o-1")
    assert wanted == told(destination().next_step(task(kind, row, parents=parents), known))


def body(step: object) -> Any:
    assert isinstance(step, Send)
    return json.loads(step.request.body or b"null")


def test_a_creation_names_the_match_value_and_the_parents_whatever_changed():
    step = destination().next_step(
        task("upsert", record(parent="o-1"), parents=False), Known(exists=False, parents={ORG: "v-1"})
    )
    assert {"externalId": "a-1", "name": "Acme", "organizationId": "v-1"} == body(step)


def test_an_update_never_sends_the_external_id():
    row = record("a@x.test", externalId="x-1", name="Ann")
    assert {"name": "Ann"} == body(destination("user", "email").next_step(task("upsert", row, match="a@x.test"), FOUND))


def test_a_user_found_by_external_id_after_all_gets_the_email_that_they_were_looked_for_by():
    row = record("a@x.test", externalId="x-1", name="Ann")
    step = destination("user", "email").next_step(task("upsert", row, match="a@x.test"), FOUND.but(taken=True))
    assert {"name": "Ann", "email": "a@x.test"} == body(step)


def test_parents_add_reads_the_user_first_and_sends_the_union():
    users = destination("user", parents="add")
    many = Reference("account", ("a-1",), "external_id", many=True)
    row = task("upsert", Record("u-1", {}, {"accountIds": many}), match="u-1")
    known = Known(parents={("account", "a-1"): "v-1"})

    assert "GET /resources/users/u-1" == told(users.next_step(row, known))
    step = users.next_step(row, known.but(exists=True, linked={"accountIds": ("v-0", "v-1")}))
    assert {"accountIds": ["v-0", "v-1"]} == body(step)


def test_clear_nulls_what_was_sent_and_can_be_nulled():
    row = Record("a-1", {"name": "Acme", "traits": {"plan": "pro", "mrr": 5}}, record(parent="o-1").references)
    assert {"organizationId": None, "traits": {"plan": None, "mrr": None}} == body(
        destination().next_step(task("clear", row), Known())
    )


# Judging ----------------------------------------------------------------------------------------------------------


def judged(kind: Any, method: str, answer: Response | NoResponse, known: Known | None = None, **more: Any) -> object:
    request = Request(method, f"{HOST}/resources/accounts/a-1", "rest", "look_up" if method == "GET" else "deliver")
    return destination().judge(task(kind, **more), known or Known(), request, answer)


def response(status: int, document: Any = None) -> Response:
    return Response(status, {}, json.dumps(document if document is not None else {"error": "no"}).encode())


RECORD = {"id": "v-7", "externalId": "a-1"}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_any_success_is_an_acknowledgement(method: str, status: int):
    verdict = judged("delete" if method == "DELETE" else "upsert", method, response(status, RECORD))
    assert isinstance(verdict, Settled)
    assert ("delivered", "v-7") == (verdict.outcome, verdict.record_id)


def test_a_success_without_a_body_is_one_too():
    assert Settled("delivered") == judged("delete", "DELETE", Response(204, {}, b""))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["upsert", "update", "clear", "delete"])
def test_a_404_to_a_write_teaches_that_there_is_no_record(kind: Any):
    verdict = judged(kind, "DELETE" if kind == "delete" else "PUT", response(404))
    assert isinstance(verdict, Learned)
    assert verdict.known.exists is False


@pytest.mark.parametrize(
    ("status", "asks"), [(400, True), (409, True), (422, True), (403, None), (404, False), (413, False), (405, False)]
)
def test_a_refused_creation_asks_the_record_itself_where_it_may_exist(status: int, asks: bool | None):
    verdict = judged("upsert", "POST", response(status), Known(exists=False))
    if asks is None:
        assert isinstance(verdict, Stop)
    elif asks:
        assert isinstance(verdict, Learned)
        assert verdict.known.exists is None
        assert verdict.known.refused is not None
        again = judged("upsert", "PUT", response(404), verdict.known)
        assert isinstance(again, Settled)
        assert ("rejected", "no") == (again.outcome, again.fault and again.fault.theirs)
    else:
        assert isinstance(verdict, Settled)
        assert "rejected" == verdict.outcome


@pytest.mark.parametrize(
    "said", ["organizationId: there is no organization 'v-1'", "V-1 not found", "unknown Organization"]
)
def test_a_parent_that_is_blamed_is_forgotten_once(said: str):
    known = Known(parents={ORG: "v-1"})
    verdict = judged("upsert", "PUT", response(400, {"error": said}), known)
    assert isinstance(verdict, Learned)
    assert ((ORG,), {}, True) == (verdict.forget, dict(verdict.known.parents), verdict.known.fresh_parents)

    again = judged("upsert", "PUT", response(400, {"error": said}), known.but(fresh_parents=True))
    assert isinstance(again, Settled)
    assert "rejected" == again.outcome


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_weather_is_no_fault_of_the_row(method: str, status: int):
    assert isinstance(judged("upsert", method, response(status)), Retry)


@pytest.mark.parametrize(
    "results", [None, [], "x", [{"email": "other@x.test", "id": "v"}], [{"email": None, "id": "v"}], [7]]
)
def test_a_search_that_finds_nobody_of_that_email_finds_nobody(results: Any):
    """Whether Vitally's search is exact is its business: only a user with this very email is taken."""
    verdict = destination("user", "email").judge(
        task("upsert", match="a@x.test"), Known(), Request("GET", HOST, "rest", "look_up"),
        response(200, {"results": results}),
    )  # fmt: skip
    assert isinstance(verdict, Learned)
    assert verdict.known.exists is False


@pytest.mark.parametrize("answered", [b"", b"[]", b"null", b'{"id": 7}', b"<html>", b'{"results": {}}'])
def test_an_answer_that_is_no_record_breaks_nothing(answered: bytes):
    for kind, method in (("upsert", "PUT"), ("upsert", "POST"), ("insert", "GET"), ("delete", "DELETE")):
        assert isinstance(judged(kind, method, Response(200, {}, answered)), Settled | Learned)


def test_a_kept_id_whose_record_is_gone_is_forgotten_and_the_row_goes_on_without_it():
    for kind, exists in (("upsert", None), ("update", None), ("clear", None), ("delete", False)):
        method = "DELETE" if kind == "delete" else "PUT"
        verdict = destination("note", source="crm").judge(
            task(kind, match="n-1"), KEPT, Request(method, HOST + OWN, "rest"), response(404)
        )
        assert isinstance(verdict, Learned)
        assert exists is verdict.known.exists
        forgets = kind != "delete"
        assert ((("note", "n-1"),) if forgets else ()) == verdict.forget
        assert (None if forgets else "v-1") == verdict.known.record_id


@pytest.mark.parametrize(
    ("answered", "record_id"),
    [
        ({"id": "v-1", "externalId": "i-1"}, "v-1"),
        ({"results": [{"id": "v-1", "externalId": "i-1"}]}, "v-1"),
        ({"results": [{"id": "v-1", "externalId": "I-1"}]}, None),
        ({"results": []}, None),
        ({"id": "v-1", "externalId": "another"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_search_answers_with_the_match_or_with_a_list(answered: Any, record_id: str | None):
    """vitally 6.6: which of the two is unverified. An external id is compared as it is."""
    request = Request("GET", HOST, "rest", "look_up")
    instances = destination("custom_object_instance", custom_object="c-1")
    verdict = instances.judge(task("upsert", match="i-1"), Known(), request, response(200, answered))
    assert isinstance(verdict, Learned)
    assert (record_id is not None, record_id) == (verdict.known.exists, verdict.known.record_id)


def test_a_search_that_finds_nothing_by_404_says_nothing_of_other_ids():
    request = Request("GET", HOST, "rest", "look_up")
    verdict = destination("user", "email").judge(task("insert", match="a@x.test"), Known(), request, response(404))
    assert isinstance(verdict, Learned)
    assert (False, None) == (verdict.known.exists, verdict.known.taken)


def test_every_declared_object_has_its_resource_and_no_path_lacks_a_setting():
    """A declaration without a path, or a path with a hole that no required setting fills, would fail in a run."""
    assert {one.name for one in REST_OBJECTS.objects} == set(RESOURCES)
    for target in REST_OBJECTS.objects:
        holes = {name for _, name, _, _ in Formatter().parse(RESOURCES[target.name].path) if name}
        assert holes == {name for name in holes if all(needs(target, mode, name) for mode in target.modes)}
        needed = [one.name for one in target.fields if Mode.UPDATE in one.required_for]
        assert not needed or "clear" not in target.removed_rules, f"clearing would lack {needed}"


def needs(target: ObjectSpec, mode: Mode, setting: str) -> bool:
    """Whether lint refuses a sync of the object that does not say the setting."""
    if target.settings is None:
        return False
    sync = SyncConfig.model_validate({"model": "m", "destination": "d", "type": "rest_objects", "mode": mode})
    found = target.settings.check(target.settings.model.model_validate({}), sync)
    return f"settings.{setting}" in [one.path for one in found]


def test_every_object_stands_after_those_that_it_refers_to():
    """`run --all` goes by this order: a parent that its own sync is about to make must be there first."""
    ranks = {one.name: one.rank for one in REST_OBJECTS.objects}
    for target in REST_OBJECTS.objects:
        assert all(ranks[one.refers_to] < target.rank for one in target.fields if one.refers_to)


def test_without_a_sync_a_destination_opens_for_a_connection_test():
    opened = open_destination({"region": "us"}, {"rest_api_token": "k"}, None, Origin("default", ""))
    assert ["rest_api_token", "analytics_api_token"] == [one.secret for one in opened.probes()]
    assert [True, False] == [one.request is not None for one in opened.probes()]

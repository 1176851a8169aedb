"""What comes next for a row, as decision tables: mode, match and what is known give the request. No HTTP, no state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.destinations import Known, Learned, NeedParents, Origin, Retry, Send, Settled, Stop, Task
from headrace.destinations.vitally import open_destination
from headrace.destinations.vitally.connection import Connection, VitallySettings
from headrace.destinations.vitally.rest import RestObjects
from headrace.domain.mapping import Record, Reference
from headrace.domain.plan import Operation
from headrace.domain.request import NoResponse, Request, Response

HOST = "https://rest.vitally.io"
ORG = ("organization", "o-1")


def destination(kind: str = "account", match: str = "externalId", parents: Any = "exact") -> RestObjects:
    return RestObjects(Connection(VitallySettings(region="us"), {"rest_api_token": "k"}), kind, match, parents)


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


def test_without_a_sync_a_destination_opens_for_a_connection_test():
    opened = open_destination({"region": "us"}, {"rest_api_token": "k"}, None, Origin("default", ""))
    assert ["rest_api_token", "analytics_api_token"] == [one.secret for one in opened.probes()]
    assert [True, False] == [one.request is not None for one in opened.probes()]

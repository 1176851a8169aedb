"""Whatever Vitally answers, in whatever order: a row comes to its end, and no mode does what it promises not to do."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.destinations import Known, Learned, NeedParents, Send, Settled, Task
from headrace.destinations.vitally.connection import Connection, VitallySettings
from headrace.destinations.vitally.objects import REST_OBJECTS
from headrace.destinations.vitally.rest import RestObjects
from headrace.domain.mapping import Record, Reference
from headrace.domain.outcome import RowOutcome
from headrace.domain.plan import Operation
from headrace.domain.request import Response
from headrace.domain.spec import FieldType, ObjectSpec
from headrace.engine.execute import MOST_STEPS, MOST_UNKNOWN

CHOICES = [
    pytest.param(target, match.field, operation, id=f"{target.name}-{match.field}-{operation}")
    for target in REST_OBJECTS.objects
    for match in target.matchings
    for operation in (*sorted(match.modes), "clear", "delete")
    if operation not in ("clear", "delete") or operation in target.removed_rules
]
NAME = "m-1"
STATUSES = st.sampled_from([200, 201, 204, 400, 404, 409, 413, 422])
BODIES = st.sampled_from(
    [
        {},
        {"error": "account not found"},
        {"id": "v-1", "externalId": NAME, "email": NAME},
        {"results": []},
        {"results": [{"id": "v-1", "externalId": NAME, "email": NAME}]},
        {"results": [{"id": one, "externalId": NAME, "email": NAME} for one in ("v-1", "v-2")]},
    ]
)
NO_ANSWER = "no answer"
LOST = " without an answer"
ANSWERS = st.lists(st.one_of(st.tuples(STATUSES, BODIES), st.just(NO_ANSWER)), min_size=MOST_STEPS, max_size=MOST_STEPS)


def record_of(target: ObjectSpec) -> Record:
    references = {
        one.name: Reference(str(one.refers_to), ("p-1",), "external_id", many=one.type is FieldType.REFERENCES)
        for one in target.fields
        if one.refers_to
    }
    values: dict[str, Any] = {one.name: one.name for one in target.fields if one.type is FieldType.TEXT}
    return Record(NAME, values | ({"externalId": "x-1"} if target.field("externalId") else {}), references)


@pytest.mark.parametrize(("target", "match", "operation"), CHOICES)
@given(data=st.data())
def test_any_answers_lead_to_an_end_and_to_nothing_that_the_mode_forbids(
    target: ObjectSpec, match: str, operation: Any, data: st.DataObject
):
    settings = {name: f"{name}-1" for name in (target.settings.model.model_fields if target.settings else ())}
    if "source" in settings and operation != "update" and data.draw(st.booleans(), label="no source"):
        settings["source"] = ""
    kept = target.named_by_own_id and match == "externalId" and data.draw(st.booleans(), label="kept id")
    task = Task(Operation(operation, NAME, data.draw(st.booleans(), label="parents")), record_of(target), "1")
    answers = iter(data.draw(ANSWERS, label="answers"))
    connection = Connection(VitallySettings(region="us"), {"rest_api_token": "k"})
    vitally = RestObjects(connection, target.name, match, data.draw(st.sampled_from(["exact", "add"])), settings)

    methods, settled, acknowledged = walk(vitally, task, Known(record_id="v-0" if kept else None), answers)

    allowed = {"upsert": {"GET", "PUT", "POST"}, "insert": {"GET", "POST"}, "update": {"GET", "PUT"}}
    assert {one.removesuffix(LOST) for one in methods} <= allowed.get(
        operation, {"GET", "PUT" if operation == "clear" else "DELETE"}
    )
    is_unique = target.named_by_own_id and not settings["source"]
    repeated = any(first == "POST" + LOST and then.startswith("POST") for first, then in pairwise(methods))
    assert is_unique or not repeated, "a creation that may have been made is not repeated without a question"
    if settled is not None and settled.outcome is RowOutcome.DELIVERED and operation in ("upsert", "update", "clear"):
        assert acknowledged, "nothing is delivered before its acknowledgement"


def walk(vitally: RestObjects, task: Task, known: Known, answers: Any) -> tuple[list[str], Settled | None, bool]:
    """What the engine does with a row: methods sent, its end (None: owed), whether the last answer was a success."""
    methods: list[str] = []
    unknowns, last = 0, 0
    for _ in range(MOST_STEPS):
        step = vitally.next_step(task, known)
        match step:
            case Settled():
                return methods, step, last in range(200, 300)
            case NeedParents(references=references):
                ids = {(one.kind, parent): "v-p" for one in references for parent in one.ids}
                known = known.but(parents={**known.parents, **ids})
            case Send(request=request, creates=creates):
                methods.append(request.method)
                answer = next(answers)
                if answer == NO_ANSWER:
                    methods[-1] += LOST
                    if not creates:
                        return methods, None, False  # tried again, and then owed
                    unknowns, known = unknowns + 1, known.but(exists=None, unknown_outcome=True)
                    if unknowns == MOST_UNKNOWN:
                        return methods, None, False
                    continue
                last, body = answer
                verdict = vitally.judge(task, known, request, Response(last, {}, json.dumps(body).encode()))
                if isinstance(verdict, Settled):
                    return methods, verdict, last in range(200, 300)
                assert isinstance(verdict, Learned)
                known = verdict.known
    raise AssertionError(f"a row went round in circles: {methods}")

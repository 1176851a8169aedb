"""The API asked everything that its OpenAPI allows, as admin, as viewer and as nobody: it never fails by itself.

HEADRACE_TEST_EXAMPLES asks more of each operation than the few that every run of the tests can afford.
"""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from headrace.domain.access import Role

from .conftest import Web

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("HEADRACE_TEST_EXAMPLES", "6"))
HEADERS = {"Sec-Fetch-Site": "same-origin"}
HELD = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
EXPECTED = {Role.ADMIN: {200, 400, 404}, Role.VIEWER: {200, 403, 404}, None: {401}}
ITS_OWN = (502, 503)
"""What answers of a source or a destination that is not there may be."""


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER, None])
@pytest.mark.filterwarnings("ignore")
def test_whatever_is_asked_the_answer_is_one_that_the_openapi_promises(web: Web, role: Role | None) -> None:
    """A fault of ours in the API is a 500; what a stranger sends must never make one."""
    headers = dict(HEADERS)
    if role is not None:
        key, _ = web.app.access.make_key(str(role), role.scopes)
        headers["Authorization"] = f"Bearer {key}"
    schema = schemathesis.openapi.from_dict(web.server.openapi())
    schema.app = web.server
    checks = CHECKS.get_by_names(list(HELD))
    found: list[str] = []
    statuses: set[int] = set()

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            answered = case.call(base_url="http://127.0.0.1", headers=headers)
            statuses.add(answered.status_code)
            if answered.status_code >= 500 and answered.status_code not in ITS_OWN:
                found.append(f"{case.method} {case.formatted_path}: {answered.status_code} {answered.text[:300]}")
            try:
                case.validate_response(answered, checks=checks, headers=headers)
            except FailureGroup as failed:
                found.extend(f"{case.method} {case.formatted_path}: {one}" for one in failed.exceptions)

        ask()
    assert [] == found
    # Else the wall alone was tested, and not a single route behind it.
    assert EXPECTED[role] <= statuses

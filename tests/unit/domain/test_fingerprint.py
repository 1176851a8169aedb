"""The fingerprint of a mapping: it changes when what is sent could change, and never else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.domain.mapping import fingerprint

from .world import VARIABLES, T, columns_of, mapping_of, sync_of

COLUMNS = columns_of(
    id=T.TEXT,
    name=T.TEXT,
    plan=T.TEXT,
    seats=T.INTEGER,
    mrr=T.DECIMAL,
    email=T.TEXT,
    account=T.TEXT,
    number=T.INTEGER,
    ratio=T.NUMBER,
    many=T.JSON,
    extra=T.JSON,
)
PARENTS = "Must specify at least one of: accountIds or organizationIds"


def account(**fields: Any):
    return sync_of({"name": {"static": "Acme"}, **fields})


_RULES = st.recursive(
    st.sampled_from([{"column": "plan"}, {"static": 1}, {"variable": "run.id"}, {"static": 2**70}]),
    lambda inner: st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4).map(lambda found: {"object": found}),
    max_leaves=8,
)


def _turned(rule: Any) -> Any:
    """The same rule with the keys of every object the other way round."""
    if "object" not in rule:
        return rule
    return {"object": {key: _turned(inner) for key, inner in reversed(rule["object"].items())}}


@given(_RULES)
def test_the_order_of_keys_does_not_change_the_fingerprint(rule: Any):
    """An export sorts, an editor moves lines: neither may send every row again."""
    sync = sync_of({"name": {"static": "A"}, "traits": {"object": {"x": rule}}})
    turned = sync_of({"traits": {"object": {"x": _turned(rule)}}, "name": {"static": "A"}})

    assert fingerprint(sync) == fingerprint(turned)


def test_the_values_of_variables_do_not_change_the_fingerprint():
    """Each run starts at another instant: if that were a change, every run would send every row."""
    sync = account(traits={"object": {"x": {"variable": "run.started_at"}}})

    later = mapping_of(sync, COLUMNS, VARIABLES | {"run.started_at": "2027-01-01T00:00:00.000Z", "run.id": 8})

    assert mapping_of(sync, COLUMNS).fingerprint == later.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"fields": {"name": {"static": "Other"}}},
        {"fields": {"name": {"static": "Acme"}, "mrr": {"column": "mrr"}}},
        {"fields": {"name": {"static": "Acme", "null": "send"}}},
        {"match": {"column": "email", "field": "externalId"}},
        {"match": {"column": "id", "field": "id"}},
        {"object": "organization"},
    ],
)
def test_what_changes_the_request_changes_the_fingerprint(change: dict[str, Any]):
    assert fingerprint(account()) != fingerprint(sync_of(**{"fields": {"name": {"static": "Acme"}}} | change))


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "update"},
        {"removed": "delete"},
        {"schedule": {"every": "1h"}},
        {"guard": {"max_removed": 1}},
        {"id": "kept"},
        {"model": "other"},
    ],
)
def test_what_does_not_touch_the_request_sends_nothing_again(change: dict[str, Any]):
    assert fingerprint(account()) == fingerprint(sync_of(**change))

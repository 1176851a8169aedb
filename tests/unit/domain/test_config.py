"""The shapes of the configuration, and what each says when it is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from headrace.domain.config import (
    FileSource,
    ModelConfig,
    PostgresSource,
    SecretRef,
    SyncConfig,
    is_name,
    parse_span,
    sync_id,
    write_span,
)
from headrace.domain.rules import Rule

from .world import sync_of

SYNC = {"model": "m", "destination": "d", "type": "rest_objects"}


def refusal(kind: Any, document: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(document)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86400), (" 7d ", 604800), (30, 30), ("1 h", 3600)]
)
def test_a_span_is_read_as_people_write_it(text: Any, seconds: int):
    assert timedelta(seconds=seconds) == parse_span(text)


@pytest.mark.parametrize("text", ["", "0s", 0, -5, True, None, "15", "1.5h", "h", "15 minutes", "999999999999d"])
def test_what_is_no_span_is_refused(text: Any):
    with pytest.raises(ValueError):
        parse_span(text)


@given(st.integers(1, 10**9))
def test_a_span_is_written_as_it_is_read(seconds: int):
    """An export that another apply reads differently is a change nobody made."""
    span = timedelta(seconds=seconds)

    assert span == parse_span(write_span(span))


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("accounts-to_vitally.2", True),
        ("a" * 100, True),
        ("a" * 101, False),
        ("-a", False),
        ("a b", False),
        ("", False),
    ],
)
def test_a_name_can_stand_in_a_path_a_url_and_a_command(name: str, good: bool):
    assert good == is_name(name)


def test_a_secret_written_down_is_refused_with_the_ways_to_keep_one():
    """A token in a repository is a token in the world."""
    said = refusal(SecretRef, "sk_live_123")

    assert "must not hold the secret itself" in said
    assert "{env: NAME}" in said


@pytest.mark.parametrize("reference", [{}, {"env": "A", "file": "b"}, {"vault": "x"}])
def test_a_secret_is_kept_in_exactly_one_place(reference: dict[str, str]):
    refusal(SecretRef, reference)


@pytest.mark.parametrize(
    ("kind", "document", "words"),
    [
        (ModelConfig, {"source": "w", "primary_key": "id"}, "exactly one of sql, sql_file, table"),
        (ModelConfig, {"source": "w", "primary_key": "id", "sql": "x", "table": "t"}, "exactly one of"),
        (ModelConfig, {"source": "w", "primary_key": [], "table": "t"}, "at least 1 item"),
        (ModelConfig, {"source": "w", "table": "t"}, "primary_key"),
        (FileSource, {"type": "csv", "path": ""}, "at least 1 character"),
        (FileSource, {"type": "csv", "path": "a", "statement_timeout": "soon"}, "is no span of time"),
        (PostgresSource, {"type": "postgres"}, "either url, or host"),
        (PostgresSource, {"type": "postgres", "host": "h"}, "also needs database and user"),
        (PostgresSource, {"type": "postgres", "url": {"env": "U"}, "host": "h"}, "either url, or host"),
        (SyncConfig, SYNC | {"schedule": {"hourly": True}}, "is no schedule"),
        (SyncConfig, SYNC | {"schedule": {"every": "often"}}, "is no span of time"),
        (SyncConfig, SYNC | {"guard": {"max_removed_percent": 101}}, "less than or equal to 100"),
        (SyncConfig, SYNC | {"guard": {"max_removed": -1}}, "greater than or equal to 0"),
        (SyncConfig, SYNC | {"removed": "drop"}, "'ignore', 'clear' or 'delete'"),
        (SyncConfig, SYNC | {"parents": "union"}, "'exact' or 'add'"),
        (SyncConfig, SYNC | {"id": "a b"}, "is not a name"),
        (SyncConfig, SYNC | {"modus": "x"}, "Extra inputs"),
        (Rule, "name", "is not a mapping rule"),
        (Rule, {"colum": "a"}, "is not a mapping rule"),
        (Rule, {"column": "a", "static": 1}, "Extra inputs"),
        (Rule, {"column": "a", "as": "int"}, "'string', 'integer'"),
        (Rule, {"column": "a", "null": "keep"}, "'send' or 'skip'"),
        (Rule, {"columns": []}, "at least 1 item"),
        (Rule, {"object": {"x": {"object": {"y": "z"}}}}, "is not a mapping rule"),
    ],
)
def test_a_wrong_shape_is_refused_in_words(kind: Any, document: Any, words: str):
    assert words in refusal(kind, document)


def test_a_primary_key_may_be_one_name_or_several():
    assert ["id"] == ModelConfig(source="w", table="t", primary_key="id").primary_key  # type: ignore[arg-type]
    assert ["a", "b"] == ModelConfig(source="w", table="t", primary_key=["a", "b"]).primary_key


def test_the_defaults_are_those_that_are_documented():
    sync = sync_of()

    assert ("ignore", "exact") == (sync.removed, sync.parents)
    assert (500, 15) == (sync.guard.max_removed, sync.guard.max_removed_percent)
    assert timedelta(hours=24) == sync.recheck_skipped_after


def test_the_identity_of_a_sync_is_its_id_else_its_name():
    """Ledger and message ids hang on it: a rename that keeps the id repeats nothing."""
    assert "accounts" == sync_id("accounts", sync_of())
    assert "kept" == sync_id("accounts", sync_of(id="kept"))


EVENTS = {"model": "m", "destination": "d", "type": "events"}


@pytest.mark.parametrize(
    "properties",
    [
        {"page": {"column": "page"}, "column": {"column": "c"}},
        {"column": "properties", "as": "object"},
        {"template": "{{ row.properties }}"},
        {"columns": ["page", "plan"]},
    ],
)
def test_a_section_is_names_with_rules_or_one_rule_and_returns_as_it_was_written(properties: dict[str, object]):
    """A JSON column is the whole object as it is; nobody should have to take it apart."""
    sync = SyncConfig.model_validate({**EVENTS, "properties": properties})

    written = sync.model_dump(mode="json", by_alias=True, exclude_unset=True)["properties"]

    assert properties == written
    assert {"properties"} == set(sync.rules)


def test_a_section_whose_entry_is_no_rule_is_refused_at_that_entry():
    with pytest.raises(ValidationError) as refused:
        SyncConfig.model_validate({**EVENTS, "properties": {"page": "page"}})

    (fault,) = refused.value.errors()
    assert "page" == fault["loc"][-1]

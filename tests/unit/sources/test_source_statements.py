"""The model's SQL as text."""

from __future__ import annotations

import pytest

from headrace.domain.errors import SourceError
from headrace.sources.statements import line_at, one_statement, refuse_unless_select


@pytest.mark.parametrize(
    ("sql", "bare"),
    [
        ("select 1", "select 1"),
        ("select 1;", "select 1"),
        ("select 1 ; ; -- a;b", "select 1"),
        ("-- a\nselect 1 /* ; */", "-- a\nselect 1"),
        ("select ';' as a -- ;", "select ';' as a"),
        ("select 'it''s; --' as a;", "select 'it''s; --' as a"),
        ("select $$;$$ as a;", "select $$;$$ as a"),
        ("select $x$ ; $$ ; $x$ as a;", "select $x$ ; $$ ; $x$ as a"),
        ("select e'\\';' as a;", "select e'\\';' as a"),
        ('select 1 as "a;""b" ;', 'select 1 as "a;""b"'),
        ("select 1 as `a;b`;", "select 1 as `a;b`"),
        ("; select 1", "; select 1"),
    ],
)
def test_only_what_follows_the_statement_is_taken_away(sql: str, bare: str):
    assert one_statement(sql) == bare


@pytest.mark.parametrize(
    ("sql", "words", "line"),
    [
        ("select 1;\ndrop table t", "more than one statement", 2),
        ("select 1)\n as a", "parenthesis", 1),
        ("select ')' as a,\n1))", "parenthesis", 2),
    ],
)
def test_a_second_statement_is_named_with_its_line(sql: str, words: str, line: int):
    with pytest.raises(SourceError, match=words) as caught:
        one_statement(sql)

    assert caught.value.facts["line"] == line


@pytest.mark.parametrize("sql", ["", " \n", ";", "-- a", "/* a */"])
def test_empty_sql_is_an_error(sql: str):
    with pytest.raises(SourceError, match="empty"):
        one_statement(sql)


def test_a_statement_is_known_by_its_first_word():
    starts = frozenset({"select", "with"})

    refuse_unless_select("-- delete\n((SELECT 1))", starts)
    with pytest.raises(SourceError, match="starts with DELETE"):
        refuse_unless_select("/* select */ delete from t", starts)


def test_a_place_past_the_end_is_on_the_last_line():
    assert [line_at("a\nb\n", at) for at in (0, 1, 2, 99)] == [1, 1, 2, 2]

"""The model's SQL as text: that it is one statement, what it starts with, and which line an error speaks of.

This is no security wall, it makes errors clear. The walls are the read-only session, the prepared single statement,
SQLite's authorizer and DuckDB's locked child.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.domain.errors import SourceError

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"]|"")*"|`[^`]*`)
    | (?P<word>[^\W\d]\w*)
    | (?P<open>'|"|`|/\*)
    | (?P<mark>\d[\w.]*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL that is neither blank nor comment. `start` and `end` count characters from 0."""

    kind: str  # string | name | word | open (a quote or comment without its end) | mark
    text: str
    start: int
    end: int


def tokens(sql: str) -> Iterator[Token]:
    """The pieces of the SQL in order, blanks and comments left out."""
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup or "mark"
        if kind != "space":
            yield Token("string" if kind == "tag" else kind, found[0], found.start(), found.end())


def one_statement(sql: str) -> str:
    """The SQL without what follows its one statement (semicolons, comments, blanks). Line numbers stay the same.

    Raises SourceError when it is empty, holds a second statement, or closes a parenthesis that it did not open.
    """
    end, depth, ended = 0, 0, False
    for token in tokens(sql):
        if token.text == ";" and token.kind == "mark":
            ended = ended or end > 0
            continue
        if ended:
            raise sql_fault(
                "It holds more than one statement. A model is one SELECT: remove what follows the semicolon.",
                sql,
                line_at(sql, token.start),
            )
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if depth < 0:
            raise sql_fault("It closes a parenthesis that was never opened.", sql, line_at(sql, token.start))
        end = token.end
    if not end:
        raise SourceError("The model's SQL is empty. Write one SELECT.", code="sql_error")
    return sql[:end]


def refuse_unless_select(sql: str, starts: frozenset[str]) -> None:
    """Raises SourceError when the statement begins with another word than those, such as INSERT or ATTACH."""
    for token in tokens(sql):
        if token.text == "(":
            continue
        if token.text.casefold() not in starts:
            raise sql_fault(
                f"It starts with {token.text[:40].upper()}. A model only reads: write one SELECT.",
                sql,
                line_at(sql, token.start),
            )
        return


def line_at(sql: str, position: int) -> int:
    """The line, from 1, of the character at that position, from 0; a position past the end is on the last line."""
    return sql.rstrip().count("\n", 0, max(position, 0)) + 1


def sql_fault(words: str, sql: str, line: int | None) -> SourceError:
    """The error for SQL that the database refused, in its own words, with the line of the user's SQL."""
    words = words.strip()[:_WORDS_MAX]
    lines = sql.splitlines()
    if line is None or not 1 <= line <= len(lines):
        return SourceError(f"The model's SQL failed: {words}", code="sql_error")
    text = lines[line - 1].strip()[:200]
    return SourceError(
        f"The model's SQL failed at line {line}: {words}\nLine {line}: {text}", code="sql_error", line=line, text=text
    )

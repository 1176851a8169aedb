"""The table of codes and the codes that the program uses are the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from headrace.domain.codes import ABOUT, CODES

SOURCES = Path(__file__).parents[2] / "src" / "headrace"
WITH_A_CODE = {"Finding": 0, "Complaint": 0, "RowFault": 0, "Stop": 0, "Requirement": 2, "error_document": 0}
"""Calls that take a code, and at which place."""
SQL_CODE = re.compile(r"'([a-z_]+)' AS code|VALUES \('', '([a-z_]+)'")


def test_every_code_of_the_program_is_in_the_table() -> None:
    """A code without an entry leaves a person alone with a word."""
    unknown = {f"{place}: {code}" for code, place in codes_used() if code not in CODES}

    assert set() == unknown


def test_every_code_of_the_table_is_used() -> None:
    """An entry that nothing uses explains what can't happen."""
    used = {code for code, _ in codes_used()}

    assert set() == set(CODES) - used


def test_an_entry_says_meaning_cause_and_mend_in_sentences() -> None:
    """The three parts of a message, in the reference too."""
    unfinished = [
        name
        for name, one in CODES.items()
        if one.about not in ABOUT or not all(part and part[-1] in ".`" for part in (one.meaning, one.cause, one.mend))
    ]

    assert [] == unfinished


def codes_used() -> Iterator[tuple[str, str]]:
    """(code, where) for each code that the sources hand out as a constant."""
    for path in sorted(SOURCES.rglob("*.py")):
        place = str(path.relative_to(SOURCES))
        if place.startswith(("emulator", "sample")) or place.startswith("domain/codes/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for code in _codes_of(node):
                yield code, f"{place}:{node.lineno}"  # type: ignore[attr-defined]


def _codes_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from (code for one in node.keywords if one.arg == "code" for code in _constants(one.value))
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            place = WITH_A_CODE.get(str(name))
            if place is not None and len(node.args) > place:
                yield from _constants(node.args[place])
        case ast.Assign(targets=[ast.Name(id="code" | "skip_code")]):
            yield from _constants(node.value)
        case ast.FunctionDef() if (ast.get_docstring(node) or "").startswith("(code, message)"):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Tuple):
                    yield from _constants(inner.value.elts[0])
        case ast.Constant(value=str() as text):
            yield from (first or second for first, second in SQL_CODE.findall(text))


def _constants(node: ast.expr) -> Iterator[str]:
    """The constants that the expression may have for a value."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp():
            yield from _constants(node.body)
            yield from _constants(node.orelse)
        case ast.BoolOp():
            yield from (code for one in node.values for code in _constants(one))

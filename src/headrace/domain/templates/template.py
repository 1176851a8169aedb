"""A template, read once: which columns it reads, what is wrong with it, and what it makes of a row.

Lines and columns count from 1, inside the template's own text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from liquid import BoundTemplate
from liquid.ast import Node
from liquid.builtin.expressions import Filter, FilteredExpression, KeywordArgument
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.static_analysis import Segments, TemplateAnalysis

from headrace.domain.coerce import Mismatch
from headrace.domain.columns import Columns, column_named
from headrace.domain.rules import VARIABLES
from headrace.domain.templates.catalogue import FILTERS
from headrace.domain.templates.environment import ENVIRONMENT, Rendering, render

LONGEST = 100_000
"""Characters of a template's own text."""
_ROOTS = {
    name: frozenset(one.partition(".")[2] for one in VARIABLES if one.startswith(f"{name}."))
    for name in dict.fromkeys(one.partition(".")[0] for one in VARIABLES)
}
"""run -> its members, sync -> its members, ..."""


class TemplateFault(Mismatch):
    """A row that the template fails on."""

    code = "template_error"

    def __init__(self, message: str) -> None:
        super().__init__("", "")
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.args[0])


class Complaint(NamedTuple):
    """One thing wrong with a template. `name` is what was looked for among `known`, where that is the fault."""

    code: str
    message: str
    name: str = ""
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A template that could be read."""

    source: str
    names: tuple[str, ...]
    """The columns it names, as it writes them, each once."""
    reads_all: bool
    """Whether it takes the row as a whole, or a column whose name it computes: then it reads every column."""
    _bound: BoundTemplate
    _analysis: TemplateAnalysis

    def render(self, row: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
        """The template's text for a row. `variables` is as `nested` makes it. Raises TemplateFault."""
        try:
            return render(self._bound, {**variables, "row": row})
        except LiquidError as error:
            where = _place(self.source, _index(error, 0)).lower()
            raise TemplateFault(f"the template fails at {where}: {error.message}") from None
        except RecursionError:
            raise TemplateFault("the template fails: its values are nested too deep") from None

    def complaints(self, columns: Columns | None) -> Iterator[Complaint]:
        """What is wrong with it. `columns` None: they are not known, and nothing is said about them."""
        yield from self._unknown_names(columns)
        yield from self._taken_names()
        for one in _filters(self._bound):
            yield from _filter_complaints(self.source, one)

    def _unknown_names(self, columns: Columns | None) -> Iterator[Complaint]:
        seen = set()
        for variable in chain.from_iterable(self._analysis.globals.values()):
            root, *path = variable.segments
            if str(variable) in seen:
                continue
            seen.add(str(variable))
            where = _place(self.source, variable.span.index)
            if not isinstance(root, str):
                yield Complaint("template_error", f"{where}: the name of a variable can't be computed.")
            elif root == "row":
                if columns is not None and path and isinstance(path[0], str | int):
                    yield from _column_complaints(where, str(path[0]), columns)
            elif root in _ROOTS:
                if path and isinstance(path[0], str) and path[0] not in _ROOTS[root]:
                    name = f"{root}.{path[0]}"
                    yield Complaint("unknown_value", f'{where}: there is no variable "{name}".', name, tuple(VARIABLES))
            elif root not in self._analysis.locals:
                yield _unknown_variable(where, root, columns)

    def _taken_names(self) -> Iterator[Complaint]:
        """`row` made anew would hide columns from the analysis."""
        for name, uses in self._analysis.locals.items():
            if name == "row" or name in _ROOTS:
                where = _place(self.source, uses[0].span.index)
                yield Complaint("template_error", f'{where}: the name "{name}" is taken; choose another.')


def read_template(source: str) -> Template | Complaint:
    """The template, or why it can't be read. The newline that a YAML block leaves at the end is not part of it."""
    return _read(source.removesuffix("\n"))


@lru_cache(maxsize=512)
def _read(source: str) -> Template | Complaint:
    if len(source) > LONGEST:
        return Complaint("template_error", f"The template has more than {LONGEST:,} characters.")
    try:
        bound = ENVIRONMENT.from_string(source)
        analysis = bound.analyze(include_partials=False)
    except LiquidError as error:
        said = "it is nested too deep" if isinstance(error.__cause__, RecursionError) else str(error.message)
        if said.startswith("expected tag"):
            said = said.replace("end of expression", "the end of the template")
        if said.startswith("expected an identifier"):
            said += '; a name that is a word of Liquid is written row["name"]'
        return Complaint("template_error", f"{_place(source, _index(error, len(source)))}: {said}.")
    except RecursionError:
        return Complaint("template_error", "The template is nested too deep.")
    uses: list[Segments] = [one.segments for one in analysis.globals.get("row", [])]
    named = [one[1] for one in uses if len(one) > 1]
    names = tuple(dict.fromkeys(str(one) for one in named if isinstance(one, str | int)))
    reads_all = any(len(one) == 1 for one in uses) or any(isinstance(one, list) for one in named)
    return Template(source, names, reads_all, bound, analysis)


def nested(variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`{"run.id": 7, ...}` as a template reads it: `{"run": {"id": 7}, ...}`."""
    made: dict[str, dict[str, Any]] = {}
    for name, value in variables.items():
        root, _, rest = name.partition(".")
        made.setdefault(root, {})[rest] = value
    return made


# Places ----------------------------------------------------------------------------------------------------------


def _place(source: str, index: int) -> str:
    before = source[: max(index, 0)]
    return f"Line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _index(error: LiquidError, unknown: int) -> int:
    """Where in the template the library sees the error; `unknown` where it does not say, as at the end of the text."""
    return unknown if error.token is None or error.token.start_index < 0 else error.token.start_index


# What is wrong with it ---------------------------------------------------------------------------------------------


def _unknown_variable(where: str, name: str, columns: Columns | None) -> Complaint:
    said = f'{where}: there is no variable "{name}".'
    if name in ("now", "today"):
        return Complaint("unknown_value", f"{said} The time is run.started_at.")
    if columns is not None and column_named(columns, name) is not None:
        return Complaint("unknown_value", f"{said} The column is row.{name}.")
    return Complaint("unknown_value", said, name, ("row", *_ROOTS))


def _column_complaints(where: str, name: str, columns: Columns) -> Iterator[Complaint]:
    if column_named(columns, name) is None:
        known = tuple(column.name for column in columns)
        yield Complaint("column_missing", f'{where}: the model has no column "{name}".', name, known)


def _filter_complaints(source: str, used: Filter) -> Iterator[Complaint]:
    where = _place(source, used.token.start_index)
    spec = FILTERS.get(used.name)
    if spec is None:
        yield Complaint("template_error", f'{where}: there is no filter "{used.name}".', used.name, tuple(FILTERS))
        return
    named = [one.name for one in used.args if isinstance(one, KeywordArgument)]
    given = len(used.args) - len(named)
    unknown = [name for name in named if name not in spec.named]
    if not spec.least <= given <= spec.most or unknown:
        takes = f"{{{{ value | {spec.name}{': ' if spec.arguments else ''}{spec.arguments} }}}}"
        yield Complaint("template_error", f"{where}: the filter {spec.name} is written {takes}.")


def _filters(template: BoundTemplate) -> Iterator[Filter]:
    """Every use of a filter, in the order of the text."""
    context = Rendering(template)

    def of_nodes(nodes: Sequence[Node]) -> Iterator[Filter]:
        for node in nodes:
            for expression in node.expressions():
                yield from of_expression(expression)
            yield from of_nodes(list(node.children(context, include_partials=False)))

    def of_expression(expression: Expression) -> Iterator[Filter]:
        if isinstance(expression, FilteredExpression):
            yield from expression.filters or ()
        for inner in expression.children():
            yield from of_expression(inner)

    return of_nodes(template.nodes)

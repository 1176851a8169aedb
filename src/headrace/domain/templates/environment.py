"""The Liquid library set up as ours: our filters, our way to write a value, no file, no clock, fixed limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import FilterArgumentError, LiquidError, UnknownFilterError
from liquid.token import Token
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap

# Imported for what they put into the catalogue.
from headrace.domain.templates import data_filters, date_filters, list_filters, number_filters, text_filters  # noqa: F401
from headrace.domain.templates.catalogue import FILTERS, FilterSpec
from headrace.domain.templates.comparing import adopt
from headrace.domain.templates.values import (
    MOST_CHARACTERS,
    MOST_ITERATIONS,
    MOST_WORK,
    refuse,
    text_of,
    weight_of,
)

DEEPEST = 30
"""Blocks inside blocks."""
MEMBER = 5
"""Characters that the member of a list counts for: it takes longer than a character."""
TAGS_LEFT_OUT = ("include", "render", "ifchanged", "doc")
"""What reads other templates, and what only one dialect of Liquid knows."""
NO_TAGS = ("content", "output", "illegal")
"""What the library keeps among its tags and is none."""


class Written(StringIO):
    """What is written of one rendering, or of one capture. It charges the rendering and stops at the limit."""

    def __init__(self, context: Rendering) -> None:
        super().__init__()
        self._context = context
        self._size = 0

    def write(self, text: str, /) -> int:
        self._size += len(text)
        if self._size > MOST_CHARACTERS:
            refuse(f"the output has more than {MOST_CHARACTERS:,} characters")
        self._context.charge(len(text))
        return super().write(text)


class Rendering(RenderContext):
    """One rendering of one row: its variables, and what it has used of the limits."""

    __slots__ = ("iterations", "work")

    def __init__(self, template: BoundTemplate, *, globals: Mapping[str, object] | None = None, **other: Any) -> None:
        super().__init__(template, globals=globals, **other)
        # The library's own scope knows `now` and `today` by the clock of the machine.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self.iterations = 0
        self.work = 0

    def charge(self, characters: int) -> None:
        """Count work done. Ends the rendering where it is more than a row may take."""
        self.work += characters
        if self.work > MOST_WORK:
            refuse(f"the row takes more than {MOST_WORK:,} characters of work")

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self.iterations += length
        if self.iterations > MOST_ITERATIONS:
            refuse(f"the loops make more than {MOST_ITERATIONS:,} turns")

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return Written(self)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        try:
            spec = FILTERS[name]
        except KeyError:
            raise UnknownFilterError(f"there is no filter {name}", token=token) from None
        if spec.knows_the_run:
            return partial(self._filtered, spec, started_at=self._started_at())
        return partial(self._filtered, spec)

    def _filtered(self, spec: FilterSpec, value: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(value, str):
            self.charge(len(value) * spec.work)
        elif isinstance(value, list):
            self.charge(len(value) * MEMBER)
        known = [None if isinstance(one, Undefined) else one for one in arguments]
        try:
            made = spec.function(None if isinstance(value, Undefined) else value, *known, **named)
            if type(made) is str:
                weight = len(made)
            else:
                weight = weight_of(made)
        except FilterArgumentError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RecursionError, ValueError) as fault:
            raise FilterArgumentError(f"the value can't be filtered ({fault})", token=None) from fault
        if weight > MOST_CHARACTERS:
            refuse(f"a value holds more than {MOST_CHARACTERS:,} characters or members")
        self.charge(weight)
        return made

    def _started_at(self) -> str:
        run = self.globals.get("run")
        return str(run.get("started_at", "")) if isinstance(run, Mapping) else ""


class _Shown(OutputNode):
    """`{{ ... }}`, with our way to write a value."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(text_of(self.expression.evaluate(context)))


class _Echoed(EchoNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(text_of(self.expression.evaluate(context)))


class _Cycled(CycleNode):
    """`{% cycle %}`: turns are counted by the name and the values together."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        name = "" if self.group is None else text_of(self.group.evaluate(context))
        values = tuple(text_of(one.evaluate(context)) for one in self.args)
        return buffer.write(values[context.cycle((name, values), len(values))])


class _CycleTag(CycleTag):
    node_class = _Cycled


class _OutputTag(Output):
    node_class = _Shown


class _EchoTag(EchoTag):
    node_class = _Echoed


class _Template(BoundTemplate):
    context_class = Rendering

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        adopt(self.nodes, Rendering(self))


class _Environment(Environment):
    template_class = _Template
    block_nesting_limit = DEEPEST
    context_depth_limit = DEEPEST + 5
    suppress_blank_control_flow_blocks = False

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(_OutputTag)
        self.add_tag(_EchoTag)
        self.add_tag(_CycleTag)
        for name in TAGS_LEFT_OUT:
            self.tags.pop(name, None)
        self.filters = {name: spec.function for name, spec in FILTERS.items()}

    def error(self, exc: Any, msg: str | None = None, token: Token | None = None) -> None:
        """Raise, with the place of the tag or output where the library knows no nearer one."""
        if isinstance(exc, LiquidError) and (exc.token is None or exc.token.start_index < 0):
            exc.token = token
        super().error(exc, msg, token)


ENVIRONMENT = _Environment()
TAGS = tuple(sorted({*ENVIRONMENT.tags, "raw"} - set(NO_TAGS)))
"""Every tag that a template may use."""


def render(template: BoundTemplate, variables: Mapping[str, object]) -> str:
    """What the template makes of the variables. Raises LiquidError with the place."""
    context = Rendering(template, globals=variables)
    output = Written(context)
    template.render_with_context(context, output)
    return output.getvalue()

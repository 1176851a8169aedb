"""How a template compares: the library's expressions, with our meaning.

Text that says a number compares with a number as that number; with any other text the comparison does not hold.
Null holds for nothing but equality. `blank` is null, false, white space, an empty list or object; `empty` is without
the first three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any

from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.logical import (
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import Blank, Empty
from liquid.expression import Expression
from liquid.undefined import Undefined

from headrace.domain.templates.values import number_in, same_kind


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same. 1 is 1.0 and not "1", and true is no number."""
    left = None if isinstance(left, Undefined) else left
    right = None if isinstance(right, Undefined) else right
    if isinstance(left, Blank | Empty):
        left, right = right, left
    if isinstance(right, Blank):
        return left is None or left is False or right == left
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    left, right = same_kind(left, right)
    return bool(left == right)


def holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """Whether an order holds between two values."""
    if isinstance(left, str) and isinstance(right, str):
        return compare(left, right)
    if isinstance(left, int | float | Decimal | str) and isinstance(right, int | float | Decimal | str):
        one, other = same_kind(number_in(left), number_in(right))
        return one is not None and other is not None and compare(one, other)
    return False


class _Equal(EqExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return equal(self.left.evaluate(context), self.right.evaluate(context))


class _Unequal(NeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return not equal(self.left.evaluate(context), self.right.evaluate(context))


class _Less(LtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return holds(lt, self.left.evaluate(context), self.right.evaluate(context))


class _Greater(GtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return holds(gt, self.left.evaluate(context), self.right.evaluate(context))


class _AtMost(LeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return holds(le, self.left.evaluate(context), self.right.evaluate(context))


class _AtLeast(GeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return holds(ge, self.left.evaluate(context), self.right.evaluate(context))


_OURS: dict[type, type] = {
    EqExpression: _Equal,
    NeExpression: _Unequal,
    LtExpression: _Less,
    GtExpression: _Greater,
    LeExpression: _AtMost,
    GeExpression: _AtLeast,
}


def adopt(nodes: Iterable[Node], context: RenderContext) -> None:
    """Give every comparison below the nodes our meaning. The library's parser leaves no other place to say so."""
    for node in nodes:
        for expression in node.expressions():
            _adopt(expression)
        adopt(node.children(context, include_partials=False), context)


def _adopt(expression: Expression) -> None:
    ours = _OURS.get(type(expression))
    if ours is not None:
        expression.__class__ = ours
    for inner in expression.children():
        _adopt(inner)

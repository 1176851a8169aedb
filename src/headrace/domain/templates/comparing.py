"""How a template compares and loops: the library's expressions, with our meaning.

Text that says a number compares with a number as that number; with any other text the comparison does not hold.
Null holds for nothing but equality. `blank` is null, false, white space, an empty list or object; `empty` is without
the first three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any

from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.primitive import Blank, Empty
from liquid.builtin.tags.case_tag import _AnyExpression
from liquid.expression import Expression
from liquid.token import Token
from liquid.undefined import Undefined

from headrace.domain.templates.values import is_object, items_of, number_in, same_kind, text_of


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


def contains(left: Any, right: Any) -> bool:
    """Whether a text holds a text, a list a member, an object a key. Nothing else holds anything."""
    match left:
        case str():
            return right is not None and not isinstance(right, Undefined) and text_of(right) in left
        case list() | tuple() | range():
            return any(equal(one, right) for one in items_of(left))
        case _ if is_object(left):
            return isinstance(right, str) and right in left
        case _:
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


class _Contains(ContainsExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return contains(self.left.evaluate(context), self.right.evaluate(context))


class _When(_AnyExpression):
    """The values of a `when`. It holds once, however many of them match."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> list[bool]:
        left = self.left.evaluate(context)
        return [any(equal(left, one.evaluate(context)) for one in self.expressions)]


class _Loop(LoopExpression):
    """What a loop goes over. A limit of 0, or of null, is a limit."""

    __slots__ = ()

    def _slice(
        self,
        it: Iterator[object],
        length: int,
        context: RenderContext,
        *,
        limit: int | None,
        offset: int | str | None,
    ) -> tuple[Iterator[object], int]:
        if limit is not None and limit <= 0:
            return iter(()), 0
        return super()._slice(it, length, context, limit=limit, offset=offset)

    def _to_int(self, obj: object, *, token: Token) -> int:
        return 0 if obj is None else super()._to_int(obj, token=token)


_OURS: dict[type, type] = {
    ContainsExpression: _Contains,
    _AnyExpression: _When,
    LoopExpression: _Loop,
    EqExpression: _Equal,
    NeExpression: _Unequal,
    LtExpression: _Less,
    GtExpression: _Greater,
    LeExpression: _AtMost,
    GeExpression: _AtLeast,
}


def adopt(nodes: Iterable[Node], context: RenderContext) -> None:
    """Give every expression below the nodes our meaning. The library's parser leaves no other place to say so."""
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

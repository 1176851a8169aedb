"""A part of a list, and the cursor to the next: the same shape for every list of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from headrace.domain.errors import UserError

T = TypeVar("T")
Order = Literal["newest", "oldest"]
LIMIT = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items in a stable order. `cursor`, handed back, gives the next ones; None says there are no more."""

    items: tuple[T, ...]
    cursor: str | None


def parse_cursor(cursor: str | None, parts: int) -> tuple[int, ...] | None:
    """The numbers of a cursor (`12` or `12.345`). Raises UserError `cursor_invalid` for what no page gave out."""
    if cursor is None:
        return None
    numbers = cursor.split(".")
    if len(numbers) != parts or not all(n.isascii() and n.isdigit() and len(n) < 19 for n in numbers):
        raise UserError(
            f'"{cursor[:40]}" is not a cursor of this list. Start again without one.', code="cursor_invalid"
        )
    return tuple(map(int, numbers))

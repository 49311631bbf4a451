"""A queue of items that gives lists from its front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_FEW = 64
"""So many items at the front are not worth a copy of the others."""


class Fifo:
    """A queue of items; to take some costs as much as they are, however many stay.

    Items that were taken are forgotten when they are more than those that stay.
    """

    __slots__ = ("_at", "_items")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._at = 0  # how many of the items were taken

    def __len__(self) -> int:
        return len(self._items) - self._at

    def put(self, items: Iterable[Any]) -> None:
        """Append items."""
        self._items.extend(items)

    def take(self, n: int) -> list[Any]:
        """Remove and return up to ``n`` items from the front, as a new list."""
        items, at = self._items, self._at
        end = at + n
        if end >= len(items):
            self._items, self._at = [], 0
            return items[at:] if at else items
        out = items[at:end]
        if end > _FEW and end * 2 > len(items):
            del items[:end]
            end = 0
        self._at = end
        return out

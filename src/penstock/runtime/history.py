"""What a mapping held at earlier moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

K = TypeVar("K")
V = TypeVar("V")

_FEW = 64
"""So many changes are not worth a copy of the mapping."""


class History(Generic[K, V]):
    """A mapping whose earlier contents can be read: to keep a moment costs nothing, to read it a copy.

    A change is appended to a list. When that is longer than the mapping, a new copy replaces both, so moments
    that were kept stay as they are.
    """

    __slots__ = ("_base", "_changes")

    def __init__(self, base: Mapping[K, V]) -> None:
        self._base = base
        self._changes: list[tuple[K, V | None]] = []

    def put(self, key: K, value: V | None) -> None:
        """Set the value of ``key``; ``None`` removes it."""
        if len(self._changes) > len(self._base) + _FEW:
            self._base, self._changes = self.now()(), []
        self._changes.append((key, value))

    def now(self) -> Callable[[], dict[K, V]]:
        """Return a function that returns what the mapping holds at this moment."""
        base, changes, count = self._base, self._changes, len(self._changes)

        def then() -> dict[K, V]:
            found = dict(base)
            for key, value in changes[:count]:
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = value
            return found

        return then

"""``Upstream``: what a running node promises to the stage below it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from penstock.abc import StageStatistics
    from penstock.runtime.run import Run

T = TypeVar("T")

States = dict[str, Any]
"""The states of all stateful nodes at and above a stage, by id."""

Marks = Callable[[int], States]
"""``marks(i)``: the position behind the first ``i`` items of the last chunk."""


class Upstream(ABC, Generic[T]):
    """A running node. Only its downstream calls it, one call at a time."""

    run: Run

    @abstractmethod
    async def request(self, n: int) -> list[T]:
        """Return 1 to ``n`` items; an empty list means the end.

        It may await only gates, turns of the loop, and ``request`` of its own upstream. It stores the items
        that upstream returned before it awaits again, so a cancelled request loses nothing.
        """

    async def lazily(self, n: int) -> Iterable[T]:
        """Do what ``request`` does, for a consumer that reads all items before it asks for more.

        The items may be produced while they are read, so that no list holds them all. A falsy result
        means the end; another result may be empty too.
        """
        return await self.request(n)

    @abstractmethod
    def marks(self) -> Marks:
        """Return the positions inside the last chunk, as a function that stays valid.

        Before the first request only ``marks(0)`` is known. While a request waits, ``marks(0)`` is the
        position behind the items that were delivered before it, because the request may be cancelled. After
        a failure, the mark behind all items of the last chunk stands before the input that failed. A stage
        that is not *tracked* knows only the position behind its whole last chunk.
        """

    @abstractmethod
    async def settle(self, count: int) -> None:
        """Acknowledge the first ``count`` items of the last chunk."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop all work at and above this node, once. An error while closing does not stop the closing."""

    @abstractmethod
    def title(self) -> str:
        """Return this node's name in statistics and tasks."""

    @abstractmethod
    def figures(self, places: Mapping[int, int]) -> Iterator[StageStatistics]:
        """Yield the statistics of the stages above, then of this one; see ``Stage.measured``."""

    @abstractmethod
    def waited(self, now: float) -> float:
        """Return the seconds spent in requests until ``now``, including a pending one."""

"""The promise of a running node to the stage below it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from penstock.abc import StageStatistics
    from penstock.runtime.run import Run

__all__ = ["Marks", "States", "Upstream"]

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
        """Return 1 to ``n`` items; the empty list is the end.

        It may await nothing but gates, turns of the loop, and ``request`` of its own upstream. What it has
        taken from there is stored before anything else is awaited, so a cancelled request loses nothing.
        """

    async def lazily(self, n: int) -> Iterable[T]:
        """Do what ``request`` does, for a driver that reads all items before it asks for more.

        The items may be produced while they are read, so that nobody holds them together. A falsy result
        means the end; any other result may still turn out to be empty.
        """
        return await self.request(n)

    @abstractmethod
    def marks(self) -> Marks:
        """Return positions inside the chunk last returned; the answer stays valid for ever.

        Before the first request it knows ``marks(0)``. As soon as a request waits for anything,
        ``marks(0)`` stands behind what was delivered before, because it may be cancelled there. After a
        failure, ``marks`` of the number of items last delivered stands before the input that failed. A
        stage that was not built *tracked* knows only the position behind its whole last chunk.
        """

    @abstractmethod
    async def settle(self, count: int) -> None:
        """Acknowledge ``count`` items of the last chunk."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop all work at and above this node, once. Everything is closed, even if some of that fails."""

    @abstractmethod
    def title(self) -> str:
        """Name this node in statistics and tasks."""

    @abstractmethod
    def figures(self, places: Mapping[int, int]) -> Iterator[StageStatistics]:
        """Yield the statistics of the stages above, then of this one; see ``Stage.measured``."""

    @abstractmethod
    def waited(self, now: float) -> float:
        """Return the seconds spent in requests until ``now``, the one under way included."""

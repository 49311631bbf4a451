"""``Upstream``: what a running node promises to the stage below it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.abc import StageStatistics
    from penstock.runtime.places import Places
    from penstock.runtime.run import Run

T = TypeVar("T")

States = dict[Any, Any]
"""The states of all nodes at and above a stage, by id. A key may be a ``Later``, for several of them."""

Marks = Callable[[int], States]
"""``marks(i)``: the position behind the first ``i`` items of the last chunk."""


class Later:
    """A key in ``States``; its value is the ``Marks`` and the offset that say the states of further ids.

    Marks call those of the stage above. In a deep graph some promise their states instead.
    """

    __slots__ = ()


def evaluated(states: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return states without ``Later``; a later state replaces an earlier one of the same id."""
    if not any(isinstance(key, Later) for key in states):
        return states
    found: States = {}
    unread = [iter(states.items())]
    while unread:
        for key, value in unread[-1]:
            if isinstance(key, Later):
                marks, offset = value
                unread.append(iter(marks(offset).items()))
                break
            found[key] = value
        else:
            unread.pop()
    return found


class Upstream(ABC, Generic[T]):
    """A running node. Only its downstream calls it, one call at a time."""

    run: Run

    instant: bool = False
    """Whether its requests wait for nothing but turns of the loop, and only when the run is strained.

    Closing it waits for nothing at all. So a stage that has several inputs asks this one without a task.
    """

    exhausted: bool = False
    """Whether it is known that no item follows the last chunk: the next request would find the end."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

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
    def upstreams(self) -> Iterable[Upstream[Any]]:
        """Return the running nodes that this one pulls from, and closes."""

    def observed(self, places: Places) -> Iterable[Upstream[Any]]:  # noqa: ARG002  for shared runs
        """Return the running nodes whose statistics come before those of this one."""
        return self.upstreams()

    @abstractmethod
    def measured(self, places: Places) -> StageStatistics | None:
        """Return the statistics of this node; ``None`` if it is none of the graph's."""

    @abstractmethod
    def waited(self, now: float) -> float:
        """Return the seconds spent in requests until ``now``, including a pending one."""

"""``default_if_empty`` and ``switch_if_empty``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.runtime.node import Node, node
from penstock.runtime.stage import Stage, behind
from penstock.runtime.stream import node_of
from penstock.sources.from_iterable import FromIterable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream


__all__ = ["DefaultIfEmpty", "SwitchIfEmpty", "default_if_empty", "switch_if_empty"]

T = TypeVar("T")

UNDECIDED, FIRST, SECOND = range(3)


def default_if_empty(default: T) -> Callable[[Flow[T]], Flow[T]]:
    """Give ``default`` if the flow completes without an item. A run that is drained gives none."""
    return attach(lambda node: DefaultIfEmpty(inputs=(node, FromIterable(items=(default,)))))


def switch_if_empty(other: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Go on with ``other`` if the flow completes without an item; ``other`` starts only then.

    An error is no completion: see ``recover``. A run that is drained before the first item ends there,
    and one that is resumed finds out for itself whether there are items.
    """
    second = node_of("what switch_if_empty goes on with", other)
    return attach(lambda node: SwitchIfEmpty(inputs=(node, second)))


@node
class SwitchIfEmpty(Node):
    """The first input; the second, which starts only then, if the first completes without an item."""

    operator = "switch_if_empty"
    stateful = True

    def bound(self, n: int) -> float:
        """Return the larger bound of the two."""
        return max(node.bound(n) for node in self.inputs)

    def start(self, site: Site) -> Stage[Any]:
        """Start with the input that a position names."""
        return _SwitchIfEmptyStage(site)


class DefaultIfEmpty(SwitchIfEmpty):
    """The first input; the second, one item, if the first completes without one."""

    operator = "default_if_empty"


class _SwitchIfEmptyStage(Stage[Any]):
    """Its state is which input was found to be the one."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._choice: int = site.state or UNDECIDED
        self._before = self._choice
        self._current = site.input(1 if self._choice == SECOND else 0, tracked=site.tracked)
        self._others: States = dict(site.states)
        self._done: tuple[Marks, ...] = ()  # of the first input, when it has ended

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._current

    def marks(self) -> Marks:
        key, others, above = self.site.vertex.id, self._others, self._current.marks()
        done, before, now = self._done, self._before, self._choice
        return lambda i: {**others, **behind(done), **above(i), key: now if i else before}

    async def _request(self, n: int) -> list[Any]:
        self._before = self._choice
        items = await self._current.request(n)
        if self._choice == UNDECIDED and not items and not self.run.draining:
            self._done = (self._current.marks(),)
            self.run.release(self._current.aclose())
            self._current = self.site.input(1, tracked=self.site.tracked)
            self._before = self._choice = SECOND
            items = await self._current.request(n)
        if self._choice == UNDECIDED and items:
            self._choice = FIRST
        return items

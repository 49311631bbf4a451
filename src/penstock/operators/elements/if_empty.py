"""The operators ``default_if_empty`` and ``switch_if_empty``, which fill in for an empty flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, joined
from penstock.runtime.node import Node, Site, node
from penstock.runtime.stage import Stage, behind
from penstock.sources.from_iterable import FromIterable

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Joinable
    from penstock.runtime.upstream import Marks, States, Upstream

T = TypeVar("T")

UNDECIDED, FIRST, SECOND = range(3)


def default_if_empty(default: T) -> Callable[[Flow[T]], Flow[T]]:
    """Yield ``default`` if the flow completes without an item.

    A run that is drained before its first item does not yield it.
    """
    return attach(lambda node: DefaultIfEmpty(inputs=(node, FromIterable(items=(default,)))))


def switch_if_empty(other: Joinable[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Continue with ``other`` if the flow completes without an item.

    ``other`` starts only then. An error does not count as completion: see ``recover``. A run that is
    drained before its first item ends without starting ``other``; the resumed run reads the flow and
    decides.
    """
    second = joined("the argument of switch_if_empty", other)
    return attach(lambda node: SwitchIfEmpty(inputs=(node, second)))


@node
class SwitchIfEmpty(Node):
    """Reads the first input, and the second one if the first completes without an item."""

    operator = "switch_if_empty"
    stateful = True

    def bound(self, n: int) -> float:
        return max(node.bound(n) for node in self.inputs)

    def start(self, site: Site) -> Stage[Any]:
        return _SwitchIfEmptyStage(site)


class DefaultIfEmpty(SwitchIfEmpty):
    """``SwitchIfEmpty`` with a second input of one item."""

    operator = "default_if_empty"


class _SwitchIfEmptyStage(Stage[Any]):
    """The state says which of the two inputs the run reads."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._choice: int = site.state or UNDECIDED
        self._before = self._choice
        self._current = site.input(1 if self._choice == SECOND else 0, tracked=site.tracked)
        self._others: States = site.given(0 if self._choice == SECOND else 1)
        self._ended: tuple[Marks, ...] = ()  # the last marks of the first input, once it ended

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._current

    def marks(self) -> Marks:
        key, others, above = self.site.vertex.id, self._others, self._current.marks()
        ended, before, now = self._ended, self._before, self._choice
        return lambda i: {**others, **behind(ended), **above(i), key: now if i else before}

    async def _request(self, n: int) -> list[Any]:
        self._before = self._choice
        items = await self._current.request(n)
        if self._choice == UNDECIDED and not items and not self.run.draining:
            self._ended = (self._current.marks(),)
            self.run.release(self._current)
            self._current = self.site.input(1, tracked=self.site.tracked)
            self._before = self._choice = SECOND
            items = await self._current.request(n)
        if self._choice == UNDECIDED and items:
            self._choice = FIRST
        return items

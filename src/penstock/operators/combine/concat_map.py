"""The operator ``concat_map``: a flow from each item, one flow after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.combine.flattening import FlatteningNode, flattening
from penstock.runtime.stage import Stage, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.built_at_runtime import BuiltFlow
    from penstock.runtime.inputs import Place
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")
U = TypeVar("U")


def concat_map(function: Callable[[T], Flow[U]], *, order: str | None = None) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to a flow and yield the items of these flows, one flow after the other.

    The next item is requested when the flow of the one before has completed. An error of ``function`` or
    of a flow ends the whole flow. A position holds where the present item stands and where its flow
    stands. A resumed run builds that flow again and continues inside it.

    Args:
        function: Returns a flow. For the same item it must build the same graph.
        order: The loosest order of the flows that ``function`` may return, for example
            ``"interleaved"`` if they merge. A flow with a looser order is a ``GraphError``. It is needed only
            if a checkpoint or a ``retry`` follows and an operator before that depends on the order. The error
            that asks for it says so.
    """
    return flattening(ConcatMap, function, order)


class ConcatMap(FlatteningNode):
    """The items of the flows that ``function`` builds, one flow after the other."""

    operator = "concat_map"


@runs(ConcatMap)
class _ConcatMapStage(Stage[Any]):
    """Its state is that of the present item's flow, or ``None``; ``_here`` is where the item stands."""

    def __init__(self, site: Site, node: ConcatMap) -> None:
        super().__init__(site)
        self._node = node
        self._outer = site.input()
        self._here: Place = (self._outer.marks(), 0)
        self._items: list[Any] = []
        self._inner: BuiltFlow | None = None
        self._state: JSON = site.state
        self._chunk = 0  # items of the last chunk
        self._arrived = 0  # items delivered since the flow was last asked

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._outer
        if self._inner is not None:
            yield self._inner.stage

    def marks(self) -> Marks:
        key, (page, offset), state = self.site.vertex.id, self._here, self._state
        if self._inner is None:
            return lambda _: {**page(offset), key: state}
        at, arrived = self._inner.state_at(), self._arrived
        return lambda i: {**page(offset), key: at(arrived + i)}

    async def _request(self, n: int) -> list[Any]:
        self._arrived += self._chunk  # a request may be cancelled several times before it asks the flow
        self._chunk = 0
        while True:
            if self.run.strained():
                await self.run.breathe()
            if self._inner is None and not await self._open():
                return []
            self._arrived, inner = 0, self._inner
            items = await inner.stage.request(n) if inner is not None else []
            self._chunk = len(items)
            if items or inner is None or self.run.draining:
                return items
            self._here = (self._here[0], 1)
            self._items, self._inner = [], None
            self.run.release(inner.stage.aclose())

    async def _open(self) -> bool:
        """Build the flow of the next item; return whether there is one."""
        if not self._items:
            self._items = await self._outer.request(1)
            self._here = (self._outer.marks(), 0)
        if self._items:
            self._inner = self._node.built(self.site, self._items[0], self._state)
            self._state = None
        return bool(self._items)

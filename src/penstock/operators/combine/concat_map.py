"""``concat_map``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, building
from penstock.runtime.arguments import function_for, order_named
from penstock.runtime.built_at_runtime import BuiltFlow
from penstock.runtime.inputs import Input
from penstock.runtime.node import Node, Order, node
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream

    Place = tuple[Marks, int]


__all__ = ["ConcatMap", "Flattening", "Started", "concat_map"]

T = TypeVar("T")
U = TypeVar("U")


def concat_map(function: Callable[[T], Flow[U]], *, order: str = "exact") -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of the flow ``function(item)`` of each item, one flow after the other.

    The next item is asked for when the flow of the one before has completed. An error of ``function``, or
    of a flow, ends the whole. A position holds where the present item stands and where its flow is, so that
    a resumed run builds that flow again and goes on inside it.

    Args:
        function: Returns a flow. Given the same item it must build the same graph.
        order: The loosest order of the flows it may return (``"interleaved"`` if it merges, for example),
            because nobody can see them when the graph is built. One that is looser is a ``GraphError``.
    """
    function_for("concat_map", function)
    within = order_named("concat_map", order)
    return attach(
        lambda node: ConcatMap(inputs=(node,), function=building("concat_map", function), within=within)
    )


@node
class Flattening(Node):
    """A node that builds a flow of each item; none of these may have a looser order than ``within``."""

    stateful = True

    function: Callable[[Any], Node]
    within: Order = Order.EXACT

    def bound(self, n: int) -> float:  # noqa: ARG002  nobody knows what the function will build
        """Return infinity: what will be built is not known yet."""
        return float("inf")

    @property
    def order(self) -> Order:
        """The loosest of the input's, its own, and that of what it builds."""
        return self.own_order.loosest(self.within, *(node.order for node in self.inputs))

    @property
    def repeatable(self) -> bool:
        """Whether the input is, and what is built is exact."""
        return self.within is Order.EXACT and all(node.repeatable for node in self.inputs)

    @property
    def obstacle(self) -> Node | None:
        """This node, if a resumed run might begin with another item than the one it was cut in."""
        above = self.inputs[0]
        return above.obstacle or (None if above.repeatable else self)


class Started:
    """The flow of one input: its number, where the input stands, and what runs."""

    __slots__ = ("branch", "inner", "number", "place")

    def __init__(self, number: int, place: Place, inner: BuiltFlow, ready: Callable[[], None]) -> None:
        self.number = number
        self.place = place
        self.inner = inner
        self.branch = Input(inner.stage, ready)


class ConcatMap(Flattening):
    """The items of the flows that ``function`` makes of its items, one flow after the other."""

    operator = "concat_map"

    def start(self, site: Site) -> Stage[Any]:
        """Start the input; a flow starts when the one before has ended."""
        return _ConcatMapStage(site, self)


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
        self._arrived = 0  # how many, while the flow has not been asked for the next chunk

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
        self._arrived += self._chunk  # it may be cancelled more than once before the flow is asked
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
        """Build the flow of the next item; false if there is none."""
        if not self._items:
            self._items = await self._outer.request(1)
            self._here = (self._outer.marks(), 0)
        if self._items:
            item, function = self._items[0], self._node.function
            self._inner = BuiltFlow(self.site, partial(function, item), self._state, order=self._node.within)
            self._state = None
        return bool(self._items)

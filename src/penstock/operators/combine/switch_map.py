"""``switch_map``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, building
from penstock.operators.combine.concat_map import Flattening, Started
from penstock.runtime.arguments import function_for, order_named
from penstock.runtime.built_at_runtime import BuiltFlow
from penstock.runtime.inputs import Input, stop_all, withdrawing
from penstock.runtime.node import Order
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream

    Place = tuple[Marks, int]


__all__ = ["SwitchMap", "switch_map"]

T = TypeVar("T")
U = TypeVar("U")


def switch_map(function: Callable[[T], Flow[U]], *, order: str = "exact") -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of the flow ``function(item)`` of the latest item: a new item ends the flow before.

    What the flow before had given and nobody had taken is dropped, so behind items that are all ready
    hardly any flow but the last gives much. It completes when its input and the present flow have. An
    error of either is raised at once. A position holds where the present item stands and where its flow is.

    Args:
        function: Returns a flow. Given the same item it must build the same graph.
        order: The loosest order of the flows it may return, as of ``concat_map``.
    """
    function_for("switch_map", function)
    within = order_named("switch_map", order)
    return attach(
        lambda node: SwitchMap(inputs=(node,), function=building("switch_map", function), within=within)
    )


class SwitchMap(Flattening):
    """The items of the flow that ``function`` makes of the latest item; a new item ends the flow before."""

    operator = "switch_map"
    own_order = Order.LOSSY

    @property
    def repeatable(self) -> bool:
        """False: whether the present flow gives the next item, or a new one does, is a matter of time."""
        return False

    def start(self, site: Site) -> Stage[Any]:
        """Start the input; its task starts with the first request."""
        return _SwitchMapStage(site, self)


class _SwitchMapStage(Stage[Any]):
    """Its state is that of the present item's flow; the input stands before that item."""

    def __init__(self, site: Site, node: SwitchMap) -> None:
        super().__init__(site)
        self._node = node
        self._ready = Gate(self.run)
        self._outer = Input(site.input(), self._ready.open)
        self._present: Started | None = None
        self._state: JSON = site.state
        self._start: Place | None = None

    @property
    def buffered(self) -> int:
        return self._outer.left + (self._present.branch.left if self._present is not None else 0)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._outer.stage
        if self._present is not None:
            yield self._present.inner.stage

    def marks(self) -> Marks:
        key, present, state = self.site.vertex.id, self._present, self._state
        if present is None:
            page, offset = self._outer.place
            return lambda _: {**page(offset), key: state}
        page, offset = present.place
        (inner, at), moved = self._start or present.branch.place, self._start is not None
        return lambda i: {**page(offset), key: present.inner.state(inner(at + (i if moved else 0)))}

    async def _request(self, n: int) -> list[Any]:
        self._start = None
        if self.run.strained():
            await self.run.breathe()
        while True:
            if self._outer.left and not self.run.draining:
                self._switch()
            present = self._present
            if present is not None and present.branch.left:
                self._start = present.branch.place
                return present.branch.take(n)
            if self._over():
                return []
            self._outer.want(1)
            branches = [self._outer] if self._present is None else [self._outer, self._present.branch]
            for branch in branches[1:]:
                branch.want(n)
            with withdrawing(branches):
                await (self.run.breathe() if self.run.strained() else self._ready.wait())

    def _switch(self) -> None:
        """End the present flow and start that of the new item."""
        outer, function = self._outer, self._node.function
        place, item = outer.place, outer.items[outer.at]
        inner = BuiltFlow(self.site, partial(function, item), self._state, order=self._node.within)
        if self._present is not None:
            self._present.branch.release()
        self._present, self._state = Started(0, place, inner, self._ready.open), None
        outer.at += 1

    def _over(self) -> bool:
        """Say whether nothing can come any more; raise what has failed, let go what has ended."""
        outer, present = self._outer, self._present
        for branch in [outer] if present is None else [present.branch, outer]:
            if branch.failed and branch.failure is not None:
                branch.failure.throw()
        if present is not None and present.branch.over:
            present.branch.release()
            self._present = present = None
        idle = self.run.draining if outer.left else outer.ended
        return idle and (present is None or present.branch.ended)

    async def _stop(self) -> None:
        await stop_all([self._outer, *([self._present.branch] if self._present is not None else [])])

"""The operator ``concat_map``: a flow from each item, one flow after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.combine.flattening import FlatteningNode, InnerFlow, flattening
from penstock.operators.combine.join import raise_failure
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.built_at_runtime import BuiltFlow
    from penstock.runtime.input import Place
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")
U = TypeVar("U")


def concat_map(
    function: Callable[[T], Flow[U]], concurrency: int = 1, *, order: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to a flow and yield the items of these flows, one flow after the other.

    The next item is requested when the flow of the one before has completed. With a ``concurrency`` above 1
    the flows of the next items run already, and the order of the items stays the same. Each flow that waits
    holds one list of items, no longer than the last request; put ``buffer(k)`` after the flow that
    ``function`` returns to let it hold more.

    An error of ``function`` or of a flow ends the whole flow, after the items before it. A position holds
    where the present item stands and where its flow stands. A resumed run builds that flow again and
    continues inside it; the flows that waited begin again.

    Args:
        function: Returns a flow. For the same item it must build the same graph.
        concurrency: How many flows may run at once.
        order: The loosest order of the flows that ``function`` may return, for example
            ``"interleaved"`` if they merge. A flow with a looser order is a ``GraphError``. It is needed only
            if a checkpoint or a ``retry`` follows and an operator before that depends on the order. The error
            that asks for it says so.
    """
    positive("concat_map", "concurrency", concurrency)
    return flattening(ConcatMap, function, order, concurrency=concurrency)


@node
class ConcatMap(FlatteningNode):
    """The items of the flows that ``function`` builds, one flow after the other."""

    operator = "concat_map"

    concurrency: int = 1

    def start(self, site: Site) -> Upstream[Any]:
        return (_ConcatMapStage if self.concurrency == 1 else _EagerStage)(site, self)


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
            self.run.release(inner.stage)

    async def _open(self) -> bool:
        """Build the flow of the next item; return whether there is one."""
        if not self._items:
            self._items = await self._outer.request(1)
            self._here = (self._outer.marks(), 0)
        if self._items:
            self._inner = self._node.built(self.site, self._items[0], self._state)
            self._state = None
        return bool(self._items)


class _EagerStage(JoinStage):
    """The flows of the next items run while the first of the running flows is delivered.

    Its state is that of ``_ConcatMapStage``. ``inputs`` are the input, then the running flows.
    """

    def __init__(self, site: Site, node: ConcatMap) -> None:
        super().__init__(site)
        self._node = node
        self._outer = self.inputs[0]
        self._flows: deque[InnerFlow] = deque()
        self._state: JSON = site.state  # of a resumed run, until its flow is built
        self._failure: Failure | None = None

    def marks(self) -> Marks:
        key, state = self.site.vertex.id, self._state
        if not self._flows:
            page, offset = self._outer.place
            return lambda _: {**page(offset), key: state}
        first, (inner, at), moved = self._flows[0], self.places()[1], self.start is not None
        page, offset = first.origin
        return lambda i: {**page(offset), key: first.built.state_behind(inner, at + (i if moved else 0))}

    def prepare(self) -> None:
        """Release the flows that have been delivered, and build the next ones."""
        flows, outer = self._flows, self._outer
        done = False
        while flows and flows[0].over:
            flows.popleft().release()
            done = True
        count = len(flows)
        if self._failure is None and not self.run.draining:
            self._fill()
        if done or len(flows) > count:
            self.inputs = [outer, *flows]

    def _fill(self) -> None:
        """Build the flows of the items that have arrived, as long as there is room."""
        flows, outer = self._flows, self._outer
        while outer.left and len(flows) < self._node.concurrency:
            try:
                built = self._node.built(self.site, outer.items[outer.at], self._state)
            except BaseException as error:  # noqa: BLE001  the flows before it are delivered first
                self._failure = Failure(error)
                return
            flows.append(InnerFlow(built, outer.place, self))
            self._state = None
            outer.at += 1

    def collect(self, n: int) -> list[Any]:
        items = self._flows[0].take(n) if self._flows else []
        if items:
            self.ask(n)  # so that the flows go on while these items are handled
        return items

    def ask(self, n: int) -> None:
        for flow in self._flows:
            flow.want(n)
        if room := self._node.concurrency - len(self._flows):
            self._outer.want(room)

    def over(self) -> bool:
        if self._flows:
            first = self._flows[0]
            raise_failure([first])
            return self.run.draining and first.ended
        if self._failure is not None:
            self._failure.throw()
        raise_failure([self._outer])
        return self.run.draining if self._outer.left else self._outer.ended

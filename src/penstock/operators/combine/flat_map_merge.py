"""The operator ``flat_map_merge``: a flow from each item, several flows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.combine.flattening import FlatteningNode, InnerFlow, flattening
from penstock.operators.combine.join import counted, raise_failure
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")
U = TypeVar("U")


def flat_map_merge(
    function: Callable[[T], Flow[U]], concurrency: int = 8, *, order: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to a flow and yield items as they arrive, ``concurrency`` flows at once.

    Flows start in the order of their items; when one completes, the next one starts. An error of a flow
    ends the whole flow after everything fetched before the error is delivered. An error of the input or of
    ``function`` is raised after the flows started before it have completed.

    A position holds where the first item stands whose flow is not done, and where each unfinished flow
    stands. So it is refused behind flows of no fixed order. A resumed run reads the items from there again
    and skips those whose flows were done.

    Args:
        function: Returns a flow. For the same item it must build the same graph.
        concurrency: How many flows may run at once.
        order: The loosest order of the flows that ``function`` may return, as for ``concat_map``.
    """
    positive("flat_map_merge", "concurrency", concurrency)
    return flattening(FlatMapMerge, function, order, concurrency=concurrency)


@node
class FlatMapMerge(FlatteningNode):
    """The items of the flows that ``function`` builds, ``concurrency`` flows at a time."""

    operator = "flat_map_merge"
    own_order = Order.INTERLEAVED

    concurrency: int

    @property
    def obstacle(self) -> Node | None:
        """This node, if its inputs have no fixed order: the next run would number them differently."""
        above = self.inputs[0]
        return above.obstacle or (None if above.order is Order.EXACT else self)


@runs(FlatMapMerge)
class _FlatMapMergeStage(JoinStage):
    """Inputs are numbered from 0, the first one that was not done at the position of the start.

    Flows start in the order of their inputs. So an input before ``_started`` is done if it is neither
    ``_running`` nor ``_owed`` (unfinished in the run before, and not yet built again). Both together are
    never more than ``concurrency``, so the state is small. ``_first`` is the number of the input of the
    next item if that is known: a resumed run begins with it, as a merge does.

    ``branches`` are the input, then the running flows.
    """

    def __init__(self, site: Site, node: FlatMapMerge) -> None:
        super().__init__(site)
        self._node = node
        self._outer = self.inputs[0]
        state = site.state or {"open": [], "started": 0, "next": None}
        self._owed: dict[int, JSON] = dict(state["open"])
        self._started: int = state["started"]
        self._first: int | None = state["next"]
        self._number = 0  # of the next input
        self._running: dict[int, InnerFlow] = {}
        self._served = -1
        self._parts: list[tuple[int, int]] = []  # of the last chunk: number of the input, how many items
        self._failure: Failure | None = None

    def marks(self) -> Marks:
        key, parts, first = self.site.vertex.id, tuple(self._parts), self._first
        outer, *inner = self.places()
        flows = [
            (flow.number, flow.built, *at) for flow, at in zip(self._running.values(), inner, strict=True)
        ]
        head = next(iter(self._running.values()), None)
        low, place = (self._number, outer) if head is None else (head.number, head.origin)
        owed = [[k - low, state] for k, state in self._owed.items()]
        started = max(self._started, self._number) - low

        def at(i: int) -> States:
            counts, following = counted(parts, i, first)
            page, offset = place
            running = [[k - low, built.state(marks(n + counts[k]))] for k, built, marks, n in flows]
            state = {"open": running + owed, "started": started}
            return {**page(offset), key: {**state, "next": None if following is None else following - low}}

        return at

    def begin(self) -> None:
        self.start, self._parts = None, []

    def prepare(self) -> None:
        """Release the flows that have ended, and start others."""
        for flow in [flow for flow in self._running.values() if flow.over]:
            del self._running[flow.number]
            flow.release()
            if self._first == flow.number:
                self._first = None
        if self._outer.over and self._first not in self._running:
            self._first = None  # the input has fewer items than before
        if self._failure is None and not self.run.draining:
            self._fill()
        self.inputs = [self._outer, *self._running.values()]

    def _fill(self) -> None:
        """Start the flows of the inputs that have arrived, as long as there is room."""
        outer = self._outer
        while outer.left and len(self._running) < self._node.concurrency:
            number = self._number
            if number >= self._started or number in self._owed:
                try:
                    built = self._node.built(self.site, outer.items[outer.at], self._owed.get(number))
                except BaseException as error:  # noqa: BLE001  items of other flows are delivered before it
                    self._failure = Failure(error)
                    return
                self._owed.pop(number, None)
                self._running[number] = InnerFlow(built, outer.place, self.ready.open, number)
            outer.at += 1
            self._number += 1

    def collect(self, n: int) -> list[Any]:
        """Take up to ``n`` held items, beginning behind the flow that was served last."""
        flows = list(self._running.values())
        if self._first is not None:  # a resumed run begins with one item of that flow
            flows, n = [flow for flow in flows if flow.number == self._first], 1
        out: list[Any] = []
        for flow in sorted(flows, key=lambda flow: (flow.number <= self._served, flow.number)):
            if flow.left:
                items = flow.take(n - len(out))
                self._parts.append((flow.number, len(items)))
                out += items
                if self._first is None:
                    self._served = flow.number
                if len(out) >= n:
                    break
        if out:
            self._first = None
        return out

    def over(self) -> bool:
        raise_failure(self.inputs[1:])
        running, outer, first = self._running, self._outer, self._first
        if not running or (first is not None and first not in running):  # no flow may deliver any more
            if self._failure is not None:
                self._failure.throw()
            raise_failure([outer])
        idle = self.run.draining or (outer.ended and not outer.left)
        if first is not None:  # items of the other flows must not go before its item
            return idle and (first not in running or running[first].ended)
        return idle and all(flow.ended for flow in running.values())

    def ask(self, n: int) -> None:
        for flow in self._running.values():
            flow.want(n)
        if room := self._node.concurrency - len(self._running):
            self._outer.want(room)

"""The operator ``flat_map_merge``: a flow from each item, several flows at once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.combine.flattening import FlatteningNode, InnerFlow, flattening
from penstock.operators.combine.join import counted, raise_failure, take_in_turn
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure
from penstock.runtime.history import History
from penstock.runtime.inputs import JoinStage
from penstock.runtime.node import node
from penstock.runtime.order import Order
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.input import Input, Place
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, States

T = TypeVar("T")
U = TypeVar("U")

OUTER = -1
"""The index of the input of the whole."""


def flat_map_merge(
    function: Callable[[T], Flow[U]], concurrency: int = 8, *, order: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to a flow and yield items as they arrive, ``concurrency`` flows at once.

    Flows start in the order of their items; when one completes, the next one starts. An error of a flow
    ends the whole flow after everything fetched before the error is delivered. An error of the input or of
    ``function`` is raised after the flows started before it have completed.

    A position holds where the first item stands whose flow is not done, and where each unfinished flow
    stands. So it is refused downstream of flows of no fixed order. A resumed run reads the items from there
    again and skips those whose flows were done.

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

    The index of a flow is its number, that of the input is ``OUTER``. ``_holding`` are the flows that hold
    items, in their turns; ``_over`` those that have completed and were not released yet.
    """

    def __init__(self, site: Site, node: FlatMapMerge) -> None:
        super().__init__(site)
        self._node = node
        (self._outer,) = self.inputs
        self._outer.index = OUTER
        state = site.state or {"open": [], "started": 0, "next": None}
        self._owed: dict[int, JSON] = dict(state["open"])
        self._started: int = state["started"]
        self._first: int | None = state["next"]
        self._number = 0  # of the next input
        self._running: dict[int, InnerFlow] = {}
        self._history: History[int, Any] = History({OUTER: (self._outer, self._outer.place)})
        self._holding: deque[Input] = deque()
        self._over: list[Input] = []
        self._parts: list[tuple[int, int]] = []  # of the last chunk: number of the input, how many items
        self._failure: Failure | None = None

    def branches(self) -> list[Input]:
        return [self._outer, *self._running.values()]

    def record(self, one: Input) -> None:
        known = one is self._outer or one.index in self._running
        self._history.put(one.index, (one, one.place) if known else None)

    def marks(self) -> Marks:
        key, parts, first, then = self.site.vertex.id, tuple(self._parts), self._first, self.places().then
        number, begun, owed = self._number, max(self._started, self._number), tuple(self._owed.items())

        def at(i: int) -> States:
            counts, following = counted(parts, i, first)
            flows: dict[int, tuple[InnerFlow, Place]] = then()
            _, (page, offset) = flows.pop(OUTER)
            low = number
            if flows:
                low = min(flows)
                page, offset = flows[low][0].origin
            running = [
                [k - low, flow.built.state(marks(n + counts[k]))] for k, (flow, (marks, n)) in flows.items()
            ]
            waiting = [[k - low, state] for k, state in owed]
            state = {"open": running + waiting, "started": begun - low}
            return {**page(offset), key: {**state, "next": None if following is None else following - low}}

        return at

    def begin(self) -> None:
        self.start, self._parts = None, []

    def arrived(self, one: Input) -> None:
        if one is self._outer:
            return
        if one.left:
            self._holding.append(one)
        elif one.over:
            self._over.append(one)

    def prepare(self) -> None:
        """Release the flows that have ended, start others in their place, and ask those that need no task.

        So one request takes items from as many flows as may run, although some have ended in the one before.
        """
        outer, most, run = self._outer, self._node.concurrency, self.run
        while True:
            self._release()
            if self._failure is None and not run.draining:
                self._fill()
            self._ask_now()
            if not (self._over or (outer.left and len(self._running) < most)) or run.strained():
                return
            if self._failure is not None or run.draining:
                return

    def _ask_now(self) -> None:
        """Ask the inputs without items that need no task."""
        for one in self.changed:  # their places go into the history later: they may change again
            if one.taken >= one.size and one.idle:
                self.idle[one] = None
        room = self._node.concurrency - len(self._running)
        for one in tuple(self.idle):
            n = room if one is self._outer else self.wanted
            if n:
                one.want_now(n)

    def _release(self) -> None:
        """Release the flows that have ended."""
        for flow in self._over:
            del self._running[flow.index]
            flow.note()
            flow.close()
            if self._first == flow.index:
                self._first = None
        self._over.clear()

    def _fill(self) -> None:
        """Start and ask the flows of the inputs that have arrived, while there is room, and time (law 11)."""
        outer = self._outer
        while outer.left and len(self._running) < self._node.concurrency and not self.run.strained():
            number = self._number
            if number >= self._started or number in self._owed:
                try:
                    built = self._node.built(self.site, outer.items[outer.at], self._owed.get(number))
                except BaseException as error:  # noqa: BLE001  items of other flows are delivered before it
                    self._failure = Failure(error)
                    return
                self._owed.pop(number, None)
                flow = self._running[number] = InnerFlow(built, outer.place, self, number)
                flow.note()
                self.alive += 1
                flow.want_now(self.wanted)
            outer.at += 1
            self._number += 1

    def collect(self, n: int) -> list[Any]:
        """Take up to ``n`` held items, beginning with the flow whose turn it is."""
        if self._outer.over and self._first not in self._running:
            self._first = None  # the input has fewer items than before
        if self._first is not None:  # a resumed run begins with one item of that flow
            first = self._running.get(self._first)
            out = first.take(1) if first is not None else []
            if out:
                self._parts.append((self._first, 1))
                self._first = None
            return out
        return take_in_turn(self._holding, n, self._parts)

    def over(self) -> bool:
        running, outer, first = self._running, self._outer, self._first
        raise_failure(sorted((one for one in self.faults if one is not outer), key=lambda one: one.index))
        if not running or (first is not None and first not in running):  # no flow may deliver any more
            if self._failure is not None:
                self._failure.throw()
            raise_failure([outer])
        idle = self.run.draining or (outer.ended and not outer.left)
        if first is not None:  # items of the other flows must not go before its item
            return idle and (first not in running or running[first].ended)
        return idle and self.alive == (not outer.ended)

    def ask(self, n: int) -> None:
        for one in tuple(self.idle):
            if one is not self._outer:
                one.want(n)
        if room := self._node.concurrency - len(self._running):
            self._outer.want(room)

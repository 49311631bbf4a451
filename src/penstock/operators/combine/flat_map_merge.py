"""``flat_map_merge``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, building
from penstock.operators.combine.concat_map import Flattening, Started
from penstock.runtime.arguments import function_for, order_named, positive
from penstock.runtime.built_at_runtime import BuiltFlow
from penstock.runtime.failures import Failure
from penstock.runtime.inputs import Input, stop_all, withdrawing
from penstock.runtime.node import Order, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, States, Upstream


__all__ = ["FlatMapMerge", "flat_map_merge"]

T = TypeVar("T")
U = TypeVar("U")


def flat_map_merge(
    function: Callable[[T], Flow[U]], concurrency: int = 8, *, order: str = "exact"
) -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of the flow ``function(item)`` of each item as they come, several flows at once.

    Flows start in the order of their items; whenever one completes, the next one starts. An error of a flow
    ends the whole as soon as everything that had been fetched before it is delivered; an error of the items
    or of ``function`` waits until the flows that were begun before it have completed.

    A position holds where the first item stands whose flow is not done, and where each unfinished flow is;
    so it is refused behind flows of no fixed order. A resumed run reads the items from there again and
    leaves out those whose flows were done.

    Args:
        function: Returns a flow. Given the same item it must build the same graph.
        concurrency: How many flows may run at once.
        order: The loosest order of the flows it may return, as of ``concat_map``.
    """
    function_for("flat_map_merge", function)
    positive("flat_map_merge", "concurrency", concurrency)
    within = order_named("flat_map_merge", order)
    return attach(
        lambda node: FlatMapMerge(
            inputs=(node,),
            function=building("flat_map_merge", function),
            within=within,
            concurrency=concurrency,
        )
    )


@node
class FlatMapMerge(Flattening):
    """The items of the flows that ``function`` makes of its items, ``concurrency`` flows at a time."""

    operator = "flat_map_merge"
    own_order = Order.INTERLEAVED

    concurrency: int

    @property
    def obstacle(self) -> Node | None:
        """This node, if its inputs come in no fixed order: the next run would give them other numbers."""
        above = self.inputs[0]
        return above.obstacle or (None if above.order is Order.EXACT else self)

    def start(self, site: Site) -> Stage[Any]:
        """Start the input; its task starts with the first request."""
        return _FlatMapMergeStage(site, self)


class _FlatMapMergeStage(Stage[Any]):
    """Inputs are numbered from 0, the first one that the position it began with has not settled.

    Flows start in the order of their inputs. So of all inputs before ``_started`` those are done that are
    neither ``_running`` nor, in a resumed run, ``_owed``: there are never more of these than may run at
    once, and the state needs no list of the others. ``_first`` is the number of the input of the next
    item where that is known: a resumed run begins with that one, as a merge does.
    """

    def __init__(self, site: Site, node: FlatMapMerge) -> None:
        super().__init__(site)
        self._node = node
        self._ready = Gate(self.run)
        self._outer = Input(site.input(), self._ready.open)
        state = site.state or {"open": [], "started": 0, "next": None}
        self._owed: dict[int, JSON] = dict(state["open"])
        self._started: int = state["started"]
        self._first: int | None = state["next"]
        self._number = 0  # of the input that comes next
        self._running: dict[int, Started] = {}
        self._served = -1
        self._parts: list[tuple[int, int]] = []  # of the last chunk: number of the input, how many items
        self._start: Callable[[dict[int, int], int | None], States] | None = None
        self._failure: Failure | None = None

    @property
    def buffered(self) -> int:
        return self._outer.left + sum(one.branch.left for one in self._running.values())

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._outer.stage
        for one in self._running.values():
            yield one.inner.stage

    def marks(self) -> Marks:
        states, parts, first = self._start or self._snapshot(), tuple(self._parts), self._first

        def at(i: int) -> States:
            counts: dict[int, int] = {}
            following = first
            for number, count in parts:
                counts[number] = min(i, count)
                if i < count:
                    following = number
                    break
                i -= count
            return states(counts, following)

        return at

    def _snapshot(self) -> Callable[[dict[int, int], int | None], States]:
        """Return what gives the states behind here, given how many more items each input's flow has given."""
        key, owed, number = self.site.vertex.id, tuple(self._owed.items()), self._number
        running = [(one.number, one.inner, *one.branch.place) for one in self._running.values()]
        low, place = number, self._outer.place
        if running:
            low, place = running[0][0], self._running[running[0][0]].place
        started = max(self._started, number)

        def states(counts: dict[int, int], following: int | None) -> States:
            page, offset = place
            inner = [[k - low, flow.state(at(i + counts.get(k, 0)))] for k, flow, at, i in running]
            still = [[k - low, state] for k, state in owed]
            first = None if following is None else following - low
            return {**page(offset), key: {"open": inner + still, "started": started - low, "next": first}}

        return states

    async def _request(self, n: int) -> list[Any]:
        self._start, self._parts = None, []
        if self.run.strained():
            await self.run.breathe()
        while True:
            self._sweep()
            if self._failure is None and not self.run.draining:
                self._fill()
            start = self._snapshot()
            out = self._collect(n)
            if out:
                self._start = start
                return out
            self._throw()
            if self._over():
                return []
            branches = [one.branch for one in self._running.values()]
            for branch in branches:
                branch.want(n)
            if room := self._node.concurrency - len(branches):
                self._outer.want(room)
            with withdrawing([self._outer, *branches]):
                await (self.run.breathe() if self.run.strained() else self._ready.wait())

    def _sweep(self) -> None:
        """Give back the flows that have ended."""
        for one in [one for one in self._running.values() if one.branch.over]:
            del self._running[one.number]
            one.branch.release()
            if self._first == one.number:
                self._first = None
        if self._outer.over and self._first not in self._running:
            self._first = None  # there are fewer inputs than there were

    def _fill(self) -> None:
        """Start flows of the inputs that are there, as long as there is room."""
        outer, function, within = self._outer, self._node.function, self._node.within
        while outer.left and len(self._running) < self._node.concurrency:
            number, item = self._number, outer.items[outer.at]
            if number >= self._started or number in self._owed:
                try:
                    state = self._owed.get(number)
                    inner = BuiltFlow(self.site, partial(function, item), state, order=within)
                except Exception as error:  # noqa: BLE001  what other flows have given goes first
                    self._failure = Failure(error)
                    return
                self._owed.pop(number, None)
                self._running[number] = Started(number, outer.place, inner, self._ready.open)
            outer.at += 1
            self._number += 1

    def _collect(self, n: int) -> list[Any]:
        """Take up to ``n`` held items, beginning behind the flow that was served last."""
        if self._first is not None:
            return self._begin_with(self._first)
        out: list[Any] = []
        behind = [one for one in self._running.values() if one.number > self._served]
        for one in [*behind, *(one for one in self._running.values() if one.number <= self._served)]:
            if one.branch.left:
                items = one.branch.take(n - len(out))
                self._parts.append((one.number, len(items)))
                self._served = one.number
                out += items
                if len(out) >= n:
                    break
        return out

    def _begin_with(self, number: int) -> list[Any]:
        """Take one item of the flow that a resumed run has to begin with."""
        one = self._running.get(number)
        out = one.branch.take(1) if one is not None else []
        if out:
            self._parts.append((number, 1))
            self._first = None
        return out

    def _throw(self) -> None:
        """Raise what has failed: a flow, at once; the input or the function, when no flow runs any more."""
        failures = (one.branch.failure for one in self._running.values() if one.branch.failed)
        failure = next(failures, None)
        if failure is None and not self._running:
            failure = self._failure or (self._outer.failure if self._outer.failed else None)
        if failure is not None:
            failure.throw()

    def _over(self) -> bool:
        idle = self.run.draining or (self._outer.ended and not self._outer.left)
        if idle and self._first is not None:  # what the other flows hold cannot go before that one's item
            first = self._running.get(self._first)
            return first is None or first.branch.ended
        return idle and all(one.branch.ended for one in self._running.values())

    async def _stop(self) -> None:
        await stop_all([self._outer, *(one.branch for one in self._running.values())])

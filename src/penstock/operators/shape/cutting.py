"""The base of stages that hold some of their inputs: ``sliding``, ``split``, ``take_last``, ``collect``.

It works on slices of whole chunks, which is faster than a loop over items where no user function is called.

**Positions without a copy of the held items.** Inputs are numbered from 0. Each output comes with its *low*:
the number of the first input that is still needed after it. The position after the output stands before
that input, so a resumed run reads the held items again. A low may lie beyond the last input taken:
``sliding`` may leave out items between two lists, and ``collect`` needs no input once its container is
delivered. The state then is the number of inputs that are missing; there is no other state.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.fifo import Fifo
from penstock.runtime.pages import Pages
from penstock.runtime.run import Gate, Pace
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream


class Inputs:
    """The numbered inputs from one upstream, and the positions before those that are still needed."""

    __slots__ = ("_pages", "count", "forget", "keep_ends", "stage")

    def __init__(self, stage: Upstream[Any]) -> None:
        self.stage = stage
        self.count = 0
        """How many inputs were taken."""
        self._pages = Pages()
        self._pages.add(0, stage.marks())
        self.forget = self._pages.forget
        self.keep_ends = self._pages.keep_ends

    async def fetch(self, n: int) -> list[Any]:
        """Request up to ``n`` more inputs."""
        try:
            items = await self.stage.request(n)
        except BaseException:
            self._pages.add(self.count, self.stage.marks())  # before the input that failed
            raise
        self._pages.add(self.count, self.stage.marks())
        self.count += len(items)
        return items

    def positions(self) -> Callable[[int], tuple[States, int]]:
        """Return a function of an input number that returns the position before that input.

        It also returns how many inputs that position lies ahead of upstream. It stays valid for ever.
        """
        find, count = self._pages.find(), self.count

        def before(number: int) -> tuple[States, int]:
            at = min(number, count)
            marks, offset = find(at)
            return marks(offset), number - at

        return before


class ShapingStage(Stage[Any]):
    """Takes slices of inputs, passes them to ``take``, and delivers the outputs with their lows.

    Subclasses hold the inputs that they still need, and add outputs with ``put``.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.inputs = Inputs(site.input())
        self.start: int = site.state or 0
        """How many inputs beyond upstream's position the resumed run had already settled."""
        self.settled_state = 0
        """The state to write where no input is missing."""
        self.done = 0
        """How many inputs were passed to ``take``."""
        self._page: list[Any] = []
        self._offset = 0
        self._pace = Pace()
        self._values = Fifo()
        self._lows = Fifo()  # of each value
        self.low = self.start
        """The number of the first input that was still needed before the last chunk."""
        self._last: list[int] = []  # the lows of the last chunk
        self._ended = False
        self._failure: Failure | None = None
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self.inputs.stage

    @property
    def buffered(self) -> int:
        return max(0, self.inputs.count - (self._last[-1] if self._last else self.low))

    @abstractmethod
    def demand(self, n: int) -> int:
        """Return how many inputs to request when ``n`` outputs are wanted."""

    @abstractmethod
    def take(self, items: list[Any]) -> None:
        """Work on the inputs ``items``; the first has the number ``self.done``."""

    def finish(self) -> None:
        """Put the last outputs when upstream has completed."""

    def put(self, values: Iterable[Any], lows: Iterable[int]) -> None:
        """Add outputs, each with the number of the first input that is still needed after it."""
        self._values.put(values)
        self._lows.put(lows)

    def skip(self, error: BaseException, item: Any) -> None:
        """Leave out the input on which a function failed, or raise the error that ends the run."""
        node, skipping = self.site.vertex.node, self.site.skipping
        error = raised_by_user(error, node.describe())
        if skipping is None or not isinstance(error, Exception):
            raise error
        answer = skipping.handle(error, item, node)  # on_error_replace does not cover these operators
        if isinstance(answer, BaseException):
            raise answer

    def forget(self) -> None:
        """Drop the marks that no later position needs."""
        self.inputs.forget(self.low)

    async def _request(self, n: int) -> list[Any]:
        if self._last:
            self.low, self._last = self._last[-1], []
        skipping = self.site.skipping
        while True:
            if self.run.strained():
                await self.run.breathe()
            if skipping is not None and skipping.full:
                await skipping.pause(self._gate)
            self._work(n)
            if self._values:
                return self._deliver(n)
            if self._offset < len(self._page):
                continue
            if self._failure is not None:
                self._failure.throw()
            if self._ended:
                return []
            await self._turn_page(n)

    async def _turn_page(self, n: int) -> None:
        self.forget()
        self._page, self._offset = await self.inputs.fetch(self.demand(n)), 0
        if not self._page:
            self._ended = True
            if not self.run.draining:  # a drained run has not completed; the resumed run will call finish
                self._guard(self.finish)

    def _work(self, n: int) -> None:
        """Take slices of the page until there are ``n`` outputs, or until other tasks must run."""
        clock = self.run.clock.monotonic
        while self._offset < len(self._page) and len(self._values) < n and self._failure is None:
            began, start = clock(), self._offset
            self._offset = min(start + self._pace.size, len(self._page))
            items = self._page[start : self._offset]
            self._guard(partial(self.take, items))
            self.done += len(items)
            self._pace.took(clock() - began)
            if self.run.strained():
                return

    def _guard(self, work: Callable[[], None]) -> None:
        """Call ``work``; keep its error until the outputs before it are delivered (law 4)."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001  the request that finds no output before it raises it
            self._failure = Failure(raised_by_user(error, self.site.vertex.node.describe()))
            self._page, self._offset = [], 0

    def _deliver(self, n: int) -> list[Any]:
        self._last = self._lows.take(n)
        return self._values.take(n)

    def marks(self) -> Marks:
        low, last, settled = self.low, self._last, self.settled_state
        before = self.inputs.positions()
        key = self.site.vertex.id if self.site.vertex.node.stateful else None

        def at(i: int) -> States:
            states, ahead = before(last[i - 1] if i else low)
            return {**states, key: ahead or settled} if key is not None else states

        return at

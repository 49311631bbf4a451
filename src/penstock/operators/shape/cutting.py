"""Stages that cut outputs out of numbered inputs: ``sliding``, ``skip_last``, ``take_last``, ``split``.

They work on whole chunks where they call no function of a user, which is faster than any loop over items.

**Positions without a copy of what is held.** Inputs are numbered from 0, and each output says how many of
them nobody needs any more: its *low*. The position behind it stands before the first input that is still
needed, so that a resumed run reads what was held once more. A low beyond what upstream has given so far
(``sliding`` with gaps, or ``collect`` when it has said all it had to say) is kept as the number of inputs
missing: that is all the state there is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from penstock.runtime.failures import Failure, annotate
from penstock.runtime.run import Gate, Pace
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream


__all__ = ["Inputs", "ShapingStage"]


class Inputs:
    """The inputs of one upstream, numbered, and where each of those that are still needed stands."""

    __slots__ = ("_pages", "count", "stage")

    def __init__(self, stage: Upstream[Any]) -> None:
        self.stage = stage
        self.count = 0
        """How many inputs were taken."""
        self._pages: deque[tuple[int, Marks]] = deque(
            [(0, stage.marks())]
        )  # number of the first input, marks

    async def fetch(self, n: int) -> list[Any]:
        """Ask for up to ``n`` more."""
        try:
            items = await self.stage.request(n)
        except Exception:
            self._pages.append((self.count, self.stage.marks()))  # before the input that failed
            raise
        self._pages.append((self.count, self.stage.marks()))
        self.count += len(items)
        return items

    def forget(self, low: int) -> None:
        """Take note that no position before input number ``low`` will be asked for."""
        pages = self._pages
        while len(pages) > 1 and pages[1][0] <= low:
            pages.popleft()

    def keep_ends(self) -> None:
        """Take note that no position will be asked for but before the first input and at the end."""
        while len(self._pages) > 2:  # noqa: PLR2004  the two ends
            del self._pages[1]

    def positions(self, high: int) -> Callable[[int], tuple[States, int]]:
        """Return what gives the position before an input, and how many inputs that is ahead of upstream.

        It stays valid for ever, and knows inputs up to number ``high``.
        """
        pages, count = list(takewhile(lambda page: page[0] <= high, self._pages)), self.count

        def before(number: int) -> tuple[States, int]:
            at = min(number, count)
            first, marks = next(page for page in reversed(pages) if page[0] <= at)
            return marks(at - first), number - at

        return before


class ShapingStage(Stage[Any]):
    """One skeleton for all: take a slice of inputs, cut what can be cut, deliver, remember the lows.

    Subclasses keep in ``held`` the inputs they still need, and put outputs with ``put``.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.inputs = Inputs(site.input())
        self.start: int = site.state or 0
        """How many inputs beyond upstream's position were settled by the run that this one resumes."""
        self.said = 0
        """What takes the place of a state of 0."""
        self.done = 0
        """How many inputs were worked on."""
        self._page: list[Any] = []
        self._offset = 0
        self._pace = Pace()
        self._values: list[Any] = []
        self.lows: list[int] = []
        self.low = self.start
        """The number of the first input that was still needed before the last chunk."""
        self._last: list[int] = []  # the lows of the last chunk
        self._ended = False
        self._failure: Failure | None = None
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the one upstream."""
        yield self.inputs.stage

    @property
    def buffered(self) -> int:
        """Inputs taken that are still needed."""
        return max(0, self.inputs.count - (self._last[-1] if self._last else self.low))

    @abstractmethod
    def wanted(self, n: int) -> int:
        """Return how many inputs to ask for when ``n`` outputs are wanted."""

    @abstractmethod
    def take(self, items: list[Any]) -> None:
        """Work on the inputs ``items``, of which the first has the number ``self.done``."""

    def finish(self) -> None:
        """Say what is to be said at the end of upstream."""

    def put(self, values: Iterable[Any], lows: Iterable[int]) -> None:
        """Add outputs, each with the number of the first input that is still needed behind it."""
        self._values.extend(values)
        self.lows.extend(lows)

    def skip(self, error: Exception, item: Any) -> None:
        """Leave out the input that a function failed on, or raise what the run fails with."""
        error = _spoken(error)
        annotate(error, self.site.vertex.node.describe())
        skipping = self.site.skipping
        fault = error if skipping is None else skipping.refuses(error, item)
        if fault is not None:
            raise fault

    def forget(self) -> None:
        """Let go of what no later position needs."""
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
                return self._give(n)
            if self._offset < len(self._page):
                continue
            if self._failure is not None:
                self._failure.throw()
            if self._ended:
                return []
            await self._turn_page(n)

    async def _turn_page(self, n: int) -> None:
        self.forget()
        self._page, self._offset = await self.inputs.fetch(self.wanted(n)), 0
        if not self._page:
            self._ended = True
            if not self.run.draining:  # cut off is not the end: a resumed run will say it
                self._guard(self.finish)

    def _work(self, n: int) -> None:
        """Take slices of the page until there are ``n`` outputs, or it is time for others."""
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
        """Call ``work``; keep its error until what was put before is delivered (law 4)."""
        try:
            work()
        except Exception as raised:  # noqa: BLE001  raised by the request that finds nothing before it
            error = _spoken(raised)
            annotate(error, self.site.vertex.node.describe())
            self._failure = Failure(error)
            self._page, self._offset = [], 0

    def _give(self, n: int) -> list[Any]:
        out, self._last = self._values[:n], self.lows[:n]
        del self._values[:n], self.lows[:n]
        return out

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        low, last, said = self.low, tuple(self._last), self.said
        before = self.inputs.positions(last[-1] if last else low)
        key = self.site.vertex.id if self.site.vertex.node.stateful else None

        def at(i: int) -> States:
            states, ahead = before(last[i - 1] if i else low)
            return {**states, key: ahead or said} if key is not None else states

        return at


def _spoken(error: Exception) -> Exception:
    """Return ``error``, or what becomes of a stray ``StopIteration``, which would look like an end."""
    if not isinstance(error, StopIteration):
        return error
    stray = RuntimeError("a function let a StopIteration escape")
    stray.__cause__ = error
    return stray.with_traceback(error.__traceback__)

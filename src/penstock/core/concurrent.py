"""``map_async``: an async function over many items at a time, in a bounded window."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.node import Node, Order
from penstock.core.notes import Failure, annotate
from penstock.core.run import Gate
from penstock.core.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States

__all__ = ["MapAsync", "MapAsyncUnordered"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapAsync(Node):
    """Each item becomes ``await function(item)``, ``concurrency`` of them at a time, in order.

    At most ``window`` inputs are taken from upstream and not delivered yet.
    """

    operator = "map_async"

    function: Callable[[Any], Awaitable[Any]]
    concurrency: int
    window: int

    def bound(self, n: int) -> float:
        """Return M_up(window) + n."""
        return self.inputs[0].bound(self.window) + n

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage; its workers start with the first request."""
        return _MapAsyncStage(site, self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapAsyncUnordered(MapAsync):
    """The same, in order of completion.

    Its position is the low watermark (the first input not delivered) and the inputs delivered beyond it,
    counted from there; the window bounds them.
    """

    own_order = Order.INTERLEAVED
    stateful = True

    @property
    def structure(self) -> str:
        """Part of the shape, because a position of the ordered form has no state."""
        return "(unordered)"


class _MapAsyncStage(Stage[Any]):
    """Inputs are numbered from 0 in the order in which upstream gave them.

    ``_low`` is the first one not delivered, ``_acked`` those delivered beyond it; ``_places`` says where
    each input from ``_low`` on stands upstream. ``_results`` is what may be delivered next; an ordered
    stage keeps what came too soon in ``_early``.
    """

    def __init__(self, site: Site, node: MapAsync) -> None:
        super().__init__(site)
        self._node = node
        self._ordered = not isinstance(node, MapAsyncUnordered)
        self._upstream = site.input()
        self._acked: set[int] = set(site.state or ())
        self._skip = set(self._acked)
        self._low = 0
        self._places: deque[tuple[Marks, int]] = deque()
        self._behind: tuple[Marks, int] = (self._upstream.marks(), 0)
        self._page: list[Any] = []
        self._offset = 0  # of the next input to start, in the page
        self._fetched = 0  # inputs taken from upstream so far
        self._held = 0  # inputs taken and neither delivered nor skipped
        self._fetching = False
        self._exhausted = False
        self._failing = False
        self._results: deque[tuple[int, Any, Failure | None]] = deque()
        self._early: dict[int, tuple[int, Any, Failure | None]] = {}
        self._due = 0  # ordered: the input whose result comes next
        self._last: list[int] = []  # the inputs delivered by the last request
        self._failure: Failure | None = None
        self._final: Failure | None = None  # upstream's failure, behind everything that is still in flight
        self._ready = Gate(self.run)
        self._idle: deque[Gate] = deque()
        self._workers: list[asyncio.Task[None]] = []

    def upstreams(self) -> Iterator[Stage[Any]]:
        yield self._upstream

    # -- downstream's side -----------------------------------------------------------------------

    async def _request(self, n: int) -> list[Any]:
        self._low = self._advance(self._last, self._places)
        self._last = []
        if self._failure is not None:
            self._failure.throw()
        if self.run.strained():
            await self.run.breathe()
        if not self._workers:
            name = self._node.operator
            self._workers = [
                self.run.spawn(self._work(), f"{name} {k}") for k in range(self._node.concurrency)
            ]
        self._call_for_input()
        while not self._results:
            if self._failure is not None:
                self._failure.throw()
            if self._exhausted and not self._held:
                if self._final is not None:
                    self._final.throw()
                return []
            await self._ready.wait()
        out = self._deliver(n)
        self._call_for_input()
        return out

    def _deliver(self, n: int) -> list[Any]:
        results, last = self._results, self._last
        out: list[Any] = []
        while results and len(out) < n:
            number, value, failure = results[0]
            if failure is not None:
                self._failure = failure
                if not out:
                    failure.throw()
                break
            results.popleft()
            last.append(number)
            out.append(value)
        self._held -= len(out)
        return out

    def _call_for_input(self) -> None:
        """Wake a worker to fetch, if there is room and nothing left to start."""
        if (
            self._idle
            and self._offset >= len(self._page)
            and not self._exhausted
            and self._held < self._node.window
        ):
            self._idle.popleft().open()

    # -- the workers' side -----------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            await self._serve(Gate(self.run))
        except Exception as error:  # noqa: BLE001  a fault of ours must end the run, not leave it waiting
            if not self.run.over(error):
                self._failing, self._failure = True, Failure(error)
                self._ready.open()

    async def _serve(self, gate: Gate) -> None:
        """Take inputs until there are no more, or one failed."""
        run, function = self.run, self._node.function
        while not self._failing:
            if self._offset >= len(self._page):
                if self._fetching or self._exhausted or self._held >= self._node.window:
                    self._idle.append(gate)
                    await gate.wait()
                elif not await self._fetch():
                    return
                continue
            if run.strained():
                await run.breathe()
                continue
            number = self._fetched - len(self._page) + self._offset
            item = self._page[self._offset]
            self._offset += 1
            if self._idle and self._offset < len(self._page):
                self._idle.popleft().open()
            if self._skip and number in self._skip:
                self._skip.discard(number)
                self._finish(number, None, None, skipped=True)
                continue
            try:
                value = await function(item)
            except asyncio.CancelledError as error:
                if self._closed or run.closed:
                    raise
                outside = RuntimeError("map_async: the function was cancelled by somebody else than Penstock")
                outside.__cause__ = error
                self._fail(number, outside)
            except Exception as error:  # noqa: BLE001  it crosses to the task that requests
                self._fail(number, error)
            else:
                self._finish(number, value, None)

    async def _fetch(self) -> bool:
        """Ask upstream for as many inputs as there is room for; false if the run is over."""
        self._fetching = True
        try:
            page = await self._upstream.request(self._node.window - self._held)
        except Exception as error:  # noqa: BLE001  it crosses to the task that requests
            if self.run.over(error):
                return False
            self._final = Failure(error)
            page = []
        finally:
            self._fetching = False
        marks = self._upstream.marks()
        self._page, self._offset = page, 0
        self._fetched += len(page)
        self._held += len(page)
        self._exhausted = not page
        self._behind = (marks, len(page))
        self._places.extend((marks, i) for i in range(len(page)))
        if self._exhausted:
            self._ready.open()
        return True

    def _finish(self, number: int, value: Any, failure: Failure | None, *, skipped: bool = False) -> None:
        """Put a result where it belongs: at the end, or (ordered) behind those of earlier inputs."""
        if skipped:
            self._held -= 1
            self._ready.open()
            return
        result = (number, value, failure)
        if self._ordered:
            self._early[number] = result
            while (next_one := self._early.pop(self._due, None)) is not None:
                self._results.append(next_one)
                self._due += 1
        else:
            self._results.append(result)
        if self._results:
            self._ready.open()

    def _fail(self, number: int, error: BaseException) -> None:
        annotate(error, self._node.describe())
        self._failing = True
        self._finish(number, None, Failure(error))

    async def _stop(self) -> None:
        workers, self._workers = self._workers, []
        for task in workers:
            task.cancel()
        if workers:
            await asyncio.wait(workers)
        errors = [
            error for task in workers if not task.cancelled() and (error := task.exception()) is not None
        ]
        if errors:
            raise errors[0]

    # -- positions -------------------------------------------------------------------------------

    def _advance(self, delivered: list[int], places: deque[tuple[Marks, int]]) -> int:
        """Acknowledge ``delivered``; drop the places below the new low watermark and return it."""
        self._acked.update(delivered)
        low, self._acked = _watermark(self._low, self._acked)
        for _ in range(min(low - self._low, len(places))):
            places.popleft()
        return low

    def marks(self) -> Marks:
        key, low, last = self.site.vertex.id, self._low, tuple(self._last)
        acked, places, behind = frozenset(self._acked), tuple(self._places), self._behind
        stateful = self._node.stateful

        def at(i: int) -> States:
            mark, beyond = _watermark(low, acked.union(last[:i]))
            page, offset = places[mark - low] if mark - low < len(places) else behind
            states = dict(page(offset))
            if stateful:
                states[key] = sorted(number - mark for number in beyond)
            return states

        return at


def _watermark(low: int, acked: set[int] | frozenset[int]) -> tuple[int, set[int]]:
    """Return the first number from ``low`` on that is not acknowledged, and those that are beyond it."""
    left = set(acked)
    while low in left:
        left.discard(low)
        low += 1
    return low, left

"""``map_async``: an async function over many items at a time, in a bounded window."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.node import Node, Order
from penstock.core.notes import Failure, annotate
from penstock.core.run import Gate, Pace
from penstock.core.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States

__all__ = ["MapAsync", "MapAsyncUnordered"]

LOOK_AFTER = 64
"""The most calls to start between two looks at the clock."""


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
    remedy = (
        "unordered, it knows inputs by their number, and here they come in another order the next time. "
        "Pass ordered=True, or put it in front of the merge, or of the unordered operator, that is upstream."
    )

    @property
    def obstacle(self) -> Node | None:
        """This node, if its inputs come in no fixed order: the next run would give them other numbers."""
        above = self.inputs[0]
        return above.obstacle or (None if above.order is Order.EXACT else self)

    @property
    def repeatable(self) -> bool:
        """False: which of the inputs under way completes first is nobody's to say."""
        return False

    @property
    def structure(self) -> str:
        """Part of the shape, because a position of the ordered form has no state."""
        return "(unordered)"


class _MapAsyncStage(Stage[Any]):
    """Inputs are numbered from 0 in the order in which upstream gave them.

    ``_low`` is the first one not delivered, ``_acked`` those delivered beyond it; ``_pages`` says where
    the inputs from ``_low`` on stand upstream. ``_numbers`` and ``_values`` are what may be delivered
    next; an ordered stage keeps what came too soon in ``_early``. After the first failure nothing is
    started and nothing is added: it is raised when the values before it are gone.
    """

    def __init__(self, site: Site, node: MapAsync) -> None:
        super().__init__(site)
        self._node = node
        self._ordered = not isinstance(node, MapAsyncUnordered)
        self._upstream = site.input()
        self._acked: set[int] = set(site.state or ())
        self._skip = set(self._acked)
        self._low = 0
        self._pages: deque[tuple[int, int, Marks]] = deque()  # number of the first input, how many, marks
        self._behind: tuple[Marks, int] = (self._upstream.marks(), 0)
        self._inputs: deque[tuple[int, Any]] = deque()  # taken from upstream and not started
        self._fetched = 0  # inputs taken from upstream so far
        self._held = 0  # inputs taken and neither delivered nor skipped
        self._fetching = False
        self._exhausted = False
        self._failure: Failure | None = None
        self._final: Failure | None = None  # upstream's failure, behind everything that is still in flight
        self._numbers: list[int] = []
        self._values: list[Any] = []
        self._early: dict[int, tuple[Any, Failure | None]] = {}
        self._due = 0  # ordered: the input whose result comes next
        self._stopping = False
        self._last: list[int] = []  # the inputs delivered by the last request
        self._ready = Gate(self.run)
        self._idle: deque[Gate] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._pace = Pace()
        self._until_look = 1  # inputs to start before the clock is looked at again
        self._looked = 0.0

    @property
    def buffered(self) -> int:
        """Inputs taken and not delivered."""
        return self._held

    def upstreams(self) -> Iterator[Stage[Any]]:
        """Yield the one upstream."""
        yield self._upstream

    # -- downstream's side -----------------------------------------------------------------------

    async def _request(self, n: int) -> list[Any]:
        self._acknowledge()
        if self.run.strained():
            await self.run.breathe()
        if not self._workers:
            name = self._node.operator
            self._workers = [
                self.run.spawn(self._work(), f"{name} {k}") for k in range(self._node.concurrency)
            ]
        while not self._values:
            if self._failure is not None:
                self._failure.throw()
            if self._exhausted and not self._held:
                if self._final is not None:
                    self._final.throw()
                return []
            if not self._inputs:
                self._call(1)
            await self._ready.wait()
        out, self._last = self._values[:n], self._numbers[:n]
        del self._values[:n], self._numbers[:n]
        self._held -= len(out)
        if not self._inputs:
            self._call(1)
        return out

    def _acknowledge(self) -> None:
        """Take note that what the last request delivered has arrived."""
        self._low = _watermark(self._low, self._acked, self._last)
        self._last = []
        while self._pages and self._pages[0][0] + self._pages[0][1] <= self._low:
            self._pages.popleft()

    def _call(self, count: int) -> None:
        """Wake workers that wait for inputs or for room."""
        idle = self._idle
        while count and idle:
            idle.popleft().open()
            count -= 1

    # -- the workers' side -----------------------------------------------------------------------

    async def _work(self) -> None:  # noqa: PLR0912  the hot loop: another call would cost each item a frame
        """Take inputs, and fetch or wait for more, until the first failure."""
        gate, function = Gate(self.run, for_task=True), self._node.function
        inputs, values, ordered = self._inputs, self._values, self._ordered
        while not self._stopping:
            if not inputs:
                try:
                    await self._await_input(gate)
                except Exception as error:  # noqa: BLE001  a fault of ours must end the run, not leave it waiting
                    return self._give_up(error)
                continue
            number, item = inputs.popleft()
            if self._skip and number in self._skip:
                self._pass_over(number)
                continue
            self._until_look -= 1
            try:
                if not self._until_look:
                    await self._look()
                value = await function(item)
            except asyncio.CancelledError as error:
                if self._closed or self.run.closed:
                    raise
                outside = RuntimeError("map_async: the function was cancelled by somebody else than Penstock")
                outside.__cause__ = error
                self._fail(number, outside)
            except Exception as error:  # noqa: BLE001  it crosses to the task that requests
                if self.run.over(error):
                    return None
                self._fail(number, error)
            else:
                if ordered and (number != self._due or self._early):
                    self._sort_in(number, value, None)
                elif self._failure is None:
                    self._due += 1
                    self._numbers.append(number)
                    values.append(value)
                    if len(values) == 1:
                        self._ready.open()
        return None

    def _give_up(self, error: Exception) -> None:
        if not self.run.over(error):
            self._stopping, self._failure = True, Failure(error)
            self._ready.open()

    async def _await_input(self, gate: Gate) -> None:
        """Fetch if that is possible and nobody else does; otherwise wait to be called, and call others."""
        if self._fetching or self._exhausted or self._held >= self._node.window:
            self._idle.append(gate)
            await gate.wait()
        else:
            await self._fetch()
        if self._inputs:
            self._call(2)  # so all are awake in few turns, and few are woken in vain

    async def _look(self) -> None:
        """Look at the clock, and let others run if this run has kept the loop for too long."""
        now = self.run.clock.monotonic()
        self._pace.took(now - self._looked)
        if self.run.strained():
            await self.run.breathe()
            now = self.run.clock.monotonic()
        self._looked, self._until_look = now, min(self._pace.size, LOOK_AFTER)

    def _pass_over(self, number: int) -> None:
        """Leave out an input that the run which this one resumes had delivered."""
        self._skip.discard(number)
        self._held -= 1
        if not self._held:
            self._ready.open()

    async def _fetch(self) -> None:
        """Ask upstream for as many inputs as there is room for."""
        self._fetching = True
        try:
            page = await self._upstream.request(self._node.window - self._held)
        except Exception as error:
            if self.run.over(error):
                raise
            self._final = Failure(error)
            page = []
        finally:
            self._fetching = False
        marks = self._upstream.marks()
        self._inputs.extend(enumerate(page, self._fetched))
        self._pages.append((self._fetched, len(page), marks))
        self._behind = (marks, len(page))
        self._fetched += len(page)
        self._held += len(page)
        self._exhausted = not page
        if self._exhausted:
            self._ready.open()

    def _sort_in(self, number: int, value: Any, failure: Failure | None) -> None:
        """Keep a result until those of all earlier inputs are there."""
        early = self._early
        early[number] = (value, failure)
        while self._due in early and self._failure is None:
            value, failure = early.pop(self._due)
            if failure is not None:
                self._failure = failure
            else:
                self._numbers.append(self._due)
                self._values.append(value)
            self._due += 1
        self._ready.open()

    def _fail(self, number: int, error: BaseException) -> None:
        annotate(error, self._node.describe())
        failure = Failure(error)
        if self._ordered:
            self._sort_in(number, None, failure)
        elif self._failure is None:
            self._failure = failure
            self._ready.open()
        self._stopping = True

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

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        key, low, last, acked = self.site.vertex.id, self._low, tuple(self._last), frozenset(self._acked)
        pages, behind, stateful = tuple(self._pages), self._behind, self._node.stateful

        def at(i: int) -> States:
            beyond = set(acked)
            mark = _watermark(low, beyond, last[:i])
            page, offset = behind
            for first, count, marks in pages:
                if first <= mark < first + count:
                    page, offset = marks, mark - first
            states = dict(page(offset))
            if stateful:
                states[key] = sorted(number - mark for number in beyond)
            return states

        return at


def _watermark(low: int, acked: set[int], delivered: Sequence[int]) -> int:
    """Add ``delivered`` to ``acked``; take out what follows ``low`` without a gap; return where that ends."""
    acked.update(delivered)
    while low in acked:
        acked.discard(low)
        low += 1
    return low

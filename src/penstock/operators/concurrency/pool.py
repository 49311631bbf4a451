"""What all operators share that work on several items at a time: a bounded window of numbered inputs."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.fifo import Fifo
from penstock.runtime.numbered import NumberedInputs
from penstock.runtime.run import Gate, Pace
from penstock.runtime.stage import Stage, stop
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.operators.concurrency.pooled import Pooled
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream

DROPPED: Final[Any] = type("Dropped", (), {"__repr__": lambda _: "DROPPED"})()
"""The result of an input that gives no item."""


class PoolStage(Stage[Any]):
    """Inputs are numbered from 0 in the order in which upstream gave them; workers share slices of them.

    ``_numbered`` knows which are settled (delivered or dropped). Workers only append results to
    ``_came``; whoever requests arranges them, a list at a time, as what may be delivered next: ``_numbers``
    and ``_values``. An ordered stage keeps what came too soon in ``_early``. After the first failure no
    call is begun; it is raised when the values before it are gone.
    """

    def __init__(self, site: Site, node: Pooled) -> None:
        super().__init__(site)
        self._node = node
        self._ordered = node.ordered
        self._upstream = site.input()
        self._numbered = NumberedInputs(self._upstream.marks(), site.state or ())
        self._held = 0  # inputs taken and not settled
        self._waiting: tuple[Sequence[int], Sequence[Any]] = ((), ())
        self._cut_to = 0  # how many of them are in slices
        self._rest: Any = iter(())  # the items of the slice that no worker has taken
        self._inputs: Iterator[tuple[int, Any]] = iter(())  # the same with their numbers
        self._fetching = False
        self._exhausted = False
        self._failure: Failure | None = None
        self._failures: dict[int, Failure] = {}  # ordered: those that must wait for what comes before them
        self._final: Failure | None = None  # upstream's failure, behind everything that is still in flight
        self._came: tuple[list[int], list[Any]] = ([], [])
        self._numbers = Fifo()
        self._values = Fifo()
        self._early: dict[int, Any] = {}
        self._due = 0  # ordered: the input whose result comes next
        self._stopping = False
        self._skipping = site.skipping
        self._drops = node.drops or site.skipping is not None
        self._in_step = node.ordered and not self._drops  # as many items as inputs, in the same order
        self._last: Sequence[int] = ()  # the inputs delivered by the last request
        self._ready = Gate(self.run, own=True)
        self._idle: deque[Gate] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._pace = Pace()
        self._cut_at = 0.0

    @property
    def buffered(self) -> int:
        return self._held

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream

    async def _request(self, n: int) -> list[Any]:
        self._acknowledge()
        if self.run.strained():
            await self.run.breathe()
        if not self._workers:
            self._begin()
        self._arrange()
        while not self._values:
            if self._failure is not None:
                self._failure.throw()
            if self._exhausted and not self._held:
                if self._final is not None:
                    self._final.throw()
                return []
            self._call_to_fetch()
            await self._ready.wait()
            self._arrange()
        out = self._values.take(n)
        if self._in_step:
            self._last = range(self._numbered.low, self._numbered.low + len(out))
        else:
            self._last = self._numbers.take(n)
        self._held -= len(out)
        self._call_to_fetch()
        return out

    def _begin(self) -> None:
        name, count = self._node.operator, len(self._workers)
        self._workers.append(self.run.spawn(self._start_to_work(), f"{name} {count}"))

    async def _start_to_work(self) -> None:
        await asyncio.sleep(0)  # eager tasks would start each other, one inside the other
        self._call(2)
        await self._work()

    def _acknowledge(self) -> None:
        """Take note that what the last request delivered has arrived."""
        if self._in_step:
            self._numbered.settle_next(len(self._last))
        else:
            self._numbered.settle(self._last)
        self._last = ()

    def _arrange(self) -> None:
        """Put the results that came since the last time where they may be delivered from."""
        numbers, values = self._came
        if not numbers and not self._failures:
            return
        came, results = numbers.copy(), values.copy()
        numbers.clear()
        values.clear()
        if self._ordered:
            early, due = self._early, self._due
            gapless = came and came[0] == due and came[-1] == due + len(came) - 1 and came == sorted(came)
            if early or self._failures or not gapless:
                early.update(zip(came, results, strict=True))
                came, results = self._in_turn()
            self._due += len(came)
        if self._drops:
            came, results = self._without_dropped(came, results)
        if not self._in_step:
            self._numbers.put(came)
        self._values.put(results)

    def _in_turn(self) -> tuple[list[int], list[Any]]:
        """Take from what came too soon all that is due, up to the first failure."""
        first = due = self._due
        results = []
        while due in self._early:
            results.append(self._early.pop(due))
            due += 1
        if self._failure is None and due in self._failures:
            self._failure = self._failures[due]
        return [*range(first, due)], results

    def _without_dropped(self, came: list[int], results: list[Any]) -> tuple[list[int], list[Any]]:
        """Settle the inputs that give no item, and return the others."""
        kept = [i for i, result in enumerate(results) if result is not DROPPED]
        if len(kept) == len(came):
            return came, results
        self._held -= len(came) - len(kept)
        self._numbered.settle(
            [number for number, result in zip(came, results, strict=True) if result is DROPPED]
        )
        return [came[i] for i in kept], [results[i] for i in kept]

    def _call_to_fetch(self) -> None:
        """Wake one worker, if there is no input for it to take."""
        if self._idle and not self._free:
            self._idle.popleft().open()

    @property
    def _free(self) -> int:
        """How many inputs no worker has taken yet."""
        left: int = self._rest.__length_hint__()
        return left + len(self._waiting[1]) - self._cut_to

    def _call(self, count: int) -> None:
        """Let more workers take inputs: those that wait, then new ones; one of them may fetch."""
        for _ in range(0 if self._stopping else min(count, self._free)):
            if self._idle:
                self._idle.popleft().open()
            elif len(self._workers) < min(self._node.concurrency, self._numbered.fetched + 1):
                self._begin()

    @abstractmethod
    async def _work(self) -> None:
        """Work on what ``_inputs`` gives, and then ``_await_input``, until ``_stopping``."""

    def _room(self) -> int:
        """Return how many more inputs may be taken from upstream."""
        held = self._held
        if self._node.stateful:  # its position tells of all inputs since the watermark
            held = self._numbered.span - len(self._last)
        return self._node.window - held

    async def _await_input(self, gate: Gate) -> None:
        """Cut the next slice; if all are used up, fetch, or wait to be called. Then call others."""
        if len(self._waiting[1]) > self._cut_to:
            if self.run.strained():
                await self.run.breathe()
        elif self._fetching or self._exhausted or self._room() <= 0:
            self._idle.append(gate)
            await gate.wait()
        else:
            await self._fetch()
        if len(self._waiting[1]) > self._cut_to and not self._rest.__length_hint__():
            self._cut()
        if self._rest.__length_hint__():
            self._call(2)  # so all are awake in few turns, and few are woken in vain

    def _cut(self) -> None:
        """Let the workers have the next inputs; how many depends on how long the last slice took (law 11)."""
        now = self.run.clock.monotonic()
        self._pace.took(now - self._cut_at)
        self._cut_at, size = now, self.slice_size()
        (numbers, items), at = self._waiting, self._cut_to
        self._cut_to = end = min(at + size, len(items))
        self._rest = iter(items[at:end])
        self._inputs = zip(numbers[at:end], self._rest, strict=False)
        if end == len(items):
            self._wait(((), ()))

    def _wait(self, inputs: tuple[Sequence[int], Sequence[Any]]) -> None:
        """Let these inputs wait for workers; none of them is in a slice yet."""
        self._waiting, self._cut_to = inputs, 0

    def slice_size(self) -> int:
        """Return how many inputs the next slice may have."""
        return self._pace.size

    async def _fetch(self) -> None:
        """Ask upstream for as many inputs as there is room for."""
        self._fetching = True
        try:
            page = await self._upstream.request(self._room())
        except Exception as error:
            if self.run.over(error):
                raise
            self._final = Failure(error)
            page = []
        finally:
            self._fetching = False
        first = self._numbered.fetched
        numbers = self._numbered.fetch(len(page), self._upstream.marks())
        self._exhausted = not page
        if len(numbers) < len(page):  # the run which this one resumes had settled the others
            page = [page[number - first] for number in numbers]
        self._held += len(page)
        self._wait((numbers, page))
        if self._exhausted:
            self._ready.open()

    def _fail(self, number: int, error: BaseException) -> None:
        """Take a failure; no further call is begun."""
        failure = Failure(raised_by_user(error, self._node.describe()))
        self._stopping = True
        self._wait(((), ()))
        for _ in self._inputs:  # nobody takes them any more
            pass
        if self._ordered:
            self._failures[number] = failure
        elif self._failure is None:
            self._failure = failure
        self._ready.open()

    async def _skips(self, number: int, item: Any, error: BaseException) -> bool:
        """Leave out or replace the input, if something downstream handles the error; otherwise ``_fail``."""
        error = raised_by_user(error, self._node.describe())
        if self._skipping is None or not isinstance(error, Exception):
            self._fail(number, error)
            return False
        answer = self._skipping.handle(error, item, self._node)
        if isinstance(answer, BaseException):
            self._fail(number, answer)
            return False
        self._put(number, DROPPED if answer is None else answer.value)
        if self._skipping.full:
            await self._skipping.pause(Gate(self.run))
        return True

    def _put(self, number: int, result: Any) -> None:
        numbers, results = self._came
        numbers.append(number)
        results.append(result)
        self._ready.open()

    def _give_up(self, error: Exception) -> None:
        """Take a fault of our own: it must end the run, not leave it waiting."""
        if not self.run.over(error):
            self._stopping, self._failure = True, Failure(error)
            self._ready.open()

    def forget_failures(self) -> None:
        super().forget_failures()
        for failure in self._failures.values():
            failure.forget()

    async def _stop(self) -> None:
        self._stopping = True
        workers, self._workers = self._workers, []
        for task in workers:
            self.run.cancel(task)
        await close_all([partial(stop, self.run, task) for task in workers])

    def marks(self) -> Marks:
        key, last, stateful = self.site.vertex.id, self._last, self._node.stateful
        position = self._numbered.marks()

        def at(i: int) -> States:
            upstream, beyond = position(last[:i])
            return {**upstream, key: beyond} if stateful else upstream

        return at

"""The operator ``repeat``: run upstream several times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for, positive, seconds_for
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.functions import Plain
from penstock.runtime.graph import refuse_single_use
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate, Pace
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States


def repeat(
    times: int | None = None,
    *,
    every: float | None = None,
    until: Callable[[Any], object] | None = None,
) -> Same:
    """Run upstream several times, each time from its beginning.

    A round is closed before the next one starts. An error in any round ends the stream. Operators with state
    (``scan``, ``take``) start afresh in each round.

    To poll, give the seconds and the condition: ``from_callable(fetch).repeat(every=5, until=is_done)``.

    Args:
        times: How many rounds there are at most; 0 completes at once, ``None`` sets no limit.
        every: Seconds from the start of a round to the start of the next one. A round that takes longer is
            followed at once. By default each round is.
        until: ``until(item)`` is called with each item. If it returns true for the last item of a round,
            that round is the last one. A position holds its answer for the last item.

    Raises:
        NotResumable: upstream can be read only once; the message names the source.
    """
    if times is not None:
        positive("repeat", "times", times, least=0)
    if every is not None:
        every = seconds_for("repeat", "every", every, zero=True)
    if until is not None:
        function_for("repeat", until, "until")
    return attach(lambda node: Repeat(inputs=(node,), times=times, every=every, until=until))


@node
class Repeat(Node):
    """Starts upstream afresh when it completes, until ``times`` rounds are done or ``until`` says so."""

    operator = "repeat"
    stateful = True

    times: int | None
    every: float | None = None
    until: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        """Refuse an upstream that can be read only once."""
        Node.__post_init__(self)
        refuse_single_use(self)

    def bound(self, n: int) -> float:
        return 0 if self.times == 0 else self.inputs[0].bound(n)


@runs(Repeat)
class _RepeatStage(FailureStage):
    """Its state is the number of rounds that are done; with ``until`` also what it says of the last item.

    A completed round is closed before the next one begins: two rounds never hold the same resource.
    """

    def __init__(self, site: Site, node: Repeat) -> None:
        super().__init__(site, tracked=node.until is not None)
        self._node = node
        state = site.state or 0
        self._round: int
        self._last: bool  # what ``until`` says of the item before the last list
        self._round, self._last = state if isinstance(state, list) else (state, False)
        self._said: list[bool] = []  # what it says of each item of the last list
        self._items: list[Any] = []  # upstream's last list, if there is an ``until``
        self._passed = 0  # how many of these were received
        self._until = None if node.until is None else Plain.of(node, node.until)
        self._pace = Pace()
        self._refused: Failure | None = None  # its error for the next item
        self._idle = True  # whether the present round has delivered no item so far
        self._due: float | None = None  # when the next round begins
        self._closing = Errand(self.run)
        self._gate = Gate(self.run)

    @property
    def buffered(self) -> int:
        return len(self._items) - self._passed

    def marks(self) -> Marks:
        key, done, above = self.site.vertex.id, self._round, self.upstream.marks()
        if self._node.until is None:
            return lambda i: {**above(i), key: done}
        said, passed = (self._last, *self._said), self._passed

        def at(i: int) -> States:
            i = min(i, len(said) - 1)
            return {**above(passed + i), key: [done, said[i]]}

        return at

    async def _next(self, n: int) -> list[Any]:
        while self._node.times is None or self._round < self._node.times:
            if not self._closing.running:
                items = await self._read(n)
                if items or self.run.draining or self._round + 1 == self._node.times:
                    return items
                if self._last:
                    return []
                self._closing.begin(self.upstream.aclose(), "repeat")
            if not await self._next_round():
                break
        return []

    async def _read(self, n: int) -> list[Any]:
        """Return items of the present round."""
        if self._said:
            self._last = self._said[-1]
            self._passed += len(self._said)
            self._said = []
        if self._refused is not None:
            self._refused.throw()
        if self._due is None and self._node.every is not None:
            self._due = asyncio.get_running_loop().time() + self._node.every
        if self._passed < len(self._items):
            if self.run.strained():
                await self.run.breathe()
            return self._judged(n)
        self._items, self._passed = [], 0
        items = await self.upstream.request(n)
        self._idle = self._idle and not items
        if self._node.until is None:
            return items
        self._items = items
        return self._judged(n)

    def _judged(self, n: int) -> list[Any]:
        """Ask ``until`` about some of the items, and return those before the first on which it fails."""
        began = self.run.clock.monotonic()
        until = None if self._until is None else self._until.function
        items = self._items[self._passed : self._passed + min(n, self._pace.size)]
        try:
            for item in items:
                self._said.append(bool(until is not None and until(item)))
        except BaseException as error:  # noqa: BLE001  raised behind the items before it
            self._refused = Failure(raised_by_user(error, self._node.describe()))
            if not self._said:
                self._refused.throw()
        self._pace.took(self.run.clock.monotonic() - began)
        return items[: len(self._said)]

    async def _next_round(self) -> bool:
        """Begin the next round when it is due; return whether there is one."""
        await self._closing.result()
        loop = asyncio.get_running_loop()
        while self._due is not None and loop.time() < self._due:
            if self.run.draining:
                return False
            await self._gate.wait(self._due)
        idle, self._idle, self._due = self._idle, True, None
        self._last = False
        self._round += 1
        tracked = self.site.tracked or self._node.until is not None
        self.upstream = self.site.input(states={}, tracked=tracked)
        if idle or self.run.strained():
            await self.run.breathe()  # rounds without items must not block the event loop
        return True

    async def _stop(self) -> None:
        await self._closing.finish()

"""The operator ``repeat``: run upstream several times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import positive
from penstock.runtime.errand import Errand
from penstock.runtime.graph import refuse_single_use
from penstock.runtime.node import Node, node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks


def repeat(times: int | None = None) -> Same:
    """Run upstream ``times`` times in all, each time from its beginning.

    ``None`` repeats without end, and 0 completes at once. A round is closed before the next one starts. An
    error in any round ends the stream. Operators with state (``scan``, ``take``) start afresh in each round.

    Raises:
        NotResumable: upstream can be read only once; the message names the source.
    """
    if times is not None:
        positive("repeat", "times", times, least=0)
    return attach(lambda node: Repeat(inputs=(node,), times=times))


@node
class Repeat(Node):
    """Starts upstream afresh when it completes, until ``times`` rounds are done."""

    operator = "repeat"
    stateful = True

    times: int | None

    def __post_init__(self) -> None:
        """Refuse an upstream that can be read only once."""
        Node.__post_init__(self)
        refuse_single_use(self)

    def bound(self, n: int) -> float:
        return 0 if self.times == 0 else self.inputs[0].bound(n)


@runs(Repeat)
class _RepeatStage(FailureStage):
    """Its state is the number of rounds that are done.

    A completed round is closed before the next one begins: two rounds never hold the same resource.
    """

    def __init__(self, site: Site, node: Repeat) -> None:
        super().__init__(site)
        self._times = node.times
        self._round: int = site.state or 0
        self._idle = True  # whether the present round has delivered no item so far
        self._closing = Errand(self.run)

    def marks(self) -> Marks:
        key, done, above = self.site.vertex.id, self._round, self.upstream.marks()
        return lambda i: {**above(i), key: done}

    async def _next(self, n: int) -> list[Any]:
        while self._times is None or self._round < self._times:
            if not self._closing.running:
                items = await self.upstream.request(n)
                if items or self.run.draining or self._round + 1 == self._times:
                    self._idle = self._idle and not items
                    return items
                self._closing.begin(self.upstream.aclose(), "repeat")
            await self._next_round()
        return []

    async def _next_round(self) -> None:
        await self._closing.result()
        idle, self._idle = self._idle, True
        self._round += 1
        self.upstream = self.site.input(states={}, tracked=self.site.tracked)
        if idle or self.run.strained():
            await self.run.breathe()  # rounds without items must not block the event loop

    async def _stop(self) -> None:
        await self._closing.finish()

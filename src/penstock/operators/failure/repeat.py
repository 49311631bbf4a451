"""``repeat``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.runtime.arguments import positive
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure
from penstock.runtime.graph import refuse_once
from penstock.runtime.node import Node, node
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Repeat", "repeat"]


def repeat(times: int | None = None) -> Same:
    """Run upstream ``times`` times in all, each from its beginning when the one before has completed.

    ``None`` is for ever, 0 completes at once. A round is closed before the next one starts. An error in
    any round ends the stream; what upstream has of the state of items (``scan``, ``take``) starts afresh.

    Raises:
        NotResumable: upstream can be read only once; the message names the source.
    """
    if times is not None:
        positive("repeat", "times", times, least=0)
    return attach(lambda node: Repeat(inputs=(node,), times=times))


@node
class Repeat(Node):
    """When upstream has completed it starts afresh, until ``times`` rounds are done."""

    operator = "repeat"
    stateful = True

    times: int | None

    def __post_init__(self) -> None:
        """Refuse an upstream that can be read only once."""
        Node.__post_init__(self)
        refuse_once(self)

    def bound(self, n: int) -> float:
        """Return M_up(n), or 0 if there is no round at all."""
        return 0 if self.times == 0 else self.inputs[0].bound(n)

    def start(self, site: Site) -> Stage[Any]:
        """Start with the first round, or the one a position names."""
        return _RepeatStage(site, self.times)


class _RepeatStage(Stage[Any]):
    """Its state is how many rounds were done before the present one.

    A round that has completed is closed before the next one begins, so that two never hold the same
    resource; and no trace of it is kept.
    """

    def __init__(self, site: Site, times: int | None) -> None:
        super().__init__(site)
        self._times = times
        self._round: int = site.state or 0
        self._inner = site.input(tracked=site.tracked)
        self._idle = True  # the present round has given nothing so far
        self._closing = Errand(self.run)
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._inner

    def marks(self) -> Marks:
        key, done, above = self.site.vertex.id, self._round, self._inner.marks()
        return lambda i: {**above(i), key: done}

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        try:
            while self._times is None or self._round < self._times:
                if not self._closing.running:
                    items = await self._inner.request(n)
                    if items or self.run.draining or self._round + 1 == self._times:
                        self._idle = self._idle and not items
                        return items
                    self._closing.begin(self._inner.aclose(), "repeat")
                await self._next_round()
        except Exception as error:
            if not self.run.over(error):
                self._failure = Failure(error)
            raise
        return []

    async def _next_round(self) -> None:
        await self._closing.result()
        idle, self._idle = self._idle, True
        self._round += 1
        self._inner = self.site.input(states={}, tracked=self.site.tracked)
        if idle or self.run.strained():
            await self.run.breathe()  # rounds without items must not keep the loop to themselves

    async def _stop(self) -> None:
        await self._closing.finish()

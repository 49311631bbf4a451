"""``timestamp`` and ``elapsed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.runtime.node import Node
from penstock.runtime.passing import PassingStage

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Elapsed", "Timestamp", "elapsed", "timestamp"]

T = TypeVar("T")


class Timed:
    """What ``timestamp`` and ``elapsed`` return: generic in the item."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type[Timestamp | Elapsed]) -> None:
        self._kind = kind

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[float, T]]:
        """Attach it to a flow."""
        return attach(lambda node: self._kind(inputs=(node,)))(flow)


def timestamp() -> Timed:
    """Pair each item with the Unix time at which the list came that it was in: ``(seconds, item)``."""
    return Timed(Timestamp)


def elapsed() -> Timed:
    """Pair each item with the seconds since the item before, or since the first request: ``(seconds, item)``.

    Between items that came in one list no time has passed.
    """
    return Timed(Elapsed)


class Timestamp(Node):
    """``(Unix time, item)``."""

    operator = "timestamp"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _TimestampStage(site)


class _TimestampStage(PassingStage):
    async def _request(self, n: int) -> list[Any]:
        items = await self.upstream.request(n)
        now = self.run.clock.time()
        return [(now, item) for item in items]


class Elapsed(Node):
    """``(seconds since the item before, item)``."""

    operator = "elapsed"

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _ElapsedStage(site)


class _ElapsedStage(PassingStage):
    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._before: float | None = None

    async def _request(self, n: int) -> list[Any]:
        clock = self.run.clock.monotonic
        before = self._before
        if before is None:
            before = self._before = clock()
        items = await self.upstream.request(n)
        if not items:
            return []
        self._before = now = clock()
        return [(now - before, items[0]), *((0.0, item) for item in items[1:])]

"""``timestamp`` and ``elapsed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.runtime.node import Node, node
from penstock.runtime.passing import SlicingStage
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site

T = TypeVar("T")


def timestamp() -> Timed:
    """Pair each item with the Unix time at which its list came: ``(seconds, item)``."""
    return Timed(Timestamp)


def elapsed() -> Timed:
    """Pair each item with the seconds since the item before it: ``(seconds, item)``.

    The first item has the seconds since the first request. Items of one list come at the same time, 0 seconds
    apart.
    """
    return Timed(Elapsed)


class Timed:
    """The operator that ``timestamp`` and ``elapsed`` return: generic in the item."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type[Timestamp | Elapsed]) -> None:
        self._kind = kind

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[float, T]]:
        """Attach the operator to a flow."""
        return attach(lambda node: self._kind(inputs=(node,)))(flow)


@node
class Timestamp(Node):
    """``(Unix time, item)``."""

    operator = "timestamp"


@runs(Timestamp)
class _TimestampStage(SlicingStage):
    async def _request(self, n: int) -> list[Any]:
        items = await self.slice(n)
        now = self.run.clock.time()
        return [(now, item) for item in items]


@node
class Elapsed(Node):
    """``(seconds since the item before, item)``."""

    operator = "elapsed"


@runs(Elapsed)
class _ElapsedStage(SlicingStage):
    def __init__(self, site: Site, _: Elapsed) -> None:
        super().__init__(site)
        self._before: float | None = None

    async def _request(self, n: int) -> list[Any]:
        clock = self.run.clock.monotonic
        before = self._before
        if before is None:
            before = self._before = clock()
        items = await self.slice(n)
        if not items:
            return []
        self._before = now = clock()
        return [(now - before, items[0]), *((0.0, item) for item in items[1:])]

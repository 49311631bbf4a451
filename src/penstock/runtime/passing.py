"""The base of stages that pass on the chunks of one upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.run import LARGEST_SLICE
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream


class PassingStage(Stage[Any]):
    """A stage that passes on the chunks of one upstream and holds no items.

    A subclass that does hold items passes ``tracked=True``: it needs positions inside the chunks.
    """

    def __init__(self, site: Site, _: Node | None = None, *, tracked: bool = False) -> None:
        super().__init__(site)
        self.upstream = site.input(tracked=tracked or site.tracked)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self.upstream

    def marks(self) -> Marks:
        return self.upstream.marks()


class SlicingStage(PassingStage):
    """The base of stages that work on each item of the chunks which they pass on.

    They request slices with ``slice`` and let other tasks run between them (law 11).
    """

    def __init__(self, site: Site, _: Node | None = None) -> None:
        super().__init__(site)
        self._size = 0  # of the last chunk
        self._received = False  # whether it was received, but upstream has not been asked again

    def marks(self) -> Marks:
        above, size = self.upstream.marks(), self._size
        return (lambda i: above(size + i)) if self._received else above

    async def slice(self, n: int) -> list[Any]:
        """Request up to ``n`` items, but no more than a slice."""
        if self.run.strained():
            self._received = True
            await self.run.breathe()
        self._received, self._size = False, 0
        items = await self.upstream.request(min(n, LARGEST_SLICE))
        self._size = len(items)
        return items

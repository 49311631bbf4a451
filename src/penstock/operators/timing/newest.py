"""The newest item of a flow: what ``debounce`` and ``sample`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.timing.timeout import Patience
from penstock.runtime.node import Node, Order
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


GULP = 64
"""How many items to ask for at once, of which the last one is kept."""


class Newest:
    """The newest item that has come and not gone out, and where it stands."""

    __slots__ = ("_before", "_here", "item")

    def __init__(self, start: Marks) -> None:
        self.item: list[Any] = []
        """The item, if there is one."""
        self._here: tuple[Marks, int] = (start, 0)  # before the item, or behind what went out
        self._before: tuple[Marks, int] | None = None  # before the item that went out last

    def put(self, items: list[Any], page: Marks, at: int = 0) -> int:
        """Keep the last of ``items``, the first of which stands at ``at`` in ``page``; count the others."""
        dropped = len(items) - 1 + len(self.item)
        self.item = items[-1:]
        self._here = page, at + len(items) - 1
        return dropped

    def end(self, page: Marks) -> None:
        """Move the position to upstream's end, if nothing stands before that."""
        if not self.item:
            self._here = page, 0

    @property
    def going(self) -> bool:
        """Whether an item went out with the last chunk."""
        return self._before is not None

    def leave(self) -> None:
        """Take note that what went out has arrived."""
        self._before = None

    def take(self) -> list[Any]:
        """Let the item go out, if there is one."""
        items, self.item = self.item, []
        if items:
            self._before = self._here
            self._here = self._here[0], self._here[1] + 1
        return items

    def marks(self) -> Marks:
        """Return positions inside the last chunk, which is at most one item."""
        (page, at), (before, offset) = self._here, self._before or self._here
        return lambda i: page(at) if i else before(offset)


class SamplingNode(Node):
    """What the nodes share."""

    own_order = Order.LOSSY

    def bound(self, n: int) -> float:
        """Return M_up(64) + n."""
        return self.inputs[0].bound(GULP) + n


class SamplingStage(Stage[Any]):
    """A stage that reads one upstream until it is time for the newest item to go out."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.upstream = site.input()
        self.newest = Newest(self.upstream.marks())
        self.patience = Patience(None)
        self.ended = False

    @property
    def buffered(self) -> int:
        """One item, if one is held."""
        return len(self.newest.item)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the one upstream."""
        yield self.upstream

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        return self.newest.marks()

    async def read(self) -> bool:
        """Ask upstream once; true if patience ran out before it answered."""
        if self.run.strained():
            await self.run.breathe()
        items = await self.patience.ask(self.upstream, GULP)
        if items:
            self.dropped += self.newest.put(items, self.upstream.marks())
        elif items is not None:
            self.ended = True
            self.newest.end(self.upstream.marks())
        return items is None

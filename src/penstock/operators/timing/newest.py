"""What ``debounce`` and ``sample`` share: they hold the newest item of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.timing.timeout import TimeLimit
from penstock.runtime.node import Node, node
from penstock.runtime.order import Order
from penstock.runtime.passing import PassingStage

if TYPE_CHECKING:
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks


MOST = 64
"""How many items to request at once; only the last one is kept."""


class Newest:
    """The newest item that was not emitted yet, and its position."""

    __slots__ = ("_before", "_here", "item")

    def __init__(self, start: Marks) -> None:
        self.item: list[Any] = []
        """A list of the item, or empty."""
        self._here: tuple[Marks, int] = (start, 0)  # before the held item, or behind the last emitted one
        self._before: tuple[Marks, int] | None = None  # before the item in the last chunk

    def put(self, items: list[Any], page: Marks, at: int = 0) -> int:
        """Keep the last of ``items``, which begin at ``at`` in ``page``; return how many were dropped."""
        dropped = len(items) - 1 + len(self.item)
        self.item = items[-1:]
        self._here = page, at + len(items) - 1
        return dropped

    def end(self, page: Marks) -> None:
        """Move the position to upstream's end, unless an item is held."""
        if not self.item:
            self._here = page, 0

    @property
    def going(self) -> bool:
        """Whether the last chunk has an item."""
        return self._before is not None

    def leave(self) -> None:
        """Forget the last chunk: a new request means that it was received."""
        self._before = None

    def take(self) -> list[Any]:
        """Remove and return the item, if there is one."""
        items, self.item = self.item, []
        if items:
            self._before = self._here
            self._here = self._here[0], self._here[1] + 1
        return items

    def marks(self) -> Marks:
        """Return the positions inside the last chunk, which has at most one item."""
        (page, at), (before, offset) = self._here, self._before or self._here
        return lambda i: page(at) if i else before(offset)


@node
class NewestNode(Node):
    """A node that emits the newest item of its first input."""

    own_order = Order.LOSSY

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(MOST) + n


class NewestStage(PassingStage):
    """A stage that reads one upstream until the newest item is due."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, tracked=True)
        self.newest = Newest(self.upstream.marks())
        self.time_limit = TimeLimit(None)
        self.ended = False

    @property
    def buffered(self) -> int:
        return len(self.newest.item)

    def marks(self) -> Marks:
        return self.newest.marks()

    async def read(self) -> bool:
        """Request items once; return whether the time was over before they came."""
        if self.run.strained():
            await self.run.breathe()
        items = await self.time_limit.ask(self.upstream, MOST)
        if items:
            self.dropped += self.newest.put(items, self.upstream.marks())
        elif items is not None:
            self.ended = True
            self.newest.end(self.upstream.marks())
        return items is None

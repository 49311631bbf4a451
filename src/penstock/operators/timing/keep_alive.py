"""``keep_alive``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.timing.timeout import TimeLimit
from penstock.runtime.arguments import seconds_for
from penstock.runtime.node import Node, node
from penstock.runtime.order import Order
from penstock.runtime.passing import PassingStage
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

T = TypeVar("T")
U = TypeVar("U")


def keep_alive(seconds: float, item: U) -> Callable[[Flow[T]], Flow[T | U]]:
    """Insert ``item`` whenever a request to upstream has waited for ``seconds``.

    Only time in requests counts, so no inserted items gather before a slow consumer. Positions do not count
    inserted items.
    """
    seconds = seconds_for("keep_alive", "seconds", seconds)
    return attach(lambda node: KeepAlive(inputs=(node,), seconds=seconds, item=item))


@node
class KeepAlive(Node):
    """``item`` is inserted whenever a request to upstream has waited for ``seconds``."""

    operator = "keep_alive"
    own_order = Order.TIMED

    seconds: float
    item: Any

    @property
    def repeatable(self) -> bool:
        """False: a run that was cut before an inserted item resumes with the item behind it."""
        return False


@runs(KeepAlive)
class _KeepAliveStage(PassingStage):
    def __init__(self, site: Site, node: KeepAlive) -> None:
        super().__init__(site)
        self._node = node
        self._time_limit = TimeLimit(node.seconds)
        self._inserted = False

    def marks(self) -> Marks:
        above = self.upstream.marks()
        return (lambda _: above(0)) if self._inserted else above

    async def _request(self, n: int) -> list[Any]:
        self._inserted = False
        items = await self._time_limit.ask(self.upstream, n)
        self._time_limit.left = self._node.seconds
        if items is None:
            self._inserted = True
            return [self._node.item]
        return items

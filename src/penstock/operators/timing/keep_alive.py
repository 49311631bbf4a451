"""``keep_alive``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.timing.timeout import Patience
from penstock.runtime.arguments import seconds_for
from penstock.runtime.node import Node, Order, node
from penstock.runtime.passing import PassingStage

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["KeepAlive", "keep_alive"]

T = TypeVar("T")
U = TypeVar("U")


def keep_alive(seconds: float, item: U) -> Callable[[Flow[T]], Flow[T | U]]:
    """Insert ``item`` whenever upstream was asked for ``seconds`` and had nothing.

    So a slow consumer finds no inserted items waiting. They are in no position.
    """
    seconds = seconds_for("keep_alive", "seconds", seconds)
    return attach(lambda node: KeepAlive(inputs=(node,), seconds=seconds, item=item))


@node
class KeepAlive(Node):
    """``item`` whenever upstream was asked for ``seconds`` and had nothing."""

    operator = "keep_alive"
    own_order = Order.TIMED

    seconds: float
    item: Any

    @property
    def repeatable(self) -> bool:
        """False: a resumed run does not begin with an inserted item, though it may have been cut there."""
        return False

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _KeepAliveStage(site, self)


class _KeepAliveStage(PassingStage):
    def __init__(self, site: Site, node: KeepAlive) -> None:
        super().__init__(site)
        self._node = node
        self._patience = Patience(node.seconds)
        self._inserted = False

    def marks(self) -> Marks:
        above = self.upstream.marks()
        return (lambda _: above(0)) if self._inserted else above

    async def _request(self, n: int) -> list[Any]:
        self._inserted = False
        items = await self._patience.ask(self.upstream, n)
        self._patience.left = self._node.seconds
        if items is None:
            self._inserted = True
            return [self._node.item]
        return items

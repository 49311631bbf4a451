"""The nodes of all operators that work on several items at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.runtime.arguments import at, positive
from penstock.runtime.node import Node, node
from penstock.runtime.order import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow

WINDOWS = 4
"""The default window, in multiples of the concurrency."""


def pooled(
    operator: str,
    kind: type[Pooled],
    function: Callable[..., Any],
    concurrency: int,
    window: int | None,
    **more: Any,
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Check the numbers, and return the operator that adds such a node."""
    positive(operator, "concurrency", concurrency)
    window = concurrency * WINDOWS if window is None else window
    positive(operator, "window", window)
    if window < concurrency:
        msg = (
            f"{operator}(concurrency={concurrency}, window={window}){at()}: the window must "
            "hold what is under way, so it must be at least the concurrency"
        )
        raise GraphError(msg)

    def make(node: Node) -> Node:
        return kind(inputs=(node,), function=function, concurrency=concurrency, window=window, **more)

    return attach(make)


@node
class Pooled(Node):
    """``function`` over each item, ``concurrency`` calls at a time, in order.

    At most ``window`` inputs are taken from upstream and neither delivered nor dropped yet.
    """

    drops: ClassVar[bool] = False
    """Whether a result may be ``DROPPED``."""

    function: Callable[..., Any]
    concurrency: int
    window: int

    def bound(self, n: int) -> float:
        """Return M_up(window) + n."""
        return self.inputs[0].bound(self.window) + n

    @property
    def skippable(self) -> bool:
        """True: a call that fails leaves the others as they are."""
        return True

    @property
    def ordered(self) -> bool:
        """Whether results keep the order of their inputs."""
        return self.own_order is Order.EXACT


class Unordered(Pooled):
    """The same, in order of completion; a mixin.

    Its position is the low watermark (the first input not settled) and the inputs settled beyond it,
    counted from there. The window bounds them: no input is taken that lies further than that beyond
    the watermark.
    """

    __slots__ = ()

    own_order = Order.INTERLEAVED
    stateful = True
    relies_on_order = True
    remedy = (
        "unordered, it knows inputs by their number, and here they come in another order the next time. "
        "Pass ordered=True, or put it upstream of the merge, or of the unordered operator, that is there now."
    )

    @property
    def obstacle(self) -> Node | None:
        """This node, if its inputs come in no fixed order: the next run would give them other numbers."""
        above = self.inputs[0]
        return above.obstacle or (None if above.order is Order.EXACT else self)

    @property
    def repeatable(self) -> bool:
        """False: which of the inputs under way completes first is nobody's to say."""
        return False

    @property
    def structure(self) -> str:
        """Part of the shape, because a position of the ordered form has no state."""
        return "(unordered)"

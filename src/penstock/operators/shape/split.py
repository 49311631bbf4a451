"""``split``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import function_for
from penstock.runtime.node import Node, assembled_at, node

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["SplitList", "split"]

T = TypeVar("T")


def split(
    where: Callable[[T], object], *, keep: Literal["before", "after"] | None = None
) -> Callable[[Flow[T]], Flow[list[T]]]:
    """Gather lists of the items between separators: the items for which ``where(item)`` is true.

    Args:
        where: Says which items are separators; for a single value, ``lambda line: line == ""``.
        keep: What becomes of a separator. It is left out, and two in a row have an empty list between
            them; ``"before"`` puts it at the beginning of the list behind it, ``"after"`` at the end of
            the list before it, and then no list is empty.

    As with ``str.splitlines``, a separator at the very end begins no further, empty list. A list is as
    long as the items make it, so there is no bound on what is held: ``max_in_flight`` is infinite. A
    position stands before the first item of the unfinished list. A run that fails or is drained does not
    deliver that list.
    """
    function_for("split", where)
    if keep not in {None, "before", "after"}:
        msg = f"split(keep={keep!r}) at {assembled_at()}: keep is 'before', 'after' or None"
        raise GraphError(msg)
    return attach(lambda node: SplitList(inputs=(node,), function=where, keep=keep))


@node
class SplitList(Node):
    """Lists of the items between those for which ``function(item)`` is true."""

    operator = "split"

    function: Callable[[Any], object]
    keep: str | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002
        """Return infinity: how long a list gets is for the items to say."""
        return math.inf

    @property
    def skippable(self) -> bool:
        """True: its function can fail on one item and go on with the next."""
        return True

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _SplitStage(site, self)


class _SplitStage(ShapingStage):
    def __init__(self, site: Site, node: SplitList) -> None:
        super().__init__(site)
        self._function = node.function
        self._keep = node.keep
        self._list: list[Any] = []

    def wanted(self, n: int) -> int:
        return n

    def take(self, items: list[Any]) -> None:
        function, keep = self._function, self._keep
        for number, item in enumerate(items, self.done):
            try:
                separates = function(item)
            except Exception as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)
                continue
            if not separates:
                self._list.append(item)
            elif keep == "before":
                if self._list:
                    self._close(number)
                self._list.append(item)
            else:
                if keep == "after":
                    self._list.append(item)
                self._close(number + 1)

    def _close(self, low: int) -> None:
        done, self._list = self._list, []
        self.put([done], [low])

    def finish(self) -> None:
        if self._list:
            self._close(self.done)

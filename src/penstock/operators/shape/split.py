"""The operator ``split``, which gathers the items between separators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from penstock.operators.attach import attach
from penstock.operators.shape.gathering import GatheringNode, GatheringStage
from penstock.runtime.arguments import choice_for, function_for
from penstock.runtime.node import Site, node

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def split(
    where: Callable[[T], object], *, keep: Literal["before", "after"] | None = None
) -> Callable[[Flow[T]], Flow[list[T]]]:
    """Gather the items between separators in lists.

    As with ``str.splitlines``, no empty list follows a separator at the very end. A list may have any
    length, so ``max_in_flight`` is infinite. A position stands before the first item of the unfinished list.
    A run that fails or is drained does not deliver that list.

    Args:
        where: Returns a true value for separators. For a single value: ``lambda line: line == ""``.
        keep: What happens to a separator. By default it is left out, and there is an empty list between two
            separators in a row. ``"before"`` puts it at the beginning of the next list, and ``"after"`` at
            the end of the list before; then no list is empty.
    """
    function_for("split", where)
    choice_for("split", "keep", keep, ("before", "after", None))
    return attach(lambda node: SplitList(inputs=(node,), function=where, keep=keep))


@node
class SplitList(GatheringNode):
    """Gathers lists of the items between those for which ``function(item)`` is true."""

    operator = "split"

    keep: str | None = None

    def start(self, site: Site) -> GatheringStage:
        return _SplitStage(site, self)


class _SplitStage(GatheringStage):
    def __init__(self, site: Site, node: SplitList) -> None:
        super().__init__(site, node)
        self._keep = node.keep

    def take(self, items: list[Any]) -> None:
        function, keep = self.calls.function, self._keep
        for number, item in enumerate(items, self.done):
            try:
                separates = function(item)
            except BaseException as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)
                continue
            if not separates:
                self.unfinished.append(item)
            elif keep == "before":
                if self.unfinished:
                    self.close(number)
                self.unfinished.append(item)
            else:
                if keep == "after":
                    self.unfinished.append(item)
                self.close(number + 1)

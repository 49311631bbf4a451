"""The operator ``chunk_by``, which gathers neighbours with equal keys in lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.shape.gathering import GatheringNode, GatheringStage
from penstock.runtime.arguments import function_for
from penstock.runtime.node import Site, node

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def chunk_by(key: Callable[[T], object]) -> Callable[[Flow[T]], Flow[list[T]]]:
    """Gather items in a list as long as ``key(item)`` equals the key of the item before.

    This makes documents of sorted rows: ``rows.chunk_by(lambda row: row["id"])``. As in
    ``itertools.groupby``, items with the same key that are not neighbours come in different lists; see
    ``group_by`` for those.

    A list may have any length, so ``max_in_flight`` is infinite. A list is delivered when the first item of
    the next one has come. A position stands before the first item of the unfinished list. A run that fails
    or is drained does not deliver that list.
    """
    function_for("chunk_by", key, "key")
    return attach(lambda node: ChunkBy(inputs=(node,), function=key))


@node
class ChunkBy(GatheringNode):
    """Gathers lists of neighbours with equal ``function(item)``."""

    operator = "chunk_by"

    def start(self, site: Site) -> GatheringStage:
        return _ChunkByStage(site, self)


class _ChunkByStage(GatheringStage):
    def __init__(self, site: Site, node: ChunkBy) -> None:
        super().__init__(site, node)
        self._key: Any = None

    def take(self, items: list[Any]) -> None:
        function = self.calls.function
        for number, item in enumerate(items, self.done):
            try:
                key = function(item)
                ends = len(self.unfinished) > 0 and not key == self._key  # noqa: SIM201  as groupby compares
            except BaseException as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)
                continue
            if ends:
                self.close(number)
            self._key = key
            self.unfinished.append(item)

"""The operator ``collect``, which gathers all items in one container."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import function_for
from penstock.runtime.functions import Plain, plain_result
from penstock.runtime.node import Node, Site, node
from penstock.runtime.run import LARGEST_SLICE

if TYPE_CHECKING:
    from penstock.flow import Flow

C = TypeVar("C")
T = TypeVar("T")


@overload
def collect() -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def collect(into: Callable[[list[Any]], C]) -> Callable[[Flow[Any]], Flow[C]]: ...
@overload
def collect(into: Callable[[], C], add: Callable[[C, T], object]) -> Callable[[Flow[T]], Flow[C]]: ...
def collect(into: Callable[..., Any] = list, add: Callable[[Any, Any], object] | None = None) -> Any:
    """Gather all items in one container and yield it when the flow completes.

    * ``collect()`` yields a list.
    * ``collect(function)`` yields ``function(items)`` of that list: ``set``, ``sorted``, ``"".join``.
    * ``collect(make, add)`` creates the container with ``make()`` and calls ``add(container, item)`` for
      each item: ``collect(set, set.add)``. Only this form does not hold all items in memory.

    If there are no items, the container is empty. If the flow fails, or is drained before its end, nothing
    is yielded.

    Until the container is delivered, the position stays at the beginning, so a resumed run collects again.
    Use ``scan(...) | take_last(1)`` for a fold that resumes where it was.
    """
    function_for("collect", into, "into")
    if add is not None:
        function_for("collect", add, "add")
    return attach(lambda node: Collect(inputs=(node,), into=into, add=add))


@node
class Collect(Node):
    """Yields one container of all items."""

    operator = "collect"
    stateful = True

    into: Callable[..., Any]
    add: Callable[[Any, Any], object] | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002
        return math.inf

    @property
    def skippable(self) -> bool:
        return self.add is not None or self.inputs[0].skippable

    def start(self, site: Site) -> ShapingStage:
        return _CollectStage(site, self)


class _CollectStage(ShapingStage):
    """The state is 1 once the container was delivered, so that a resumed run does not yield it again."""

    def __init__(self, site: Site, node: Collect) -> None:
        super().__init__(site)
        self.low, self.settled_state = 0, self.start
        self._node = node
        self._add = Plain.of(node, node.add)
        self._items: list[Any] = []
        self._container: Any = None
        self._created = False

    def demand(self, n: int) -> int:
        return max(n, LARGEST_SLICE)

    def take(self, items: list[Any]) -> None:
        if self._node.add is None:
            self._items += items
            return
        container, add = self._create(), self._add.function
        for item in items:
            try:
                add(container, item)
            except BaseException as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)

    def forget(self) -> None:
        self.inputs.keep_ends()

    def _create(self) -> Any:
        if not self._created:
            self._container, self._created = self._made(), True
        return self._container

    def _made(self, *items: list[Any]) -> Any:
        node = self._node
        return plain_result(node.into(*items), node.operator, node.origin)

    def finish(self) -> None:
        if self.start and not self.done:
            return  # an earlier run delivered the container, and no item arrived since
        container = self._create() if self._node.add is not None else self._made(self._items)
        self.put([container], [self.done + 1])
        self._items = []

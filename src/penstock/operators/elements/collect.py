"""``collect``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach
from penstock.operators.shape.cutting import ShapingStage
from penstock.runtime.arguments import function_for
from penstock.runtime.node import Node, node
from penstock.runtime.run import LARGEST_SLICE

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Lists
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Collect", "collect"]

C = TypeVar("C")
T = TypeVar("T")


@overload
def collect() -> Lists: ...
@overload
def collect(into: Callable[[list[Any]], C]) -> Callable[[Flow[Any]], Flow[C]]: ...
@overload
def collect(into: Callable[[], C], add: Callable[[C, T], object]) -> Callable[[Flow[T]], Flow[C]]: ...
def collect(into: Callable[..., Any] = list, add: Callable[[Any, Any], object] | None = None) -> Any:
    """Make one item of all items, at the end; also of none.

    ``collect()`` gives a list, ``collect(function)`` what ``function`` makes of that list (``set``,
    ``sorted``, ``"".join``); both need memory for all items. ``collect(make, add)`` begins with the
    container ``make()`` and calls ``add(container, item)`` for each item, keeping none:
    ``collect(set, set.add)``.

    Until the one item is delivered a position stands at the beginning: a resumed run collects again. For
    a fold that resumes where it was, use ``scan(...) | take_last(1)``. If the flow fails, or is drained
    before its end, nothing is given.
    """
    function_for("collect", into)
    if add is not None:
        function_for("collect", add)
    return attach(lambda node: Collect(inputs=(node,), into=into, add=add))


@node
class Collect(Node):
    """One value made of all items, at the end."""

    operator = "collect"
    stateful = True

    into: Callable[..., Any]
    add: Callable[[Any, Any], object] | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002
        """Return infinity: it holds all there is."""
        return math.inf

    @property
    def skippable(self) -> bool:
        """Whether ``add`` can fail on one item, or something above can."""
        return self.add is not None or self.inputs[0].skippable

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _CollectStage(site, self)


class _CollectStage(ShapingStage):
    """Its state is 1 once it has said all it had to say, so that a resumed run does not say it again."""

    def __init__(self, site: Site, node: Collect) -> None:
        super().__init__(site)
        self.low, self.said = 0, self.start
        self._node = node
        self._items: list[Any] = []
        self._value: Any = None
        self._made = False

    def wanted(self, n: int) -> int:
        return max(n, LARGEST_SLICE)

    def take(self, items: list[Any]) -> None:
        add = self._node.add
        if add is None:
            self._items += items
            return
        value = self._make()
        for item in items:
            try:
                add(value, item)
            except Exception as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)

    def forget(self) -> None:
        self.inputs.keep_ends()

    def _make(self) -> Any:
        if not self._made:
            self._value, self._made = self._node.into(), True
        return self._value

    def finish(self) -> None:
        if self.start and not self.done:
            return  # the run that this one resumes has said it, and nothing new has come
        value = self._make() if self._node.add is not None else self._node.into(self._items)
        self.put([value], [self.done + 1])
        self._items = []

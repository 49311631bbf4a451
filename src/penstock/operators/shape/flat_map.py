"""The operators ``flat_map`` and ``unbatch``, which replace each item by several."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, text_for
from penstock.runtime.functions import Expansion, Plain

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node

T = TypeVar("T")
U = TypeVar("U")


def flat_map(
    function: Callable[[T], Iterable[U]], *, name: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Replace each item by the items of the iterable ``function(item)``, which may be lazy.

    A position counts how many items of the present iterable were delivered. For a run to resume there,
    ``function`` must return the same items again.
    """
    function_for("flat_map", function)
    text_for("flat_map", "name", name, optional=True)
    return attach(lambda node: FlatMap(inputs=(node,), function=function, name=name))


def unbatch() -> Callable[[Flow[Iterable[T]]], Flow[T]]:
    """Replace each item, an iterable, by its items."""
    return attach(lambda node: Unbatch(inputs=(node,), function=_itself))


def _itself(item: Iterable[T]) -> Iterable[T]:
    return item


class FlatMap(Element):
    """Replaces each item by the items of the iterable ``function(item)``."""

    operator = "flat_map"
    stateful = True
    transparent = True
    reshapes = expands = True
    calls: ClassVar[type[Plain]] = Expansion
    relies_on_order = True
    remedy = (
        "downstream of an unordered operator, a resumed run may begin with another item than the one "
        "whose iterable was not finished. Pass ordered=True to that operator, or put flat_map before it."
    )

    @property
    def obstacle(self) -> Node | None:
        above = self.inputs[0]
        return above.obstacle or (None if above.repeatable else self)

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n) + n


class Unbatch(FlatMap):
    """Replaces each item by its own items."""

    operator = "unbatch"

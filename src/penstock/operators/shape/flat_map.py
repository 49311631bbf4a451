"""``flat_map`` and ``unbatch``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node


__all__ = ["FlatMap", "Unbatch", "flat_map", "unbatch"]

T = TypeVar("T")
U = TypeVar("U")


def flat_map(
    function: Callable[[T], Iterable[U]], *, name: str | None = None
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into the items of the iterable ``function(item)``, which may be lazy.

    A position counts the expansions of the item being expanded, so ``function`` must give the same
    ones again for a run to resume inside it.
    """
    function_for("flat_map", function)
    return attach(lambda node: FlatMap(inputs=(node,), function=function, name=name))


def unbatch() -> Callable[[Flow[Iterable[T]]], Flow[T]]:
    """Turn each item, an iterable, into its items: ``flat_map`` without a function."""
    return attach(lambda node: Unbatch(inputs=(node,), function=_itself))


def _itself(item: Iterable[T]) -> Iterable[T]:
    return item


class FlatMap(Element):
    """Each item becomes the items of the iterable ``function(item)``."""

    operator = "flat_map"
    stateful = True
    transparent = True
    ends = expands = True
    remedy = (
        "behind an unordered operator a resumed run may begin with another item than the one in whose "
        "expansion it was cut. Pass ordered=True to that operator, or expand the items before it."
    )

    @property
    def obstacle(self) -> Node | None:
        """This node, if a resumed run might begin with another item than the one it was cut in."""
        above = self.inputs[0]
        return above.obstacle or (None if above.repeatable else self)

    def bound(self, n: int) -> float:  # noqa: D102
        return self.inputs[0].bound(n) + n


class Unbatch(FlatMap):
    """Each item becomes its own items."""

    operator = "unbatch"

"""``enumerate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.node import assembled_at

if TYPE_CHECKING:
    from penstock.flow import Flow


__all__ = ["Enumerate", "enumerate"]

T = TypeVar("T")


class Enumerated:
    """What ``enumerate`` returns: generic in the item."""

    __slots__ = ("_start",)

    def __init__(self, start: int) -> None:
        self._start = start

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[int, T]]:
        """Attach it to a flow."""
        return attach(lambda node: Enumerate(inputs=(node,), number=self._start))(flow)


def enumerate(start: int = 0) -> Enumerated:  # noqa: A001
    """Pair each item with its index, counted from ``start``: ``(index, item)``. Resuming goes on counting."""
    if isinstance(start, bool) or not isinstance(start, int):
        msg = f"enumerate takes a whole number to start from, not {type(start).__name__}, at {assembled_at()}"
        raise GraphError(msg)
    return Enumerated(start)


class Enumerate(Element):
    """Each item becomes ``(index, item)``, counted from ``number``."""

    operator = "enumerate"
    number_is = "start"
    stateful = True

    def first(self) -> int:  # noqa: D102
        return self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = (s{k}, x)", f"s{k} += 1"]

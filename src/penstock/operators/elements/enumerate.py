"""The operator ``enumerate``, which pairs each item with its index."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import at

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def enumerate(start: int = 0) -> Callable[[Flow[T]], Flow[tuple[int, T]]]:  # noqa: A001  the field's name
    """Pair each item with its index, counted from ``start``: ``(index, item)``.

    A resumed run continues the count.
    """
    if isinstance(start, bool) or not isinstance(start, int):
        msg = f"enumerate takes a whole number to start from, not {type(start).__name__}{at(before=', ')}"
        raise GraphError(msg)
    return attach(lambda node: Enumerate(inputs=(node,), number=start))


class Enumerate(Element):
    """Replaces each item by ``(index, item)``; the first index is ``number``."""

    operator = "enumerate"
    number_is = "start"
    stateful = True

    def first(self) -> int:
        return self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = (s{k}, x)", f"s{k} += 1"]

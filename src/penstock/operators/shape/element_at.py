"""The operator ``element_at``, which yields one item by its index."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import NoItem
from penstock.operators.attach import attach
from penstock.operators.elements.if_empty import SwitchIfEmpty
from penstock.operators.shape.take_skip import Skip, Take
from penstock.runtime.arguments import positive
from penstock.runtime.missing import MISSING
from penstock.sources.from_iterable import FromIterable
from penstock.sources.trivial import Fail

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node

T = TypeVar("T")
U = TypeVar("U")


@overload
def element_at(index: int) -> Callable[[Flow[T]], Flow[T]]: ...
@overload
def element_at(index: int, default: U) -> Callable[[Flow[T]], Flow[T | U]]: ...
def element_at(index: int, default: Any = MISSING) -> Any:
    """Yield only the item with this index, counted from 0, and request none after it.

    If there are fewer items, yield ``default``; without a default, fail with ``NoItem``.
    """
    positive("element_at", "index", index, least=0)

    def missing() -> Exception:
        return NoItem(f"element_at({index}): the flow has fewer items; pass a default if that may be so")

    def make(node: Node) -> Node:
        found = Take(inputs=(Skip(inputs=(node,), number=index),), number=1)
        instead: Node = Fail(error=missing) if default is MISSING else FromIterable(items=(default,))
        return ElementAt(inputs=(found, instead))

    return attach(make)


class ElementAt(SwitchIfEmpty):
    """``SwitchIfEmpty`` behind ``Skip`` and ``Take``."""

    operator = "element_at"

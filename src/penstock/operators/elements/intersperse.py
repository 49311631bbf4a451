"""The operator ``intersperse``, which yields a separator between items."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.elements.stateful import Stateful

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def intersperse(separator: T) -> Callable[[Flow[T]], Flow[T]]:
    """Yield ``separator`` between each two items."""

    def between(begun: bool, item: Any) -> tuple[bool, tuple[Any, ...]]:  # noqa: FBT001  a state
        return True, (separator, item) if begun else (item,)

    return attach(lambda node: Intersperse(inputs=(node,), function=between, begin=False))


class Intersperse(Stateful):
    """Yields a separator between items."""

    operator = "intersperse"

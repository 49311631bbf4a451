"""The operator ``tap``, which calls a function and passes each item on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def tap(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Call ``function(item)`` for its side effect and pass the item on."""
    function_for("tap", function)
    return attach(lambda node: Tap(inputs=(node,), function=function))


class Tap(Element):
    """Calls ``function(item)`` and passes the item on."""

    operator = "tap"
    transparent = True
    one_to_one = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"f{k}(x)"]

"""``tap``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from penstock.flow import Flow


__all__ = ["Tap", "tap"]

T = TypeVar("T")


def tap(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Call ``function(item)`` for its effect and pass the item on."""
    function_for("tap", function)
    return attach(lambda node: Tap(inputs=(node,), function=function))


class Tap(Element):
    """``function(item)`` is called for its effect."""

    operator = "tap"
    transparent = True
    one_to_one = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"f{k}(x)"]

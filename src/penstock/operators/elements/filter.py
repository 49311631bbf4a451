"""``filter`` and ``choose``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from expression import Option

    from penstock.flow import Flow


__all__ = ["Choose", "Filter", "choose", "filter"]

T = TypeVar("T")
U = TypeVar("U")


def filter(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:  # noqa: A001
    """Keep the items for which ``function(item)`` is true."""
    function_for("filter", function)
    return attach(lambda node: Filter(inputs=(node,), function=function))


def choose(function: Callable[[T], Option[U]]) -> Callable[[Flow[T]], Flow[U]]:
    """Keep the value where ``function(item)`` is ``Some(value)``; drop the item where it is ``Nothing``."""
    function_for("choose", function)
    return attach(lambda node: Choose(inputs=(node,), function=function))


class Filter(Element):
    """Items for which ``function(item)`` is false are dropped."""

    operator = "filter"
    transparent = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if not f{k}(x):", *indent(drop)]


class Choose(Element):
    """Each item becomes the value of the ``Option`` that ``function(item)`` returns, or is dropped."""

    operator = "choose"
    transparent = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = f{k}(x)", "if x.is_none():", *indent(drop), "x = x.value"]

"""The operators ``filter`` and ``choose``, which keep some of the items."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from expression import Option

    from penstock.flow import Flow

T = TypeVar("T")
U = TypeVar("U")


def filter(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:  # noqa: A001  the field's name
    """Keep the items for which ``function(item)`` is true."""
    function_for("filter", function)
    return attach(lambda node: Filter(inputs=(node,), function=function))


def choose(function: Callable[[T], Option[U]]) -> Callable[[Flow[T]], Flow[U]]:
    """Replace an item by ``value`` if ``function(item)`` is ``Some(value)``; drop it otherwise."""
    function_for("choose", function)
    return attach(lambda node: Choose(inputs=(node,), function=function))


class Filter(Element):
    """Drops an item for which ``function(item)`` is false."""

    operator = "filter"
    transparent = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if not f{k}(x):", *indent(drop)]


class AnyOf(Filter):
    """``Filter`` of the terminal ``any``."""

    operator = "any"


class AllOf(Filter):
    """Drops an item for which ``function(item)`` is true, for the terminal ``all``."""

    operator = "all"

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if f{k}(x):", *indent(drop)]


class Choose(Element):
    """Replaces an item by the value of the ``Option`` that ``function(item)`` returns, or drops it."""

    operator = "choose"
    transparent = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = f{k}(x)", "if x.is_none():", *indent(drop), "x = x.value"]

"""The operators ``map`` and ``starmap``, which call a function on each item."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
U = TypeVar("U")


def map(function: Callable[[T], U]) -> Callable[[Flow[T]], Flow[U]]:  # noqa: A001  the field's name
    """Replace each item by ``function(item)``."""
    function_for("map", function)
    return attach(lambda node: Map(inputs=(node,), function=function))


def starmap(function: Callable[[*Ts], U]) -> Callable[[Flow[tuple[*Ts]]], Flow[U]]:
    """Replace each item, a tuple, by ``function(*item)``."""
    function_for("starmap", function)
    return attach(lambda node: StarMap(inputs=(node,), function=function))


class Map(Element):
    """Replaces each item by ``function(item)``."""

    operator = "map"
    transparent = True
    one_to_one = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = f{k}(x)"]


class StarMap(Map):
    """Replaces each item by ``function(*item)``."""

    operator = "starmap"

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = f{k}(*x)"]

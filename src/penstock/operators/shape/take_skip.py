"""``take``, ``take_while``, ``skip``, ``skip_while``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, positive

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Same


__all__ = ["Skip", "SkipWhile", "Take", "TakeWhile", "skip", "skip_while", "take", "take_while"]

T = TypeVar("T")


def take(count: int) -> Same:
    """Complete after ``count`` items, and ask for no more than those; ``take(0)`` asks for nothing."""
    positive("take", "count", count, least=0)
    return attach(lambda node: Take(inputs=(node,), number=count))


def take_while(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Complete before the first item for which ``function(item)`` is false."""
    function_for("take_while", function)
    return attach(lambda node: TakeWhile(inputs=(node,), function=function))


def skip(count: int) -> Same:
    """Drop the first ``count`` items."""
    positive("skip", "count", count, least=0)
    return attach(lambda node: Skip(inputs=(node,), number=count))


def skip_while(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Drop items up to the first for which ``function(item)`` is false; keep that one and all after it."""
    function_for("skip_while", function)
    return attach(lambda node: SkipWhile(inputs=(node,), function=function))


class Take(Element):
    """The first ``number`` items; then the end, without asking for more."""

    operator = "take"
    number_is = "count"
    takes = True
    stateful = True
    initial = 0

    def bound(self, n: int) -> float:  # noqa: D102
        return self.inputs[0].bound(min(n, self.number)) if self.number else 0

    def demand(self, n: int, state: int) -> int:  # noqa: D102
        return min(n, self.number - state)

    def finished(self, state: int) -> bool:  # noqa: D102
        return state >= self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"s{k} += 1"]


class TakeWhile(Element):
    """Items as long as ``function(item)`` is true; then the end."""

    operator = "take_while"
    stateful = True
    initial = False

    def finished(self, state: bool) -> bool:  # noqa: D102, FBT001
        return state

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if not f{k}(x):", f"    s{k} = True", "    return"]


class Skip(Element):
    """All but the first ``number`` items."""

    operator = "skip"
    number_is = "count"
    stateful = True
    initial = 0

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if s{k} < n{k}:", f"    s{k} += 1", *indent(drop)]


class SkipWhile(Element):
    """All items from the first for which ``function(item)`` is false."""

    operator = "skip_while"
    stateful = True
    initial = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if s{k}:", f"    if f{k}(x):", *indent(indent(drop)), f"    s{k} = False"]

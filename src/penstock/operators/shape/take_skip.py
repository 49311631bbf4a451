"""The operators ``take``, ``take_while``, ``skip`` and ``skip_while``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import flag_for, function_for, positive

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.operators.attach import Same

T = TypeVar("T")


def take(count: int) -> Same:
    """Complete after ``count`` items, and request no more than those.

    ``take(0)`` requests nothing.
    """
    positive("take", "count", count, least=0)
    return attach(lambda node: Take(inputs=(node,), number=count))


def take_while(function: Callable[[T], object], *, inclusive: bool = False) -> Callable[[Flow[T]], Flow[T]]:
    """Complete before the first item for which ``function(item)`` is false; if ``inclusive``, after it."""
    function_for("take_while", function)
    flag_for("take_while", inclusive=inclusive)
    if inclusive:
        return attach(lambda node: TakeWhileInclusive(inputs=(node,), function=function, number=1))
    return attach(lambda node: TakeWhile(inputs=(node,), function=function))


def skip(count: int) -> Same:
    """Drop the first ``count`` items."""
    positive("skip", "count", count, least=0)
    return attach(lambda node: Skip(inputs=(node,), number=count))


def skip_while(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Drop items until ``function(item)`` is false; keep that item and all later ones."""
    function_for("skip_while", function)
    return attach(lambda node: SkipWhile(inputs=(node,), function=function))


class Take(Element):
    """Completes after ``number`` items; the state counts them."""

    operator = "take"
    number_is = "count"
    takes = True
    stateful = True
    initial = 0

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(min(n, self.number)) if self.number else 0

    def demand(self, n: int, state: int) -> int:
        return min(n, self.number - state)

    def finished(self, state: int) -> bool:
        return state >= self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"s{k} += 1"]


class TakeWhile(Element):
    """Completes when ``function(item)`` is false; the state says whether it has."""

    operator = "take_while"
    stateful = True
    initial = False

    def finished(self, state: bool) -> bool:  # noqa: FBT001
        return state

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if not f{k}(x):", f"    s{k} = True", "    return"]


class TakeWhileInclusive(Element):
    """Completes behind an item for which ``function(item)`` is false; the state is then ``number``, 1."""

    operator = "take_while"
    number_is = "inclusive"
    takes = True
    stateful = True
    initial = 0

    def finished(self, state: int) -> bool:
        return state >= self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if not f{k}(x):", f"    s{k} = n{k}"]


class Skip(Element):
    """Drops the first ``number`` items; the state counts them."""

    operator = "skip"
    number_is = "count"
    stateful = True
    initial = 0

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if s{k} < n{k}:", f"    s{k} += 1", *indent(drop)]


class SkipWhile(Element):
    """Drops items while ``function(item)`` is true; the state says whether it still does."""

    operator = "skip_while"
    stateful = True
    initial = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if s{k}:", f"    if f{k}(x):", *indent(indent(drop)), f"    s{k} = False"]

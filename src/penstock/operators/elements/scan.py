"""The operator ``scan``, which yields the running results of a fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, text_for
from penstock.runtime.missing import MISSING
from penstock.runtime.node import node

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.flow import Flow

T = TypeVar("T")
U = TypeVar("U")


@overload
def scan(function: Callable[[T, T], T], *, name: str | None = None) -> Callable[[Flow[T]], Flow[T]]: ...
@overload
def scan(
    function: Callable[[U, T], U], seed: U, *, name: str | None = None
) -> Callable[[Flow[T]], Flow[U]]: ...
def scan(function: Callable[[Any, Any], Any], seed: Any = MISSING, *, name: str | None = None) -> Any:
    """Yield each result of a fold: ``accumulator = function(accumulator, item)``.

    ``seed``, the first accumulator, is not yielded. Without a seed the first item is the first accumulator,
    and it is yielded, as by ``itertools.accumulate``.

    The accumulator is part of the position: it must be JSON for a run to be resumable, and ``function`` must
    return a new one instead of changing it in place.
    """
    function_for("scan", function)
    text_for("scan", "name", name, optional=True)
    if seed is MISSING:
        return attach(lambda node: ScanItems(inputs=(node,), function=function, name=name))
    return attach(lambda node: Scan(inputs=(node,), function=function, seed=seed, name=name))


@node
class Scan(Element):
    """Replaces each item by ``function(accumulator, item)``, which is the next accumulator."""

    operator = "scan"
    stateful = True

    seed: Any = None

    def first(self) -> Any:
        return self.seed

    def dump(self, state: Any) -> JSON:
        return [state]  # the accumulator may be None

    def load(self, state: JSON) -> Any:
        return state[0]

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = s{k} = f{k}(s{k}, x)"]


class ScanItems(Element):
    """``Scan`` whose first accumulator is the first item."""

    operator = "scan"
    stateful = True
    initial = MISSING
    helpers: ClassVar[Mapping[str, Any]] = {"MISSING": MISSING}

    def dump(self, state: Any) -> JSON:
        return [] if state is MISSING else [state]

    def load(self, state: JSON) -> Any:
        return state[0] if state else MISSING

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = s{k} = x if s{k} is MISSING else f{k}(s{k}, x)"]

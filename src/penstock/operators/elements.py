"""One item in, one or none out: synchronous operators, fused into one stage with their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from penstock.core import elements
from penstock.core.node import assembled_at
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for

if TYPE_CHECKING:
    from expression import Option

    from penstock.flow import Flow
    from penstock.operators.attach import Same

__all__ = ["choose", "distinct_until_changed", "enumerate", "filter", "map", "scan", "starmap", "tap"]

T = TypeVar("T")
U = TypeVar("U")
Ts = TypeVarTuple("Ts")


def map(function: Callable[[T], U]) -> Callable[[Flow[T]], Flow[U]]:  # noqa: A001  the field's name
    """Turn each item into ``function(item)``."""
    function_for("map", function)
    return attach(lambda node: elements.Map(inputs=(node,), function=function))


def starmap(function: Callable[[*Ts], U]) -> Callable[[Flow[tuple[*Ts]]], Flow[U]]:
    """Turn each item, a tuple, into ``function(*item)``."""
    function_for("starmap", function)
    return attach(lambda node: elements.StarMap(inputs=(node,), function=function))


def filter(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:  # noqa: A001
    """Keep the items for which ``function(item)`` is true."""
    function_for("filter", function)
    return attach(lambda node: elements.Filter(inputs=(node,), function=function))


def choose(function: Callable[[T], Option[U]]) -> Callable[[Flow[T]], Flow[U]]:
    """Keep the value where ``function(item)`` is ``Some(value)``; drop the item where it is ``Nothing``."""
    function_for("choose", function)
    return attach(lambda node: elements.Choose(inputs=(node,), function=function))


def tap(function: Callable[[T], object]) -> Callable[[Flow[T]], Flow[T]]:
    """Call ``function(item)`` for its effect and pass the item on."""
    function_for("tap", function)
    return attach(lambda node: elements.Tap(inputs=(node,), function=function))


class Enumerated:
    """What ``enumerate`` returns: generic in the item."""

    __slots__ = ("_start",)

    def __init__(self, start: int) -> None:
        self._start = start

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[int, T]]:
        """Attach it to a flow."""
        return attach(lambda node: elements.Enumerate(inputs=(node,), number=self._start))(flow)


def enumerate(start: int = 0) -> Enumerated:  # noqa: A001
    """Pair each item with its index, counted from ``start``: ``(index, item)``. Resuming goes on counting."""
    if isinstance(start, bool) or not isinstance(start, int):
        msg = f"enumerate takes a whole number to start from, not {type(start).__name__}, at {assembled_at()}"
        raise GraphError(msg)
    return Enumerated(start)


def scan(function: Callable[[U, T], U], seed: U, *, name: str | None = None) -> Callable[[Flow[T]], Flow[U]]:
    """Fold from the left and yield each result: ``accumulator = function(accumulator, item)``.

    The accumulator is part of the position: it must be JSON for a run to be resumable, and ``function``
    must return a new one instead of changing it in place. ``seed`` itself is not yielded.
    """
    function_for("scan", function)
    return attach(lambda node: elements.Scan(inputs=(node,), function=function, seed=seed, name=name))


def distinct_until_changed(key: Callable[[Any], object] | None = None) -> Same:
    """Drop items whose key (the item itself by default) equals that of the item before.

    The last key is part of the position, so it must be JSON for a run to be resumable.
    """
    if key is not None:
        function_for("distinct_until_changed", key)
    return attach(lambda node: elements.Distinct(inputs=(node,), function=key))

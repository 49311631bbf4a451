"""Operators that let work overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.core import boundaries, concurrent
from penstock.core.node import positive
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Same

__all__ = ["buffer", "map_async"]

T = TypeVar("T")
U = TypeVar("U")

WINDOWS = 4
"""The default window, in multiples of the concurrency."""


def map_async(
    function: Callable[[T], Awaitable[U]],
    concurrency: int = 8,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Turn each item into ``await function(item)``, ``concurrency`` of them at a time.

    Args:
        function: An async function.
        concurrency: How many calls may be under way at once.
        ordered: Whether results keep the order of their inputs; otherwise they come as they complete.
        window: How many inputs may be taken from upstream and not delivered yet; four times the
            concurrency by default. A larger one keeps the workers busy behind a slow input.
    """
    function_for("map_async", function, asynchronous=True)
    positive("map_async", "concurrency", concurrency)
    window = concurrency * WINDOWS if window is None else window
    positive("map_async", "window", window)
    if window < concurrency:
        msg = f"map_async(concurrency={concurrency}, window={window}): the window must hold what is under way"
        raise GraphError(msg)
    kind = concurrent.MapAsync if ordered else concurrent.MapAsyncUnordered
    return attach(
        lambda node: kind(inputs=(node,), function=function, concurrency=concurrency, window=window)
    )


def buffer(capacity: int) -> Same:
    """Fetch up to ``capacity`` items ahead of demand, in a task of their own.

    It lets a slow source and a slow consumer work at the same time. Items keep their order, and none is
    dropped: a full buffer makes upstream wait.
    """
    positive("buffer", "capacity", capacity)
    return attach(lambda node: boundaries.Buffer(inputs=(node,), capacity=capacity))

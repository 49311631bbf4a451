"""The operator ``batch``, which gathers items in lists of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.operators.shape.batch_lists import BatchBy, BatchStrict
from penstock.operators.shape.batch_within import BatchWithin, Weighed
from penstock.runtime.arguments import at, flag_for, function_for, positive, seconds_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Node

T = TypeVar("T")


@overload
def batch(size: int, within: float | None = None) -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def batch(size: None = None, *, within: float) -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def batch(size: int, *, strict: bool) -> Callable[[Flow[T]], Flow[list[T]]]: ...
@overload
def batch(
    size: float, within: float | None = None, *, by: Callable[[T], float]
) -> Callable[[Flow[T]], Flow[list[T]]]: ...
def batch(
    size: float | None = None,
    within: float | None = None,
    *,
    by: Callable[[Any], float] | None = None,
    strict: bool = False,
) -> Any:
    """Gather lists of ``size`` items; the last list may be shorter.

    A position stands before the first item of an unfinished list, so no item is stored. When upstream
    fails, the unfinished list is not delivered; a resumed run reads its items again. A run that is drained
    delivers it.

    Args:
        size: How many items a full list has. Without a size, ``within`` alone ends a list.
        within: Seconds, counted from the arrival of a list's first item, after which the list is delivered
            even if it is not full. A list is never empty. With ``within``, up to one full list is gathered
            ahead of demand (with ``by``, up to two), and the flow's order is *timed*.
        by: Returns the weight of an item, a number that is not negative, such as its length in bytes. Then
            ``size`` is the largest sum of the weights in a list. A heavier item passes alone, as a list of
            one item. A run that is drained does not deliver the unfinished list, unless there is ``within``.
        strict: Whether a shorter list at the end is a ``ValueError``, as in ``itertools.batched``. A run
            that is drained does not deliver it.
    """
    if size is None and within is None:
        msg = f"batch{at()} needs a size, or seconds as batch(within=…)"
        raise GraphError(msg)
    flag_for("batch", strict=strict)
    if (strict and (by is not None or within is not None)) or (size is None and (by is not None or strict)):
        msg = f"batch{at()}: strict goes with neither by nor within; by and strict need a size"
        raise GraphError(msg)
    if size is not None:
        positive("batch", "size", size, least=1 if by is None else 0, whole=by is None)
    if by is not None:
        function_for("batch", by, "by")
    count: Any = size
    if within is not None:
        seconds = seconds_for("batch", "within", within, zero=True)
        return attach(lambda node: _within(node, count, seconds, by))
    if by is not None:
        return attach(lambda node: BatchBy(inputs=(node,), function=by, size=count))
    if strict:
        return attach(lambda node: BatchStrict(inputs=(node,), size=count, step=count))
    return attach(lambda node: Batch(inputs=(node,), number=count))


def _within(above: Node, size: int | None, within: float, by: Callable[[Any], float] | None) -> Node:
    if by is not None:
        above = Weighed(inputs=(above,), function=by)
    return BatchWithin(inputs=(above,), size=size, within=within, weighed=by is not None)


class Batch(Element):
    """Gathers lists of ``number`` items; the last may be shorter."""

    operator = "batch"
    number_is = "size"
    reshapes = gathers = True

    def bound(self, n: int) -> float:
        return self.inputs[0].bound(n * self.number) + self.number - 1

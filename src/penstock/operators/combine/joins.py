"""The joins as functions of many flows: ``merge(a, b, c)`` is ``a | op.merge(b, c)``.

A single argument that is an iterable holds the flows. So the types of one argument and of several differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock import operators as op
from penstock.operators.attach import joined
from penstock.runtime.stream import Stream, flow_of
from penstock.sources.trivial import empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.operators.attach import Alone, Joinable

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
T = TypeVar("T")


@overload
def concat(flows: Iterable[Joinable[T]] = (), /) -> Flow[T]: ...
@overload
def concat(flow: Alone[T], /, *others: Joinable[T]) -> Flow[T]: ...
@overload
def concat(one: Joinable[T], other: Joinable[T], /, *others: Joinable[T]) -> Flow[T]: ...
def concat(*flows: Any) -> Flow[Any]:
    """Create a flow of the items of several flows; each starts when the one before has completed.

    Pass the flows, or one iterable of flows. Without a flow it is empty.
    """
    return _joined(op.concat, flows)


@overload
def merge(
    flows: Iterable[Joinable[T]] = (), /, *, concurrency: int | None = None, delay_errors: bool = False
) -> Flow[T]: ...
@overload
def merge(
    flow: Alone[T], /, *others: Joinable[T], concurrency: int | None = None, delay_errors: bool = False
) -> Flow[T]: ...
@overload
def merge(
    one: Joinable[T],
    other: Joinable[T],
    /,
    *others: Joinable[T],
    concurrency: int | None = None,
    delay_errors: bool = False,
) -> Flow[T]: ...
def merge(*flows: Any, concurrency: int | None = None, delay_errors: bool = False) -> Flow[Any]:
    """Create a flow of the items of several flows as they arrive; the order within each flow is kept.

    Args:
        flows: The flows, or one iterable of flows. Without a flow it is empty.
        concurrency: As for the operator ``merge``.
        delay_errors: As for the operator ``merge``.
    """
    return _joined(op.merge, flows, concurrency=concurrency, delay_errors=delay_errors)


@overload
def interleave(flows: Iterable[Joinable[T]] = (), /) -> Flow[T]: ...
@overload
def interleave(flow: Alone[T], /, *others: Joinable[T]) -> Flow[T]: ...
@overload
def interleave(one: Joinable[T], other: Joinable[T], /, *others: Joinable[T]) -> Flow[T]: ...
def interleave(*flows: Any) -> Flow[Any]:
    """Create a flow of one item of each flow in turn; flows that have ended are skipped.

    Pass the flows, or one iterable of flows. Without a flow it is empty.
    """
    return _joined(op.interleave, flows)


@overload
def merge_sorted(
    flows: Iterable[Joinable[T]] = (), /, *, key: Callable[[T], Any] | None = None, reverse: bool = False
) -> Flow[T]: ...
@overload
def merge_sorted(
    flow: Alone[T], /, *others: Joinable[T], key: Callable[[T], Any] | None = None, reverse: bool = False
) -> Flow[T]: ...
@overload
def merge_sorted(
    one: Joinable[T],
    other: Joinable[T],
    /,
    *others: Joinable[T],
    key: Callable[[T], Any] | None = None,
    reverse: bool = False,
) -> Flow[T]: ...
def merge_sorted(*flows: Any, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> Flow[Any]:
    """Create one sorted flow from several sorted flows, like ``heapq.merge``.

    Args:
        flows: The flows, or one iterable of flows. Without a flow it is empty.
        key: As for the operator ``merge_sorted``.
        reverse: As for the operator ``merge_sorted``.
    """
    return _joined(op.merge_sorted, flows, key=key, reverse=reverse)


@overload
def race(flows: Iterable[Joinable[T]] = (), /) -> Flow[T]: ...
@overload
def race(flow: Alone[T], /, *others: Joinable[T]) -> Flow[T]: ...
@overload
def race(one: Joinable[T], other: Joinable[T], /, *others: Joinable[T]) -> Flow[T]: ...
def race(*flows: Any) -> Flow[Any]:
    """Create a flow of the items of the flow that is first to yield one; the others are closed at once.

    Pass the flows, or one iterable of flows. Without a flow it is empty. A flow that completes without an
    item loses; a flow that fails before any other yields an item ends the race with its error.
    """
    return _joined(op.race, flows)


@overload
def zip(flows: Iterable[Joinable[T]] = (), /, *, strict: bool = False) -> Flow[tuple[T, ...]]: ...  # noqa: A001
@overload
def zip(a: Alone[A], /, *, strict: bool = False) -> Flow[tuple[A]]: ...  # noqa: A001
@overload
def zip(a: Joinable[A], b: Joinable[B], /, *, strict: bool = False) -> Flow[tuple[A, B]]: ...  # noqa: A001
@overload
def zip(  # noqa: A001
    a: Joinable[A], b: Joinable[B], c: Joinable[C], /, *, strict: bool = False
) -> Flow[tuple[A, B, C]]: ...
@overload
def zip(  # noqa: A001
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], /, *, strict: bool = False
) -> Flow[tuple[A, B, C, D]]: ...
@overload
def zip(  # noqa: A001
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], e: Joinable[E], /, *, strict: bool = False
) -> Flow[tuple[A, B, C, D, E]]: ...
@overload
def zip(*flows: Joinable[Any], strict: bool = False) -> Flow[tuple[Any, ...]]: ...  # noqa: A001
def zip(*flows: Any, strict: bool = False) -> Flow[Any]:  # noqa: A001  the field's name
    """Create a flow of tuples: the first items of all flows, then the second items, and so on.

    Args:
        flows: The flows, or one iterable of flows. Without a flow it is empty.
        strict: As for the operator ``zip``.
    """
    return _joined(op.zip, flows, strict=strict)


@overload
def zip_longest(flows: Iterable[Joinable[T]] = (), /) -> Flow[tuple[T | None, ...]]: ...
@overload
def zip_longest(flows: Iterable[Joinable[T]] = (), /, *, fillvalue: F) -> Flow[tuple[T | F, ...]]: ...
@overload
def zip_longest(a: Joinable[A], b: Joinable[B], /) -> Flow[tuple[A | None, B | None]]: ...
@overload
def zip_longest(a: Joinable[A], b: Joinable[B], /, *, fillvalue: F) -> Flow[tuple[A | F, B | F]]: ...
@overload
def zip_longest(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], /
) -> Flow[tuple[A | None, B | None, C | None]]: ...
@overload
def zip_longest(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], /, *, fillvalue: F
) -> Flow[tuple[A | F, B | F, C | F]]: ...
@overload
def zip_longest(*flows: Joinable[Any], fillvalue: object = None) -> Flow[tuple[Any, ...]]: ...
def zip_longest(*flows: Any, fillvalue: object = None) -> Flow[Any]:
    """Create a flow of tuples of the first items of all flows, and so on, to the end of the longest flow.

    Args:
        flows: The flows, or one iterable of flows. Without a flow it is empty.
        fillvalue: Stands for the items of flows that have ended.
    """
    return _joined(op.zip_longest, flows, fillvalue=fillvalue)


@overload
def combine_latest(flows: Iterable[Joinable[T]] = (), /) -> Flow[tuple[T, ...]]: ...
@overload
def combine_latest(a: Alone[A], /) -> Flow[tuple[A]]: ...
@overload
def combine_latest(a: Joinable[A], b: Joinable[B], /) -> Flow[tuple[A, B]]: ...
@overload
def combine_latest(a: Joinable[A], b: Joinable[B], c: Joinable[C], /) -> Flow[tuple[A, B, C]]: ...
@overload
def combine_latest(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], /
) -> Flow[tuple[A, B, C, D]]: ...
@overload
def combine_latest(
    a: Joinable[A], b: Joinable[B], c: Joinable[C], d: Joinable[D], e: Joinable[E], /
) -> Flow[tuple[A, B, C, D, E]]: ...
@overload
def combine_latest(*flows: Joinable[Any]) -> Flow[tuple[Any, ...]]: ...
def combine_latest(*flows: Any) -> Flow[Any]:
    """Create a flow of tuples of the latest items of all flows, one each time a flow yields an item.

    The first tuple comes when each flow has yielded an item. Pass the flows, or one iterable of flows.
    Without a flow it is empty.
    """
    return _joined(op.combine_latest, flows)


@overload
def zip_latest(
    flows: Iterable[Joinable[Any]] = (), /, *, partial: bool = True, default: Any = None
) -> Flow[tuple[Any, ...]]: ...
@overload
def zip_latest(
    a: Joinable[A], b: Joinable[B], /, *, partial: bool = True, default: None = None
) -> Flow[tuple[A | None, B | None]]: ...
@overload
def zip_latest(*flows: Joinable[Any], partial: bool = True, default: Any = None) -> Flow[tuple[Any, ...]]: ...
def zip_latest(*flows: Any, partial: bool = True, default: Any = None) -> Flow[Any]:
    """Create a flow of tuples of the latest items of all flows, from the first item on.

    Args:
        flows: The flows, or one iterable of flows. Without a flow it is empty.
        partial: As for the operator ``zip_latest``.
        default: Stands for a flow that has yielded no item yet.
    """
    return _joined(op.zip_latest, flows, partial=partial, default=default)


def _joined(operator: Callable[..., Any], flows: tuple[Any, ...], **options: Any) -> Flow[Any]:
    """Apply ``operator`` to the first flow, with the other flows as its arguments."""
    if len(flows) == 1 and isinstance(flows[0], Iterable) and not isinstance(flows[0], Stream):
        flows = tuple(flows[0])
    step = operator(*flows[1:], **options)
    if not flows:
        return empty()
    first = joined(f"each argument of {operator.__name__}", flows[0])
    flow: Flow[Any] = step(flow_of(first))
    return flow

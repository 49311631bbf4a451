"""The joins as functions of many flows: ``merge(a, b, c)`` is ``a | op.merge(b, c)``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators import combine as op
from penstock.operators.attach import joined
from penstock.runtime.stream import Stream, flow_of
from penstock.sources.trivial import empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
T = TypeVar("T")


@overload
def concat(*flows: Flow[T]) -> Flow[T]: ...
@overload
def concat(flows: Iterable[Flow[T]], /) -> Flow[T]: ...
def concat(*flows: Any) -> Flow[Any]:
    """Create a flow of the items of several flows; each starts when the one before has completed.

    Pass the flows, or one iterable of flows. Without a flow it is empty.
    """
    return _joined(op.concat, flows)


@overload
def merge(*flows: Flow[T], concurrency: int | None = None, delay_errors: bool = False) -> Flow[T]: ...
@overload
def merge(
    flows: Iterable[Flow[T]], /, *, concurrency: int | None = None, delay_errors: bool = False
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
def interleave(*flows: Flow[T]) -> Flow[T]: ...
@overload
def interleave(flows: Iterable[Flow[T]], /) -> Flow[T]: ...
def interleave(*flows: Any) -> Flow[Any]:
    """Create a flow of one item of each flow in turn; flows that have ended are skipped.

    Pass the flows, or one iterable of flows. Without a flow it is empty.
    """
    return _joined(op.interleave, flows)


@overload
def merge_sorted(
    *flows: Flow[T], key: Callable[[T], Any] | None = None, reverse: bool = False
) -> Flow[T]: ...
@overload
def merge_sorted(
    flows: Iterable[Flow[T]], /, *, key: Callable[[T], Any] | None = None, reverse: bool = False
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
def race(*flows: Flow[T]) -> Flow[T]: ...
@overload
def race(flows: Iterable[Flow[T]], /) -> Flow[T]: ...
def race(*flows: Any) -> Flow[Any]:
    """Create a flow of the items of the flow that is first to yield one; the others are closed at once.

    Pass the flows, or one iterable of flows. Without a flow it is empty. A flow that completes without an
    item loses; a flow that fails before any other yields an item ends the race with its error.
    """
    return _joined(op.race, flows)


@overload
def zip(a: Flow[A], /, *, strict: bool = False) -> Flow[tuple[A]]: ...  # noqa: A001
@overload
def zip(a: Flow[A], b: Flow[B], /, *, strict: bool = False) -> Flow[tuple[A, B]]: ...  # noqa: A001
@overload
def zip(a: Flow[A], b: Flow[B], c: Flow[C], /, *, strict: bool = False) -> Flow[tuple[A, B, C]]: ...  # noqa: A001
@overload
def zip(  # noqa: A001
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /, *, strict: bool = False
) -> Flow[tuple[A, B, C, D]]: ...
@overload
def zip(  # noqa: A001
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], e: Flow[E], /, *, strict: bool = False
) -> Flow[tuple[A, B, C, D, E]]: ...
@overload
def zip(*flows: Flow[Any], strict: bool = False) -> Flow[tuple[Any, ...]]: ...  # noqa: A001
@overload
def zip(flows: Iterable[Flow[T]], /, *, strict: bool = False) -> Flow[tuple[T, ...]]: ...  # noqa: A001
def zip(*flows: Any, strict: bool = False) -> Flow[Any]:  # noqa: A001  the field's name
    """Create a flow of tuples: the first items of all flows, then the second items, and so on.

    Args:
        flows: The flows, or one iterable of flows. Without a flow it is empty.
        strict: As for the operator ``zip``.
    """
    return _joined(op.zip, flows, strict=strict)


@overload
def combine_latest(a: Flow[A], /) -> Flow[tuple[A]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], /) -> Flow[tuple[A, B]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], c: Flow[C], /) -> Flow[tuple[A, B, C]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /) -> Flow[tuple[A, B, C, D]]: ...
@overload
def combine_latest(
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], e: Flow[E], /
) -> Flow[tuple[A, B, C, D, E]]: ...
@overload
def combine_latest(*flows: Flow[Any]) -> Flow[tuple[Any, ...]]: ...
@overload
def combine_latest(flows: Iterable[Flow[T]], /) -> Flow[tuple[T, ...]]: ...
def combine_latest(*flows: Any) -> Flow[Any]:
    """Create a flow of tuples of the latest items of all flows, one each time a flow yields an item.

    The first tuple comes when each flow has yielded an item. Pass the flows, or one iterable of flows.
    Without a flow it is empty.
    """
    return _joined(op.combine_latest, flows)


@overload
def zip_latest(
    a: Flow[A], b: Flow[B], /, *, partial: bool = True, default: None = None
) -> Flow[tuple[A | None, B | None]]: ...
@overload
def zip_latest(*flows: Flow[Any], partial: bool = True, default: Any = None) -> Flow[tuple[Any, ...]]: ...
@overload
def zip_latest(
    flows: Iterable[Flow[Any]], /, *, partial: bool = True, default: Any = None
) -> Flow[tuple[Any, ...]]: ...
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

"""Operators that join several flows."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.core import boundaries, flatmerge, flattening, joining, latest, merging, racing, switchmap
from penstock.core.node import positive
from penstock.operators.attach import attach, function_for, node_of, order_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.node import Node
    from penstock.flow import Flow

__all__ = [
    "combine_latest",
    "concat",
    "concat_map",
    "flat_map_merge",
    "interleave",
    "merge",
    "merge_sorted",
    "race",
    "sequence_equal",
    "switch_map",
    "with_latest_from",
    "zip",
    "zip_latest",
]

T = TypeVar("T")
U = TypeVar("U")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


def _nodes(operator: str, others: tuple[object, ...]) -> tuple[Node, ...]:
    return tuple(node_of(f"what {operator} joins", other) for other in others)


def concat(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Continue with the items of ``others``; each begins when the one before has completed."""
    nodes = tuple(node_of("what concat continues with", other) for other in others)
    return attach(lambda node: boundaries.Concat(inputs=(node, *nodes)))


def merge(
    *others: Flow[T], max_concurrent: int | None = None, delay_errors: bool = False
) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of all flows as they come; the order within each is kept, and none starves.

    Args:
        others: The flows to merge with.
        max_concurrent: How many flows may run at once, all unless given. The first ones start, and
            whenever one ends, the next one does.
        delay_errors: Whether an error waits until all other flows have ended. Otherwise the first error
            ends the whole as soon as everything that had been fetched before it is delivered.
    """
    if max_concurrent is not None:
        positive("merge", "max_concurrent", max_concurrent)
    nodes = _nodes("merge", others)
    return attach(
        lambda node: merging.Merge(
            inputs=(node, *nodes), max_concurrent=max_concurrent, delay_errors=delay_errors
        )
    )


def interleave(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Yield one item of each flow in turn: fair round robin, in an order that does not depend on time.

    A flow that has ended is passed over; the others go on. While the flow whose turn it is has no item,
    all wait. An error is raised when it is its flow's turn.
    """
    nodes = _nodes("interleave", others)
    return attach(lambda node: joining.Interleave(inputs=(node, *nodes)))


def merge_sorted(
    *others: Flow[T], key: Callable[[T], Any] | None = None, reverse: bool = False
) -> Callable[[Flow[T]], Flow[T]]:
    """Merge sorted flows into one, like ``heapq.merge``: of equal items those of earlier flows come first.

    Nothing is delivered before each flow has given an item or ended. Flows that are not sorted are not
    found out; what comes then is not sorted either.

    Args:
        others: The flows to merge with.
        key: What to compare; the item itself unless given. Called once for each item.
        reverse: Whether the flows are sorted from the largest to the smallest.
    """
    if key is not None:
        function_for("merge_sorted", key)
    nodes = _nodes("merge_sorted", others)
    return attach(lambda node: joining.MergeSorted(inputs=(node, *nodes), key=key, reverse=reverse))


@overload
def zip(*, strict: bool = False) -> Callable[[Flow[T]], Flow[tuple[T]]]: ...  # noqa: A001
@overload
def zip(a: Flow[A], /, *, strict: bool = False) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...  # noqa: A001
@overload
def zip(a: Flow[A], b: Flow[B], /, *, strict: bool = False) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...  # noqa: A001
@overload
def zip(  # noqa: A001
    a: Flow[A], b: Flow[B], c: Flow[C], /, *, strict: bool = False
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def zip(  # noqa: A001
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /, *, strict: bool = False
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def zip(*others: Flow[Any], strict: bool = False) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...  # noqa: A001
def zip(*others: Flow[Any], strict: bool = False) -> Callable[[Flow[Any]], Flow[Any]]:  # noqa: A001  the field's name
    """Yield tuples: the first items of all flows, then the second ones, and so on.

    It completes with the shortest flow and closes the others at once; what they had given beyond is
    dropped. All flows are asked at the same time, and for no more than what is asked of this one.

    Args:
        others: The flows whose items follow in each tuple.
        strict: Whether it is a ``ValueError`` that one flow ends before another; then all are asked
            until that is known.
    """
    nodes = _nodes("zip", others)
    return attach(lambda node: joining.Zip(inputs=(node, *nodes), strict=strict))


@overload
def combine_latest() -> Callable[[Flow[T]], Flow[tuple[T]]]: ...
@overload
def combine_latest(a: Flow[A], /) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def combine_latest(a: Flow[A], b: Flow[B], c: Flow[C], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def combine_latest(
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def combine_latest(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def combine_latest(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield a tuple of the latest items of all flows whenever one of them gives an item.

    It begins when each has given one; items that a newer one replaces before that are dropped, later ones
    never. It completes when all have completed, or as soon as one completes without an item. Flows that
    have items ready take turns.

    A position holds none of the items: it stands before the latest one of each flow, which a resumed run
    reads again first. Which items meet after that is a matter of time, as ever.
    """
    nodes = _nodes("combine_latest", others)
    return attach(lambda node: latest.CombineLatest(inputs=(node, *nodes)))


@overload
def zip_latest(
    a: Flow[A], /, *, partial: bool = True, default: None = None
) -> Callable[[Flow[T]], Flow[tuple[T | None, A | None]]]: ...
@overload
def zip_latest(
    a: Flow[A], /, *, partial: bool = True, default: D
) -> Callable[[Flow[T]], Flow[tuple[T | D, A | D]]]: ...
@overload
def zip_latest(
    *others: Flow[Any], partial: bool = True, default: Any = None
) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def zip_latest(
    *others: Flow[Any], partial: bool = True, default: Any = None
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield what ``combine_latest`` does, by aiostream's name and from the first item on.

    Args:
        others: The flows whose latest items follow in each tuple.
        partial: Whether tuples come before all flows have given an item; if false, this is
            ``combine_latest``.
        default: What stands for a flow that has given no item yet.
    """
    nodes = _nodes("zip_latest", others)
    return attach(lambda node: latest.ZipLatest(inputs=(node, *nodes), partial=partial, default=default))


@overload
def with_latest_from(a: Flow[A], /) -> Callable[[Flow[T]], Flow[tuple[T, A]]]: ...
@overload
def with_latest_from(a: Flow[A], b: Flow[B], /) -> Callable[[Flow[T]], Flow[tuple[T, A, B]]]: ...
@overload
def with_latest_from(
    a: Flow[A], b: Flow[B], c: Flow[C], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C]]]: ...
@overload
def with_latest_from(
    a: Flow[A], b: Flow[B], c: Flow[C], d: Flow[D], /
) -> Callable[[Flow[T]], Flow[tuple[T, A, B, C, D]]]: ...
@overload
def with_latest_from(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[tuple[Any, ...]]]: ...
def with_latest_from(*others: Flow[Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield each item of this flow in a tuple with the latest items of ``others``.

    Items that come before each of the others has given one are dropped. It completes with this flow,
    and closes the others at once, or as soon as one of the others completes without an item. An error of
    any flow is raised at once. A position stands before the latest items, which a resumed run reads again.
    """
    nodes = _nodes("with_latest_from", others)
    return attach(lambda node: latest.WithLatestFrom(inputs=(node, *nodes)))


def race(*others: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Yield the items of the flow that is first to give one; the others are closed at once.

    Completing or failing first wins as well. Of flows that are ready at the same moment the one that
    stands first wins. A resumed run goes on with the winner and starts no other.
    """
    nodes = _nodes("race", others)
    return attach(lambda node: racing.Race(inputs=(node, *nodes)))


def sequence_equal(
    other: Flow[Any], equal: Callable[[Any, Any], object] | None = None
) -> Callable[[Flow[Any]], Flow[bool]]:
    """Yield one item: whether this flow and ``other`` have equal items, and as many.

    ``False`` comes at the first difference, and both flows are closed. An error is raised when it is
    reached before a difference.

    Args:
        other: The flow to compare with.
        equal: Called with an item of each, says whether they are equal; ``==`` unless given.
    """
    if equal is not None:
        function_for("sequence_equal", equal)
    nodes = _nodes("sequence_equal", (other,))
    return attach(lambda node: joining.SequenceEqual(inputs=(node, *nodes), equal=equal))


def concat_map(function: Callable[[T], Flow[U]], *, order: str = "exact") -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of the flow ``function(item)`` of each item, one flow after the other.

    The next item is asked for when the flow of the one before has completed. An error of ``function``, or
    of a flow, ends the whole. A position holds where the present item stands and where its flow is, so that
    a resumed run builds that flow again and goes on inside it.

    Args:
        function: Returns a flow. Given the same item it must build the same graph.
        order: The loosest order of the flows it may return (``"interleaved"`` if it merges, for example),
            because nobody can see them when the graph is built. One that is looser is a ``GraphError``.
    """
    function_for("concat_map", function)
    within = order_named("concat_map", order)
    return attach(
        lambda node: flattening.ConcatMap(
            inputs=(node,), function=_building("concat_map", function), within=within
        )
    )


def flat_map_merge(
    function: Callable[[T], Flow[U]], concurrency: int = 8, *, order: str = "exact"
) -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of the flow ``function(item)`` of each item as they come, several flows at once.

    Flows start in the order of their items; whenever one completes, the next one starts. An error of a flow
    ends the whole as soon as everything that had been fetched before it is delivered; an error of the items
    or of ``function`` waits until the flows that were begun before it have completed.

    A position holds where the first item stands whose flow is not done, and where each unfinished flow is;
    so it is refused behind flows of no fixed order. A resumed run reads the items from there again and
    leaves out those whose flows were done.

    Args:
        function: Returns a flow. Given the same item it must build the same graph.
        concurrency: How many flows may run at once.
        order: The loosest order of the flows it may return, as of ``concat_map``.
    """
    function_for("flat_map_merge", function)
    positive("flat_map_merge", "concurrency", concurrency)
    within = order_named("flat_map_merge", order)
    return attach(
        lambda node: flatmerge.FlatMapMerge(
            inputs=(node,),
            function=_building("flat_map_merge", function),
            within=within,
            concurrency=concurrency,
        )
    )


def switch_map(function: Callable[[T], Flow[U]], *, order: str = "exact") -> Callable[[Flow[T]], Flow[U]]:
    """Yield the items of the flow ``function(item)`` of the latest item: a new item ends the flow before.

    What the flow before had given and nobody had taken is dropped, so behind items that are all ready
    hardly any flow but the last gives much. It completes when its input and the present flow have. An
    error of either is raised at once. A position holds where the present item stands and where its flow is.

    Args:
        function: Returns a flow. Given the same item it must build the same graph.
        order: The loosest order of the flows it may return, as of ``concat_map``.
    """
    function_for("switch_map", function)
    within = order_named("switch_map", order)
    return attach(
        lambda node: switchmap.SwitchMap(
            inputs=(node,), function=_building("switch_map", function), within=within
        )
    )


def _building(operator: str, function: Callable[[Any], object]) -> Callable[[Any], Node]:
    @wraps(function)  # pictures of the graph show its name
    def build(item: Any) -> Node:
        return node_of(f"what the function of {operator} returns", function(item))

    return build

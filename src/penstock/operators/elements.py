"""One item in, one or none out: synchronous operators, fused into one stage with their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, TypeVarTuple, overload

from penstock.core import containers, elements, remembering, sources, switching, windows
from penstock.core.boundaries import StartWith
from penstock.core.node import assembled_at, positive
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for, node_of

if TYPE_CHECKING:
    from expression import Option, Result

    from penstock.core.notifications import Notification
    from penstock.flow import Flow
    from penstock.operators.attach import Lists, Same

__all__ = [
    "cast",
    "choose",
    "collect",
    "default_if_empty",
    "dematerialize",
    "distinct",
    "distinct_until_changed",
    "enumerate",
    "filter",
    "map",
    "materialize",
    "pairwise",
    "scan",
    "starmap",
    "start_with",
    "switch_if_empty",
    "tap",
    "unwrap",
]

T = TypeVar("T")
U = TypeVar("U")
C = TypeVar("C")
E = TypeVar("E")
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


def distinct(key: Callable[[Any], object] | None = None, *, capacity: int) -> Same:
    """Drop items whose key (the item itself by default) is one of the last ``capacity`` different keys.

    Memory is bounded, so ``capacity`` must be said: when it is full, the key that was met longest ago is
    forgotten (least recently *met*: a repetition counts), and an item that has it passes once more. With
    ``capacity=1`` this is ``distinct_until_changed``.

    Keys must be hashable, and JSON (tuples of it are fine) for a run to be resumable: a position holds
    them, up to ``capacity`` of them. A checkpoint behind this writes them all at each commit, so let it
    commit seldom (``every=``). A run may be resumed with another capacity.
    """
    positive("distinct", "capacity", capacity)
    if key is not None:
        function_for("distinct", key)
    return attach(lambda node: remembering.Distinct(inputs=(node,), function=key, number=capacity))


def cast(kind: type[U]) -> Callable[[Flow[Any]], Flow[U]]:
    """Say that all items are of the type ``kind`` (also a union, or a tuple of types), and see to it.

    Nothing is converted: an item that is no instance raises ``TypeError``. To leave such items out, use
    ``filter``; to convert, ``map``.
    """
    try:
        isinstance(None, kind)
    except TypeError:
        msg = f"cast takes a type that isinstance takes, not {kind!r}, at {assembled_at()}"
        raise GraphError(msg) from None
    return attach(lambda node: containers.Cast(inputs=(node,), function=kind))


@overload
def unwrap(
    errors: Callable[[E], object],
) -> Callable[[Flow[Result[T, E]]], Flow[T]]: ...
@overload
def unwrap(errors: Literal["raise", "skip"] = "raise") -> Unwrapping: ...
def unwrap(errors: Any = "raise") -> Any:
    """Turn each ``Ok(value)`` (of ``expression``) into ``value``.

    Args:
        errors: What becomes of ``Error(error)``. ``"raise"``: ``error`` is raised if it is an exception,
            and in an ``UnwrapError`` otherwise; a position then stands before that item. ``"skip"``: the
            item is dropped. A function: it is called with ``error``, and the item is dropped.
    """
    if isinstance(errors, str) and errors not in {"raise", "skip"}:
        msg = f"unwrap(errors={errors!r}) at {assembled_at()}: 'raise', 'skip', or a function"
        raise GraphError(msg)
    if isinstance(errors, str):
        handler = None if errors == "raise" else _ignore
    else:
        function_for("unwrap", errors)
        handler = errors
    return attach(lambda node: containers.Unwrap(inputs=(node,), function=handler))


def _ignore(_: object) -> None: ...


class Unwrapping(Protocol):
    """What ``unwrap`` returns when no function says which errors there are."""

    def __call__(self, flow: Flow[Result[T, Any]], /) -> Flow[T]:
        """Attach the operator to a flow."""
        ...


class Pairs(Protocol):
    """What ``pairwise`` returns: generic in the item."""

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[T, T]]:
        """Attach the operator to a flow."""
        ...


def pairwise() -> Pairs:
    """Pair each item with the one behind it: ``(a, b), (b, c), …``; nothing if there are fewer than two.

    A position stands before the later one of the last pair, so nothing of it is stored.
    """
    return attach(lambda node: windows.Pairwise(inputs=(node,)))


def start_with(*items: T) -> Callable[[Flow[T]], Flow[T]]:
    """Begin with ``items``, then go on with the flow, which starts only then."""
    return attach(lambda node: StartWith(inputs=(sources.FromIterable(items=items), node)))


def default_if_empty(default: T) -> Callable[[Flow[T]], Flow[T]]:
    """Give ``default`` if the flow completes without an item. A run that is drained gives none."""
    return attach(
        lambda node: switching.DefaultIfEmpty(inputs=(node, sources.FromIterable(items=(default,))))
    )


def switch_if_empty(other: Flow[T]) -> Callable[[Flow[T]], Flow[T]]:
    """Go on with ``other`` if the flow completes without an item; ``other`` starts only then.

    An error is no completion: see ``recover``. A run that is drained before the first item ends there,
    and one that is resumed finds out for itself whether there are items.
    """
    second = node_of("what switch_if_empty goes on with", other)
    return attach(lambda node: switching.SwitchIfEmpty(inputs=(node, second)))


@overload
def collect() -> Lists: ...
@overload
def collect(into: Callable[[list[Any]], C]) -> Callable[[Flow[Any]], Flow[C]]: ...
@overload
def collect(into: Callable[[], C], add: Callable[[C, T], object]) -> Callable[[Flow[T]], Flow[C]]: ...
def collect(into: Callable[..., Any] = list, add: Callable[[Any, Any], object] | None = None) -> Any:
    """Make one item of all items, at the end; also of none.

    ``collect()`` gives a list, ``collect(function)`` what ``function`` makes of that list (``set``,
    ``sorted``, ``"".join``); both need memory for all items. ``collect(make, add)`` begins with the
    container ``make()`` and calls ``add(container, item)`` for each item, keeping none:
    ``collect(set, set.add)``.

    Until the one item is delivered a position stands at the beginning: a resumed run collects again. For
    a fold that resumes where it was, use ``scan(...) | take_last(1)``. If the flow fails, or is drained
    before its end, nothing is given.
    """
    function_for("collect", into)
    if add is not None:
        function_for("collect", add)
    return attach(lambda node: windows.Collect(inputs=(node,), into=into, add=add))


class Materialized(Protocol):
    """What ``materialize`` returns: generic in the item."""

    def __call__(self, flow: Flow[T], /) -> Flow[Notification[T]]:
        """Attach the operator to a flow."""
        ...


def materialize() -> Materialized:
    """Turn what the flow says into items: ``Next(item)``, at the end ``Completed()`` or ``Failed(error)``.

    A flow that fails completes behind the ``Failed``, and a run resumed behind it gives nothing more.
    A run that is drained has not said how it ends.
    """
    return attach(lambda node: switching.Materialize(inputs=(node,)))


def dematerialize() -> Callable[[Flow[Notification[T]]], Flow[T]]:
    """Undo ``materialize``: the items of each ``Next``, the end at ``Completed``, the error of ``Failed``.

    What comes behind a ``Completed`` is not asked for. Any other item raises ``TypeError``.
    """
    return attach(lambda node: containers.Dematerialize(inputs=(node,)))

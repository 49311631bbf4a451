"""Where flows begin."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.core import pumps, scoping, sources
from penstock.core.bridge import FromObservable
from penstock.core.node import assembled_at, positive
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.operators.attach import function_for, node_of, order_named

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from aioreactive import AsyncObservable

    from penstock.abc import JSON, Page

__all__ = [
    "defer",
    "empty",
    "fail",
    "from_async_iterable",
    "from_iterable",
    "from_observable",
    "from_pages",
    "just",
    "never",
    "using",
]

R = TypeVar("R")
T = TypeVar("T")


def from_iterable(items: Iterable[T] | Callable[[], Iterable[T]], *, name: str | None = None) -> Flow[T]:
    """Make a flow of the items of an iterable, or of the iterable that a function returns.

    An iterator (a generator object, a file) can be read once, so a second subscription raises
    ``AlreadySubscribed``; pass a function that makes a new one. The position is the index of the next
    item: resuming walks past the items before it, so the input must be the same again.
    """
    if isinstance(items, Iterator):
        items = sources.OneShot(items)
    elif not callable(items) and not isinstance(items, Iterable):
        msg = f"from_iterable takes an iterable or a function that returns one, not {type(items).__name__}"
        raise GraphError(msg)
    return Flow(sources.FromIterable(items=items, name=name))


def from_async_iterable(
    items: AsyncIterable[T] | Callable[[], AsyncIterable[T]], *, name: str | None = None
) -> Flow[T]:
    """Make a flow of the items of an async iterable, or of the one that a function returns.

    It runs in a task of its own, and only while there is demand. An async generator object can be read
    once, like an iterator in ``from_iterable``; pass the generator *function*.
    """
    if isinstance(items, AsyncIterator):
        items = sources.OneShot(items)
    elif not callable(items) and not isinstance(items, AsyncIterable):
        came = type(items).__name__
        msg = f"from_async_iterable takes an async iterable or a function that returns one, not {came}"
        raise GraphError(msg)
    return Flow(pumps.FromAsyncIterable(items=items, name=name))


@overload
def from_pages(
    pages: Callable[[], AsyncIterable[list[T]]],
    *,
    seekable: bool = False,
    page_size: int | None = None,
    name: str | None = None,
) -> Flow[T]: ...
@overload
def from_pages(
    pages: Callable[[JSON], AsyncIterable[Page[T]]],
    *,
    seekable: bool = True,
    page_size: int | None = None,
    name: str | None = None,
) -> Flow[T]: ...
def from_pages(
    pages: Callable[..., AsyncIterable[Any]],
    *,
    seekable: bool = False,
    page_size: int | None = None,
    name: str | None = None,
) -> Flow[Any]:
    """Make a flow of the items of pages that an async generator function yields.

    Args:
        pages: Called without arguments, it yields lists; resuming then counts items from the beginning.
            If ``seekable``, it is called with the position to start from (``None`` at the beginning)
            and yields ``Page(items, position)``, each with the position *behind* it.
        seekable: Whether ``pages`` takes a position.
        page_size: The most items a page can have, if known; without it ``max_in_flight`` is infinite.
        name: The id of this source in positions.
    """
    if not callable(pages):
        msg = f"from_pages takes an async generator function that yields pages, not {type(pages).__name__}"
        raise GraphError(msg)
    if page_size is not None:
        positive("from_pages", "page_size", page_size)
    size = float("inf") if page_size is None else page_size
    return Flow(pumps.FromPages(pages=pages, seekable=seekable, page_size=size, name=name))


def from_observable(observable: AsyncObservable[T]) -> Flow[T]:
    """Make a flow of any aioreactive observable, subjects included.

    Its ``asend`` waits until there is demand, so an observable that awaits it is slowed down to the
    consumer's pace; one that does not cannot be bounded. There is no position.

    The tasks that aioreactive itself starts while it is subscribed are ended with the subscription; if one of
    them dies of an error that no observer was told of, the flow fails with it, behind what had come. Tasks
    that those start later (for the flows within a ``flat_map``, say) are out of sight.
    """
    return Flow(FromObservable(observable=observable))


def empty() -> Flow[Any]:
    """Make a flow that completes without an item."""
    return Flow(sources.FromIterable(items=()))


def just(*items: T) -> Flow[T]:
    """Make a flow of the given items."""
    return Flow(sources.FromIterable(items=items))


def fail(error: Exception | Callable[[], Exception]) -> Flow[Any]:
    """Make a flow that raises ``error``, or what calling it returns, at the first request."""
    return Flow(sources.Fail(error=error))


def never() -> Flow[Any]:
    """Make a flow without items that does not complete; ``drain`` and ``aclose`` end it."""
    return Flow(sources.Never())


def defer(factory: Callable[[], Flow[T]], *, order: str = "exact") -> Flow[T]:
    """Make a flow that is built by ``factory`` at the first request of each subscription.

    What it builds may not hold a checkpoint: nobody could see it when the graph is built. Put that behind.
    Nor may its order be looser than ``order`` (``"interleaved"``, for example, if it merges).
    """
    within = order_named("defer", order)
    if not callable(factory):
        msg = f"defer takes a function that returns a Flow, not {type(factory).__name__}, at {assembled_at()}"
        raise GraphError(msg)
    return Flow(
        sources.Defer(factory=lambda: node_of("what the function of defer returns", factory()), within=within)
    )


@overload
def using(
    acquire: Callable[[], AbstractAsyncContextManager[R]],
    function: Callable[[R], Flow[T]],
    *,
    order: str = "exact",
) -> Flow[T]: ...
@overload
def using(
    acquire: Callable[[], AbstractContextManager[R]],
    function: Callable[[R], Flow[T]],
    *,
    order: str = "exact",
) -> Flow[T]: ...
@overload
def using(
    acquire: Callable[[], Awaitable[R]],
    function: Callable[[R], Flow[T]],
    release: Callable[[R], object],
    *,
    order: str = "exact",
) -> Flow[T]: ...
@overload
def using(
    acquire: Callable[[], R],
    function: Callable[[R], Flow[T]],
    release: Callable[[R], object],
    *,
    order: str = "exact",
) -> Flow[T]: ...
def using(
    acquire: Callable[[], Any],
    function: Callable[[Any], Flow[T]],
    release: Callable[[Any], object] | None = None,
    *,
    order: str = "exact",
) -> Flow[T]:
    """Make a flow that holds a resource for as long as it runs: the flow that ``function(resource)`` returns.

    The resource is acquired at the first request of each subscription, a resumed one included, and released
    exactly once, however the run ends: behind the last item and before the end is told, behind an error,
    and by ``aclose``. What ``function`` returned is closed before that.

    ``acquire`` returns a context manager, sync or async, which is entered (``function`` gets what entering
    gives); or, with ``release``, any value. Both may be async functions. All of it runs in one task. A
    context manager sees how the run ended, as in a ``with`` block around it: an error goes through it, and
    it may swallow it, which completes the flow; a run that is closed before its end is cancelled.

    An error of acquiring or releasing is one of the flow. An error of ``release`` while another is in flight
    becomes a note on that one. An ``acquire`` under way when the run is closed is cancelled. What
    ``function`` returns may not hold a checkpoint, nor be of a looser order than ``order``, and
    ``max_in_flight`` is infinite, as with ``defer``.
    """
    function_for("using", acquire, asynchronous=True)
    function_for("using", function)
    if release is not None:
        function_for("using", release, asynchronous=True)
    return Flow(
        scoping.Using(
            acquire=acquire,
            build=lambda resource: node_of("what the function of using returns", function(resource)),
            release=release,
            within=order_named("using", order),
        )
    )

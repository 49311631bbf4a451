"""Where flows begin that make their items themselves, or get them from asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.core import generators as core
from penstock.core import sources
from penstock.core.node import assembled_at
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.operators.attach import function_for

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["from_callable", "from_future", "from_queue", "iterate", "range_", "unfold"]

T = TypeVar("T")
S = TypeVar("S")


@overload
def unfold(
    seed: S, function: Callable[[S], Coroutine[Any, Any, tuple[T, S] | None]], *, name: str | None = None
) -> Flow[T]: ...
@overload
def unfold(seed: S, function: Callable[[S], tuple[T, S] | None], *, name: str | None = None) -> Flow[T]: ...
def unfold(seed: Any, function: Callable[[Any], Any], *, name: str | None = None) -> Flow[Any]:
    """Make items from a state: ``function(state)`` returns ``(item, next state)``, or ``None`` at the end.

    An ``async def`` may be given, such as one that fetches what a cursor points to; it runs in a task of
    its own. The function is called for one item at a time, and only under demand. The position is the
    state behind the last item delivered, so states must be JSON for a run to be resumable, and ``function``
    must return new ones instead of changing them in place.
    """
    function_for("unfold", function, asynchronous=True)
    if inspect.iscoroutinefunction(function):
        pages = core.unfolding_async(seed, function)
        return Flow(core.AsyncUnfold(pages=pages, seekable=True, page_size=1, name=name))
    return Flow(core.Unfold(advance=core.unfolding(seed, function), name=name))


@overload
def iterate(
    seed: T, function: Callable[[T], Coroutine[Any, Any, T]], *, name: str | None = None
) -> Flow[T]: ...
@overload
def iterate(seed: T, function: Callable[[T], T], *, name: str | None = None) -> Flow[T]: ...
def iterate(seed: Any, function: Callable[[Any], Any], *, name: str | None = None) -> Flow[Any]:
    """Make ``seed``, ``function(seed)``, ``function(function(seed))`` and so on, without an end.

    Each is computed when it is asked for, and not before. An ``async def`` may be given. The position is
    the last item delivered, which must be JSON for a run to be resumable. Put ``take`` or ``take_while``
    behind it.
    """
    function_for("iterate", function, asynchronous=True)
    if inspect.iscoroutinefunction(function):
        pages = core.iterating_async(seed, function)
        return Flow(core.AsyncIterate(pages=pages, seekable=True, page_size=1, name=name))
    return Flow(core.Iterate(advance=core.iterating(seed, function), name=name))


@overload
def range_(stop: int, /) -> Flow[int]: ...
@overload
def range_(start: int, stop: int, step: int = 1, /) -> Flow[int]: ...
def range_(*bounds: int) -> Flow[int]:
    """Make the integers of ``range(...)``, which takes the same arguments; the position is an index."""
    try:
        items = range(*bounds)
    except (TypeError, ValueError) as error:
        msg = f"range_{bounds} at {assembled_at()}: {error}"
        raise GraphError(msg) from None
    return Flow(sources.FromIterable(items=items))


@overload
def from_callable(function: Callable[[], Coroutine[Any, Any, T]], *, name: str | None = None) -> Flow[T]: ...
@overload
def from_callable(function: Callable[[], T], *, name: str | None = None) -> Flow[T]: ...
def from_callable(function: Callable[[], Any], *, name: str | None = None) -> Flow[Any]:
    """Make a flow of one item: what ``function()`` returns, awaited if it is awaitable.

    It is called at the first request of each subscription, once, and runs in a task of its own, which a
    cancelled request leaves alone and ``aclose`` cancels. A run that resumes behind the item calls nothing.
    """
    function_for("from_callable", function, asynchronous=True)
    return Flow(core.FromCallable(function=function, name=name))


def from_future(future: Awaitable[T], *, name: str | None = None) -> Flow[T]:
    """Make a flow of one item: the result of a future or task, or of a coroutine.

    A future belongs to whoever made it: any number of subscriptions may wait for it, and none cancels it.
    If it is cancelled, that is a ``RuntimeError`` here. A coroutine object runs once, at the first request
    of one subscription, whose ``aclose`` cancels it; a second one raises ``AlreadySubscribed``. Use
    ``from_callable(f)`` instead of ``from_future(f())`` for a flow that can be run, and retried, again.
    """
    if not inspect.isawaitable(future):
        came = type(future).__name__
        hint = ", for which there is from_callable" if callable(future) else ""
        msg = f"from_future takes a future or a coroutine, not {came}{hint}, at {assembled_at()}"
        raise GraphError(msg)
    once = sources.OneShot(future, "from_callable(f) instead of from_future(f())")
    return Flow(core.FromFuture(function=future if isinstance(future, asyncio.Future) else once, name=name))


def from_queue(queue: asyncio.Queue[T], *, sentinel: object = core.NO_SENTINEL) -> Flow[T]:
    """Make a flow of what is put into a queue, until ``sentinel`` comes or the queue is shut down.

    Nothing is taken but under demand, so a queue with a ``maxsize`` slows its producers down to the
    consumer's pace. An item is taken in the very step that hands it on, and then belongs to whoever asked.
    So nothing is lost when a request is cancelled, or a run drained or closed: what was not delivered is
    still in the queue. (What a ``buffer`` or the like behind this flow holds is not.) Two
    subscriptions share the items.

    ``task_done`` is called for each list of items when the next one is asked for, so that ``queue.join()``
    waits until all are consumed; do not call it elsewhere. There is no position.

    Args:
        queue: Where to take from; also a ``PriorityQueue`` or ``LifoQueue``.
        sentinel: The item that ends the flow; compared by identity, or by equality with one of its own type.
            Without one, the flow ends when the queue is shut down (Python 3.13), or not at all.
    """
    if not isinstance(queue, asyncio.Queue):
        msg = (
            f"from_queue takes an asyncio.Queue, not {type(queue).__module__}.{type(queue).__name__}, "
            f"at {assembled_at()}"
        )
        raise GraphError(msg)
    return Flow(core.FromQueue(queue=queue, sentinel=sentinel))

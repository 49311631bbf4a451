"""The sources ``from_callable`` and ``from_future``, flows of one item."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.runtime.arguments import function_for, refuse, text_for
from penstock.runtime.node import Site, node
from penstock.runtime.stream import flow_of
from penstock.sources.source import IndexedPumpStage, OneShot, SourceNode

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


@overload
def from_callable(function: Callable[[], Coroutine[Any, Any, T]], *, name: str | None = None) -> Flow[T]: ...
@overload
def from_callable(function: Callable[[], T], *, name: str | None = None) -> Flow[T]: ...
def from_callable(function: Callable[[], Any], *, name: str | None = None) -> Flow[Any]:
    """Create a flow of one item: the result of ``function()``, awaited if it is awaitable.

    The function is called once per subscription, at the first request, in its own task. A cancelled request
    does not cancel it; ``aclose`` does. A run that resumes after the item does not call it.
    """
    function_for("from_callable", function, asynchronous=True)
    text_for("from_callable", "name", name, optional=True)
    return flow_of(FromCallable(function=function, name=name))


def from_future(future: Awaitable[T], *, name: str | None = None) -> Flow[T]:
    """Create a flow of one item: the result of a future, a task or a coroutine.

    Any number of subscriptions may wait for a future or a task, and none of them cancels it. If somebody
    else cancels it, the flow fails with a ``RuntimeError``.

    A coroutine object runs once, at the first request of one subscription, whose ``aclose`` cancels it; a
    second subscription raises ``AlreadySubscribed``. Write ``from_callable(f)`` instead of
    ``from_future(f())`` for a flow that can be run, and retried, again.
    """
    text_for("from_future", "name", name, optional=True)
    if not inspect.isawaitable(future):
        advice = "Use from_callable for a function." if callable(future) else ""
        refuse("from_future", "a future or a coroutine", future, advice=advice)
    once = OneShot(future, "from_callable(f) instead of from_future(f())")
    return flow_of(FromFuture(function=future if isinstance(future, asyncio.Future) else once, name=name))


@node
class FromCallable(SourceNode):
    """Yields the result of a function; the position says whether it was delivered."""

    operator = "from_callable"

    function: Callable[[], Any]

    async def value(self) -> Any:
        """Return the item."""
        returned = self.function()
        return await returned if inspect.isawaitable(returned) else returned

    def start(self, site: Site) -> IndexedPumpStage:
        return _OneItemStage(site, self)


@node
class FromFuture(FromCallable):
    """Yields the result of a future, which it never cancels, or of a coroutine, which runs once."""

    operator = "from_future"

    function: Callable[[], Awaitable[Any]] | asyncio.Future[Any]  # type: ignore[assignment]

    async def value(self) -> Any:
        future = self.function
        if not isinstance(future, asyncio.Future):
            return await future()
        if future.get_loop() is not asyncio.get_running_loop():
            msg = (
                f"the future of {self.describe()} belongs to another event loop: create it inside a "
                "function, and use from_callable(function)"
            )
            raise RuntimeError(msg)
        await asyncio.wait([future])  # unlike await future, this does not cancel it when we are cancelled
        return future.result()


class _OneItemStage(IndexedPumpStage):
    def __init__(self, site: Site, node: FromCallable) -> None:
        super().__init__(site, node)
        self._value = node.value

    async def _fill(self) -> None:
        if not self._start:
            self._put([await self._value()])

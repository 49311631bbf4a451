"""``from_callable`` and ``from_future``: the one item that a function or a future gives."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import GraphError
from penstock.runtime.arguments import function_for
from penstock.runtime.node import assembled_at, node
from penstock.runtime.pump import PumpStage
from penstock.runtime.stream import flow_of
from penstock.sources.source import OneShot, SourceNode

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["FromCallable", "FromFuture", "from_callable", "from_future"]

T = TypeVar("T")


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
    return flow_of(FromCallable(function=function, name=name))


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
    once = OneShot(future, "from_callable(f) instead of from_future(f())")
    return flow_of(FromFuture(function=future if isinstance(future, asyncio.Future) else once, name=name))


@node
class FromCallable(SourceNode):
    """One item: what a function returns, awaited if it is awaitable; the position says if it went out."""

    operator = "from_callable"

    function: Callable[[], Any]

    async def value(self) -> Any:
        """Return the item."""
        returned = self.function()
        return await returned if inspect.isawaitable(returned) else returned

    def start(self, site: Site) -> Stage[Any]:
        """Start; the function is called at the first request, in a task of its own."""
        return _OneStage(site, self)


@node
class FromFuture(FromCallable):
    """One item: the result of a future, which is not cancelled here; or of a coroutine, which runs once."""

    operator = "from_future"

    function: Callable[[], Awaitable[Any]] | asyncio.Future[Any]  # type: ignore[assignment]

    @property
    def once(self) -> Node | None:
        """This node, unless its input is a future."""
        return self if isinstance(self.function, OneShot) else None

    async def value(self) -> Any:
        """Return the item."""
        future = self.function
        if not isinstance(future, asyncio.Future):
            return await future()
        if future.get_loop() is not asyncio.get_running_loop():
            msg = (
                f"the future of {self.describe()} belongs to another event loop: make it inside a function, "
                "and use from_callable(function)"
            )
            raise RuntimeError(msg)
        await asyncio.wait([future])  # which leaves the future alone when this is cancelled
        return future.result()


class _OneStage(PumpStage):
    def __init__(self, site: Site, node: FromCallable) -> None:
        super().__init__(site, node)
        self._one = node
        self._start: int = site.state or 0

    def marks(self) -> Marks:
        key, index = self.site.vertex.id, self._start + self._before
        return lambda i: {key: index + i}

    async def _fill(self) -> None:
        if not self._start:
            self._put([await self._one.value()])

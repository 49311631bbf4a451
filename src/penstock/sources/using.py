"""``using``: a flow that holds a resource while it runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.runtime.arguments import function_for, order_named
from penstock.runtime.built_at_runtime import BuildingNode, BuiltFlow
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of, node_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Using", "using"]

R = TypeVar("R")
T = TypeVar("T")


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
    return flow_of(
        Using(
            acquire=acquire,
            build=lambda resource: node_of("what the function of using returns", function(resource)),
            release=release,
            within=order_named("using", order),
        )
    )


@node
class Using(BuildingNode):
    """The flow that ``build(resource)`` returns, with a resource that is held for as long as it runs."""

    operator = "using"

    acquire: Callable[[], Any]
    build: Callable[[Any], Node]
    release: Callable[[Any], Any] | None

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that acquires its resource at the first request."""
        return _UsingStage(site, self)


class _UsingStage(Stage[Any]):
    """Its state is the position of what was built.

    One task, the *keeper*, holds the resource from beginning to end, so that a context manager which must be
    entered and left in one task is; it closes what was built before it releases.
    """

    def __init__(self, site: Site, node: Using) -> None:
        super().__init__(site)
        self._node = node
        self._inner: BuiltFlow | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._over: asyncio.Future[BaseException | None] | None = None  # what the keeper waits for
        self._ended_with: BaseException | None = None
        self._changed = Gate(self.run)
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        if self._inner is not None:
            yield self._inner.stage

    def marks(self) -> Marks:
        key, state = self.site.vertex.id, self.site.state
        if self._inner is None:
            return lambda _: {key: state}
        at = self._inner.state_at()
        return lambda i: {key: at(i)}

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        if self._keeper is None and self.run.draining:
            return []
        keeper = self._keeper or self._begin()
        while self._inner is None and not keeper.done():
            if self.run.draining:
                return []  # closing lets the acquiring go
            await self._changed.wait()
        if self._inner is not None and self._over is not None and not self._over.done():
            try:
                if items := await self._inner.stage.request(n):
                    return items
                self._end(None)
            except Exception as error:
                if self.run.over(error):
                    raise
                self._end(error)
        while not keeper.done():
            await self._changed.wait()
        return self._outcome(keeper)

    def _begin(self) -> asyncio.Task[None]:
        self._over = asyncio.get_running_loop().create_future()
        self._keeper = keeper = self.run.spawn(self._keep(self._over), "using")
        keeper.add_done_callback(lambda _: self._changed.open())
        return keeper

    async def _keep(self, over: asyncio.Future[BaseException | None]) -> None:
        async with _held(self._node) as resource:
            self._inner = BuiltFlow(
                self.site, lambda: self._node.build(resource), self.site.state,
                tracked=self.site.tracked, order=self._node.within,
            )  # fmt: skip
            self._changed.open()
            try:
                error = await over
            except asyncio.CancelledError as cancelled:
                error = cancelled  # raised below, when what was built is closed
            await _close(self._inner.stage, error)
            if error is not None:
                raise error

    def _end(self, error: BaseException | None) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(error)
            self._ended_with = error

    def _outcome(self, keeper: asyncio.Task[None]) -> list[Any]:
        """Return the end, or raise what the run failed with, once the resource is released."""
        if keeper.cancelled():
            error: BaseException | None = RuntimeError("using: its task was cancelled from outside")
        else:
            error = keeper.exception()
        if error is not None:
            annotate(error, self._node.describe())
            self._failure = Failure(error)
            self._failure.throw()
        return []

    async def _stop(self) -> None:
        keeper = self._keeper
        if keeper is None:
            return
        if self._inner is None:
            keeper.cancel()
        self._end(asyncio.CancelledError())
        if not keeper.done():
            await asyncio.wait([keeper])
        error = None if keeper.cancelled() else keeper.exception()
        if error is not None and self._failure is None and error is not self._ended_with:
            raise error


async def _close(stage: Upstream[Any], error: BaseException | None) -> None:
    """Close a stage; an error of that never masks the one in flight."""
    try:
        await stage.aclose()
    except Exception as own:
        if not isinstance(error, Exception):  # a run that is closed has none that could be masked
            raise
        error.add_note(f"penstock: closing failed too: {own!r}")


@asynccontextmanager
async def _held(node: Using) -> AsyncIterator[Any]:
    """Hold the resource of a node: a plain value with a function to release it, or a context manager."""
    resource = await _acquired(node)
    if node.release is not None:
        try:
            yield resource
        except Exception as error:
            try:
                await _released(node.release, resource)
            except Exception as own:  # noqa: BLE001  it never masks the error in flight
                error.add_note(f"penstock: the release of {node.describe()} failed too: {own!r}")
            raise
        except BaseException:  # a run that is closed has no error that could be masked
            await _released(node.release, resource)
            raise
        await _released(node.release, resource)
    elif hasattr(resource, "__aenter__"):
        async with resource as value:
            yield value
    elif hasattr(resource, "__enter__"):
        with resource as value:
            yield value
    else:
        msg = (
            f"{node.describe()} has acquired a {type(resource).__name__}, which is no context manager: pass "
            "release= to say how it is let go"
        )
        raise TypeError(msg)


async def _acquired(node: Using) -> Any:
    resource = node.acquire()
    if inspect.isawaitable(resource) and (node.release is not None or not hasattr(resource, "__aenter__")):
        return await resource
    return resource


async def _released(release: Callable[[Any], Any], resource: Any) -> None:
    answer = release(resource)
    if inspect.isawaitable(answer):
        await answer

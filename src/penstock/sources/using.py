"""The source ``using``, a flow that holds a resource while it runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.runtime.arguments import function_for
from penstock.runtime.built_at_runtime import BuildingNode
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import order_named
from penstock.runtime.run import Gate
from penstock.runtime.stream import building, flow_of
from penstock.sources.defer import BuildingStage

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.upstream import Upstream

R = TypeVar("R")
T = TypeVar("T")


@overload
def using(
    acquire: Callable[[], AbstractAsyncContextManager[R]],
    function: Callable[[R], Flow[T]],
    *,
    order: str | None = None,
) -> Flow[T]: ...
@overload
def using(
    acquire: Callable[[], AbstractContextManager[R]],
    function: Callable[[R], Flow[T]],
    *,
    order: str | None = None,
) -> Flow[T]: ...
@overload
def using(
    acquire: Callable[[], Awaitable[R]],
    function: Callable[[R], Flow[T]],
    release: Callable[[R], object],
    *,
    order: str | None = None,
) -> Flow[T]: ...
@overload
def using(
    acquire: Callable[[], R],
    function: Callable[[R], Flow[T]],
    release: Callable[[R], object],
    *,
    order: str | None = None,
) -> Flow[T]: ...
def using(
    acquire: Callable[[], Any],
    function: Callable[[Any], Flow[T]],
    release: Callable[[Any], object] | None = None,
    *,
    order: str | None = None,
) -> Flow[T]:
    """Create the flow that ``function(resource)`` returns, and hold the resource while it runs.

    Each subscription, also a resumed one, acquires the resource at its first request and releases it exactly
    once: after the last item and before the end is delivered, after an error, or when ``aclose`` is called.
    The flow that ``function`` returned is closed before that.

    Without ``release``, ``acquire`` returns a context manager, sync or async. It is entered, and
    ``function`` is called with the result. With ``release``, ``acquire`` may return any value. Both may be
    async functions. All of it runs in one task.

    A context manager sees how the run ended, as in a ``with`` block: an error is passed to it, and if it
    suppresses the error, the flow completes. If the run is closed before its end, it sees a
    ``CancelledError``.

    An error of ``acquire`` or ``release`` fails the flow. If another error is in flight, the error of
    ``release`` becomes a note on that one. If the run is closed while ``acquire`` runs, ``acquire`` is
    cancelled. As with ``defer``, the flow that ``function`` returns must not contain a checkpoint, its order
    must not be looser than ``order``, if you pass one, and ``max_in_flight`` is infinite.
    """
    function_for("using", acquire, "acquire", asynchronous=True)
    function_for("using", function)
    if release is not None:
        function_for("using", release, "release", asynchronous=True)
    return flow_of(
        Using(
            acquire=acquire,
            build=building("using", function),
            release=release,
            within=order_named("using", order),
        )
    )


@node
class Using(BuildingNode):
    """Runs the flow that ``build(resource)`` returns, and holds the resource meanwhile."""

    operator = "using"

    acquire: Callable[[], Any]
    build: Callable[[Any], Node]
    release: Callable[[Any], Any] | None

    def start(self, site: Site) -> BuildingStage:
        return _UsingStage(site, self)


class _UsingStage(BuildingStage):
    """One task, the *keeper*, acquires the resource, builds the flow, closes it and releases the resource.

    So a context manager that must be entered and left by one task works.
    """

    def __init__(self, site: Site, node: Using) -> None:
        super().__init__(site)
        self._node = node
        self._keeper: asyncio.Task[None] | None = None
        self._flow_ended: asyncio.Future[BaseException | None] | None = None
        """Set when the flow has ended, to its error; the keeper waits for it."""
        self._ended_with: BaseException | None = None
        self._changed = Gate(self.run)
        self._failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        if self._keeper is None and self.run.draining:
            return []
        keeper = self._keeper or self._begin()
        while self._inner is None and not keeper.done():
            if self.run.draining:
                return []  # closing cancels acquire
            await self._changed.wait()
        if self._inner is not None and self._flow_ended is not None and not self._flow_ended.done():
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
        self._flow_ended = asyncio.get_running_loop().create_future()
        self._keeper = keeper = self.run.spawn(self._keep(self._flow_ended), "using", result_is_read=True)
        keeper.add_done_callback(lambda _: self._changed.open())
        return keeper

    async def _keep(self, over: asyncio.Future[BaseException | None]) -> None:
        async with _resource_of(self._node) as resource:
            inner = self._build(lambda: self._node.build(resource), self._node)
            self._changed.open()
            try:
                error = await over
            except asyncio.CancelledError as cancelled:
                error = cancelled  # raised below, when the flow is closed
            await _close(inner.stage, error)
            if error is not None:
                raise error

    def _end(self, error: BaseException | None) -> None:
        if self._flow_ended is not None and not self._flow_ended.done():
            self._flow_ended.set_result(error)
            self._ended_with = error

    def _outcome(self, keeper: asyncio.Task[None]) -> list[Any]:
        """Return the end, or raise the error of the run. The resource is released already."""
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
            self.run.cancel(keeper)
        self._end(asyncio.CancelledError())
        if not keeper.done():
            await asyncio.wait([keeper])
        error = None if keeper.cancelled() else keeper.exception()
        known = self._failure is not None or error is self._ended_with or self.run.has_raised(error)
        if error is not None and not known:
            raise error


async def _close(stage: Upstream[Any], error: BaseException | None) -> None:
    """Close a stage. If that fails while ``error`` is in flight, its error becomes a note."""
    try:
        await stage.aclose()
    except Exception as second:
        if not isinstance(error, Exception):  # the run is closed: there is no error to add a note to
            raise
        error.add_note(f"penstock: closing failed too: {second!r}")


@asynccontextmanager
async def _resource_of(node: Using) -> AsyncIterator[Any]:
    """Acquire the resource of a node, and release it at the end of the ``async with`` block."""
    resource = await _acquire(node)
    if node.release is not None:
        try:
            yield resource
        except Exception as error:
            try:
                await _release(node.release, resource)
            except Exception as second:  # noqa: BLE001  it must not replace the error in flight
                error.add_note(f"penstock: the release of {node.describe()} failed too: {second!r}")
            raise
        except BaseException:  # the run is closed: there is no error to add a note to
            await _release(node.release, resource)
            raise
        await _release(node.release, resource)
    elif hasattr(resource, "__aenter__"):
        async with resource as value:
            yield value
    elif hasattr(resource, "__enter__"):
        with resource as value:
            yield value
    else:
        msg = (
            f"{node.describe()} acquired an object of type {type(resource).__name__}, which is not a "
            "context manager: pass release= to release it"
        )
        raise TypeError(msg)


async def _acquire(node: Using) -> Any:
    resource = node.acquire()
    if inspect.isawaitable(resource) and (node.release is not None or not hasattr(resource, "__aenter__")):
        return await resource
    return resource


async def _release(release: Callable[[Any], Any], resource: Any) -> None:
    answer = release(resource)
    if inspect.isawaitable(answer):
        await answer

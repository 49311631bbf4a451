"""What must be done at the end of a run, however it ends: ``finally_do`` and ``using``."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from penstock.core.inner import Building, Inner
from penstock.core.node import Node
from penstock.core.notes import Failure, annotate
from penstock.core.passing import PassingStage
from penstock.core.run import Gate
from penstock.core.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks

__all__ = ["Ending", "FinallyDo", "Using"]

Ending = Literal["completed", "failed", "cancelled"]
"""How a run ended; ``cancelled`` is one that was closed, or drained, before its end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinallyDo(Node):
    """``function(ending)`` is called once at the end of each run that was begun."""

    operator = "finally_do"

    function: Callable[[Ending], object]

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that passes everything on and waits for the end."""
        return _FinallyStage(site, self)


class _FinallyStage(PassingStage):
    def __init__(self, site: Site, node: FinallyDo) -> None:
        super().__init__(site)
        self._node = node
        self._begun = self._told = False
        self._failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        self._begun = True
        try:
            items = await self.upstream.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            self._failure = Failure(error)
            self._tell("failed", error)
            raise
        if not items:
            try:
                self._tell("cancelled" if self.run.draining else "completed")
            except Exception as error:
                self._failure = Failure(error)
                raise
        return items

    def _tell(self, ending: Ending, failed_with: Exception | None = None) -> None:
        """Call the function, once; its own error never masks the one the run failed with."""
        if self._told or not self._begun:
            return
        self._told = True
        try:
            self._node.function(ending)
        except Exception as error:
            annotate(error, self._node.describe())
            if failed_with is None:
                raise
            failed_with.add_note(f"penstock: the function of {self._node.describe()} failed too: {error!r}")

    async def aclose(self) -> None:
        """Close upstream first, then tell of the end, even when closing has failed."""
        if self._closed:
            return
        try:
            await super().aclose()
        except Exception as error:
            self._tell("cancelled", error)
            raise
        self._tell("cancelled")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Using(Building):
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
        self._inner: Inner | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._over: asyncio.Future[BaseException | None] | None = None  # what the keeper waits for
        self._ended_with: BaseException | None = None
        self._changed = Gate(self.run)
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Stage[Any]]:
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
            self._inner = Inner(
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


async def _close(stage: Stage[Any], error: BaseException | None) -> None:
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

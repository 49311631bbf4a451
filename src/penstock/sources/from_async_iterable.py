"""The source ``from_async_iterable``, a flow of the items of an async iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.runtime.arguments import function_for, refuse, text_for
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, Site, node
from penstock.runtime.pump import closing
from penstock.runtime.stream import flow_of
from penstock.sources.source import IndexedPumpStage, OneShot, SourceNode

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def from_async_iterable(
    items: AsyncIterable[T] | Callable[[], AsyncIterable[T]], *, name: str | None = None
) -> Flow[T]:
    """Create a flow of the items of an async iterable, or of the one that a function returns.

    It runs in its own task, and only while there is demand. An async generator object can be read only
    once, like an iterator in ``from_iterable``; pass the generator *function* instead. A resumed run, and
    ``retry``, read and drop the items before the position, so do not put ``retry`` after a live feed.
    """
    text_for("from_async_iterable", "name", name, optional=True)
    if isinstance(items, AsyncIterator):
        items = OneShot(items, "from_async_iterable(rows) instead of from_async_iterable(rows())")
    elif callable(items) and not isinstance(items, AsyncIterable):
        function_for("from_async_iterable", items, yields=True)
    elif not isinstance(items, AsyncIterable):
        advice = "Use from_iterable(...)." if isinstance(items, Iterable) else ""
        wanted = "an async iterable or a function that returns one"
        refuse("from_async_iterable", wanted, items, advice=advice)
    return flow_of(FromAsyncIterable(items=items, name=name))


@node
class FromAsyncIterable(SourceNode):
    """Yields the items of an async iterable, or of the one that a function returns."""

    operator = "from_async_iterable"

    items: AsyncIterable[Any] | Callable[[], AsyncIterable[Any]]

    def start(self, site: Site) -> IndexedPumpStage:
        return _AsyncIterableStage(site, self)


def asynchronous(node: Node, returned: Any) -> AsyncIterable[Any]:
    """Return what a function returned, which must be an async iterable; raise ``TypeError`` otherwise."""
    plain_result(returned, node.operator, node.origin)
    if not isinstance(returned, AsyncIterable):
        msg = (
            f"{node.describe()} takes a function that returns an async iterable, such as an async generator "
            f"function, but it returned an object of type {type(returned).__name__}"
        )
        raise TypeError(msg)
    return returned


class _AsyncIterableStage(IndexedPumpStage):
    def __init__(self, site: Site, node: FromAsyncIterable) -> None:
        super().__init__(site, node)
        self._items = node.items

    async def _fill(self) -> None:
        items = self._items
        if not isinstance(items, AsyncIterable):
            items = asynchronous(self._node, items())
        to_skip = self._start
        async with closing(aiter(items)) as iterator:
            async for item in iterator:
                if to_skip:
                    to_skip -= 1
                else:
                    self._put([item])
                if self.run.strained():
                    await self.run.breathe()
                if not to_skip:
                    await self._until_wanted()

"""The source ``from_async_iterable``, a flow of the items of an async iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.runtime.node import Site, node
from penstock.runtime.pump import closing
from penstock.runtime.stream import flow_of
from penstock.sources.source import IndexedPumpStage, OneShot, SourceNode, refuse

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def from_async_iterable(
    items: AsyncIterable[T] | Callable[[], AsyncIterable[T]], *, name: str | None = None
) -> Flow[T]:
    """Create a flow of the items of an async iterable, or of the one that a function returns.

    It runs in its own task, and only while there is demand. An async generator object can be read only
    once, like an iterator in ``from_iterable``; pass the generator *function* instead.
    """
    if isinstance(items, AsyncIterator):
        items = OneShot(items, "from_async_iterable(rows) instead of from_async_iterable(rows())")
    elif not callable(items) and not isinstance(items, AsyncIterable):
        refuse("from_async_iterable", "an async iterable or a function that returns one", items)
    return flow_of(FromAsyncIterable(items=items, name=name))


@node
class FromAsyncIterable(SourceNode):
    """Yields the items of an async iterable, or of the one that a function returns."""

    operator = "from_async_iterable"

    items: AsyncIterable[Any] | Callable[[], AsyncIterable[Any]]

    def start(self, site: Site) -> IndexedPumpStage:
        return _AsyncIterableStage(site, self)


class _AsyncIterableStage(IndexedPumpStage):
    def __init__(self, site: Site, node: FromAsyncIterable) -> None:
        super().__init__(site, node)
        self._items = node.items

    async def _fill(self) -> None:
        items = self._items() if callable(self._items) else self._items
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

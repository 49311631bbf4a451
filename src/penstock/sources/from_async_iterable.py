"""``from_async_iterable``: the items of an async iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import GraphError
from penstock.runtime.node import node
from penstock.runtime.pump import PumpStage, closing
from penstock.runtime.stream import flow_of
from penstock.sources.source import OneShot, SourceNode

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["FromAsyncIterable", "from_async_iterable"]

T = TypeVar("T")


def from_async_iterable(
    items: AsyncIterable[T] | Callable[[], AsyncIterable[T]], *, name: str | None = None
) -> Flow[T]:
    """Make a flow of the items of an async iterable, or of the one that a function returns.

    It runs in a task of its own, and only while there is demand. An async generator object can be read
    once, like an iterator in ``from_iterable``; pass the generator *function*.
    """
    if isinstance(items, AsyncIterator):
        items = OneShot(items)
    elif not callable(items) and not isinstance(items, AsyncIterable):
        came = type(items).__name__
        msg = f"from_async_iterable takes an async iterable or a function that returns one, not {came}"
        raise GraphError(msg)
    return flow_of(FromAsyncIterable(items=items, name=name))


@node
class FromAsyncIterable(SourceNode):
    """Items of an async iterable, or of the one that a factory returns; the position is an index."""

    operator = "from_async_iterable"

    items: AsyncIterable[Any] | Callable[[], AsyncIterable[Any]]

    @property
    def once(self) -> Node | None:
        """This node, if its input is an async iterator."""
        return self if isinstance(self.items, OneShot) else None

    def start(self, site: Site) -> Stage[Any]:
        """Start a pump; the factory is called at the first request, in the pump's task."""
        return _AsyncIterableStage(site, self)


class _AsyncIterableStage(PumpStage):
    def __init__(self, site: Site, node: FromAsyncIterable) -> None:
        super().__init__(site, node)
        self._items = node.items
        self._start: int = site.state or 0

    def marks(self) -> Marks:
        key, index = self.site.vertex.id, self._start + self._before
        return lambda i: {key: index + i}

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

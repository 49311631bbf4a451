"""``from_iterable``: the items of a plain iterable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.errors import GraphError
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import node
from penstock.runtime.run import STRETCH, Pace
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of
from penstock.sources.source import OneShot, SourceNode

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["FromIterable", "from_iterable"]

T = TypeVar("T")

QUICK = (list, tuple, range, str, bytes, dict, set, frozenset)
"""Iterables whose items are there already: no slice of them can be slow."""


def from_iterable(items: Iterable[T] | Callable[[], Iterable[T]], *, name: str | None = None) -> Flow[T]:
    """Make a flow of the items of an iterable, or of the iterable that a function returns.

    An iterator (a generator object, a file) can be read once, so a second subscription raises
    ``AlreadySubscribed``; pass a function that makes a new one. The position is the index of the next
    item: resuming walks past the items before it, so the input must be the same again.
    """
    if isinstance(items, Iterator):
        items = OneShot(items)
    elif not callable(items) and not isinstance(items, Iterable):
        msg = f"from_iterable takes an iterable or a function that returns one, not {type(items).__name__}"
        raise GraphError(msg)
    return flow_of(FromIterable(items=items, name=name))


@node
class FromIterable(SourceNode):
    """Items of a plain iterable, or of the one that a factory returns; the position is an index."""

    operator = "from_iterable"

    items: Iterable[Any] | Callable[[], Iterable[Any]]

    @property
    def once(self) -> Node | None:
        """This node, if its input is an iterator."""
        return self if isinstance(self.items, OneShot) else None

    def start(self, site: Site) -> Stage[Any]:
        """Start reading; the factory is called at the first request."""
        return _IterableStage(site, self)


class _IterableStage(Stage[Any]):
    def __init__(self, site: Site, node: FromIterable) -> None:
        super().__init__(site)
        self._node = node
        self._index: int = site.state or 0
        self._to_skip = self._index
        self._before = self._index
        self._iterator: Iterator[Any] | None = None
        self._quick = False
        self._pace = Pace()
        self._failure: Failure | None = None
        self._ended = False

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        key, before = self.site.vertex.id, self._before
        return lambda i: {key: before + i}

    async def _request(self, n: int) -> list[Any]:
        self._before = self._index
        if self._failure is not None:
            self._failure.throw()
        if self._ended or self.run.draining:
            return []
        out: list[Any] = []
        try:
            iterator = self._iterator or self._open()
            if self._to_skip:
                await self._skip(iterator)
            if self._quick:
                out = list(islice(iterator, n))
            else:
                if self.run.strained():
                    await self.run.breathe()
                self._fill(iterator, out, n)
        except Exception as error:
            annotate(error, self._node.describe())
            self._failure = Failure(error)
            if not out:
                raise
        self._index += len(out)
        self._ended = not out
        return out

    def _open(self) -> Iterator[Any]:
        items = self._node.items
        if callable(items):
            items = items()
        self._quick = type(items) in QUICK
        if self._quick and self._to_skip:  # an index, or a walk that takes no time to speak of
            skip, self._to_skip = self._to_skip, 0
            if isinstance(items, range):
                items, skip = items[skip:], 0
            self._iterator = islice(cast("Collection[Any]", items), skip, None)
        else:
            self._iterator = iter(items)
        return self._iterator

    async def _skip(self, iterator: Iterator[Any]) -> None:
        """Walk past what earlier runs have settled, fairly."""
        while self._to_skip:
            began = self.run.clock.monotonic()
            size = min(self._pace.size, self._to_skip)
            walked = sum(1 for _ in islice(iterator, size))
            self._to_skip = self._to_skip - walked if walked == size else 0
            self._pace.took(self.run.clock.monotonic() - began)
            if self.run.strained():
                await self.run.breathe()

    def _fill(self, iterator: Iterator[Any], out: list[Any], n: int) -> None:
        while len(out) < n:
            began, size = self.run.clock.monotonic(), min(self._pace.size, n - len(out))
            before = len(out)
            out.extend(islice(iterator, size))
            if len(out) - before < size:
                return
            now = self.run.clock.monotonic()
            self._pace.took(now - began)
            if now - self.run.stretch > STRETCH:
                return

    async def _stop(self) -> None:
        iterator, self._iterator = self._iterator, None
        self._ended = True
        close = getattr(iterator, "close", None)
        if close is not None:
            close()

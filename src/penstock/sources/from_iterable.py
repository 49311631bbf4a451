"""The source ``from_iterable``, a flow of the items of a plain iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection, Iterable, Iterator, Sized
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.runtime.arguments import function_for, refuse, text_for
from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.functions import plain_result, require_iterable
from penstock.runtime.node import Site, node
from penstock.runtime.run import STRETCH, Pace
from penstock.runtime.stream import Stream, flow_of
from penstock.sources.source import IndexedStage, OneShot, SourceNode, SourceStage

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")

MANY = 65_536
"""So many items of a quick input take less than a millisecond."""

WANTED = "an iterable or a function that returns one"

QUICK = (list, tuple, range, str, bytes, dict, set, frozenset)
"""Types whose items are in memory already, so that no slice of them is slow."""


def from_iterable(items: Iterable[T] | Callable[[], Iterable[T]], *, name: str | None = None) -> Flow[T]:
    """Create a flow of the items of an iterable, or of the iterable that a function returns.

    An iterator (a generator object, a file) can be read only once, so a second subscription raises
    ``AlreadySubscribed``; pass a function that creates a new one instead. The position is the index of the
    next item. A resumed run skips the items before it, so the input must be the same again.
    """
    if name is not None:
        text_for("from_iterable", "name", name)
    if type(items) in QUICK:
        pass  # a flow may be built for each item of another one, and the checks cost more than all else
    elif isinstance(items, Iterator):
        items = OneShot(items, "from_iterable(rows) instead of from_iterable(rows())")
    elif callable(items) and not isinstance(items, Iterable):
        function_for("from_iterable", items)
    elif isinstance(items, Stream):
        refuse("from_iterable", WANTED, items, advice="It is a flow already.")
    elif not isinstance(items, Iterable):
        advice = "Use from_async_iterable(...)." if isinstance(items, AsyncIterable) else ""
        refuse("from_iterable", WANTED, items, advice=advice)
    return flow_of(FromIterable(items=items, name=name))


@node
class FromIterable(SourceNode):
    """Yields the items of a plain iterable, or of the one that a function returns."""

    operator = "from_iterable"

    items: Iterable[Any] | Callable[[], Iterable[Any]]

    def start(self, site: Site) -> SourceStage:
        return _IterableStage(site, self)


class _IterableStage(IndexedStage):
    instant = True

    def __init__(self, site: Site, node: FromIterable) -> None:
        super().__init__(site)
        self._node = node
        self._to_skip = self._index
        self._iterator: Iterator[Any] | None = None
        self._quick: Sized | None = None  # the items, if they are in memory
        self._pace = Pace()
        self._failure: Failure | None = None
        self._ended = False

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        """Whether all items that are in memory were delivered."""
        return self._quick is not None and self._index >= len(self._quick)

    async def _request(self, n: int) -> list[Any]:
        self._before = self._index
        if self._failure is not None:
            self._failure.throw()
        while not (self._ended or self.run.draining):
            if self.run.strained():
                await self.run.breathe()
            out: list[Any] = []
            try:
                iterator = self._iterator if self._iterator is not None else self._open()
                if self._to_skip:
                    self._skip(iterator)
                    continue
                self._fill(iterator, out, n)
            except BaseException as error:  # noqa: BLE001  raised behind the items before it
                self._failure = Failure(raised_by_user(error, self._node.describe()))
                if not out:
                    self._failure.throw()
            self._index += len(out)
            self._ended = not out
            return out
        return []

    def _open(self) -> Iterator[Any]:
        items = self._node.items
        if isinstance(items, OneShot):
            items = items()
        elif not isinstance(items, Iterable):
            items = self._made(items)
        self._quick = cast("Sized", items) if type(items) in QUICK else None
        if self._quick is not None and self._to_skip:  # skipping takes almost no time here
            skip, self._to_skip = self._to_skip, 0
            if isinstance(items, range):
                items, skip = items[skip:], 0
            self._iterator = islice(cast("Collection[Any]", items), skip, None)
        else:
            self._iterator = iter(items)
        return self._iterator

    def _made(self, function: Callable[[], Iterable[Any]]) -> Iterable[Any]:
        node = self._node
        items = plain_result(function(), node.operator, node.origin)
        require_iterable(
            items,
            f"{node.describe()} takes a function that returns an iterable, but it returned an object",
            flow="Use defer(function).",
            asynchronous="Use from_async_iterable(function).",
            other="Use from_callable(function) for a flow of one item.",
        )
        return items

    def _skip(self, iterator: Iterator[Any]) -> None:
        """Skip a slice of the items before the position."""
        began = self.run.clock.monotonic()
        size = min(self._pace.size, self._to_skip)
        skipped = sum(1 for _ in islice(iterator, size))
        self._to_skip = self._to_skip - skipped if skipped == size else 0
        self._pace.took(self.run.clock.monotonic() - began)

    def _fill(self, iterator: Iterator[Any], out: list[Any], n: int) -> None:
        if self._quick is not None:
            out.extend(islice(iterator, min(n, MANY)))
            return
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

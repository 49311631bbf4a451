"""``TestSource``: a source that plays a script, and counts how it is used."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from itertools import cycle, takewhile
from typing import TYPE_CHECKING, Any, Literal

from aioreactive import AsyncObservable, AsyncObserver
from expression.system import AsyncDisposable

from penstock.abc import Page
from penstock.flow import Flow
from penstock.interop.aioreactive import as_observer, from_observable
from penstock.sources.from_async_iterable import from_async_iterable
from penstock.sources.from_iterable import from_iterable
from penstock.sources.from_pages import from_pages
from penstock.testing.script import (
    Burst,
    Cling,
    End,
    Forever,
    Instruction,
    Raise,
    Sleep,
    Until,
    Wait,
    items_in,
    played,
)
from penstock.testing.time import turns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

Style = Literal["iterable", "generator", "pages", "seekable", "observable"]
_WAITS = (Wait, Sleep, Until, Forever, Cling)


@dataclass(slots=True)
class SourceCounts:
    """How often a source was opened and closed, and how many items it handed over, in all its runs.

    ``interrupted`` counts exceptions at a wait of the source before ``expect_close`` was called.
    """

    opened: int = 0
    closed: int = 0
    handed: int = 0
    interrupted: int = 0


class TestSource(Flow[Any]):
    """A flow that plays ``script``, and counts in ``counts`` how it is used.

    ``iterate``, ``play``, ``play_pages`` and ``observable`` play the script without a flow.

    Args:
        script: Items and instructions (see ``penstock.testing.script``).
        style: ``iterable``, ``generator`` (async), ``pages``, ``seekable`` (pages that can be fetched
            from a position) or ``observable`` (aioreactive). A script that waits cannot be an iterable;
            it becomes a generator.
        page: The sizes of the pages, in turn.
        declares: The declared page size; by default the largest one.
        on_handed: Called whenever items are handed over.
        on_close: Instructions that play while the source is closed: a ``Sleep`` makes closing slow, a
            ``Raise`` makes it fail.
    """

    __test__ = False  # tells pytest that this is no test

    def __init__(
        self,
        script: Sequence[Any],
        *,
        style: Style = "generator",
        page: Sequence[int] = (3,),
        declares: int | None = None,
        on_handed: Callable[[], None] | None = None,
        on_close: Sequence[Instruction] = (),
    ) -> None:
        self.script = list(script)
        self.style = style
        self.page = tuple(page)
        self.declares = declares or max(self.page)
        self.counts = SourceCounts()
        self._on_handed = on_handed
        self._on_close = on_close
        self._closing = False
        super().__init__(self._as_flow().node)

    def _as_flow(self) -> Flow[Any]:
        waits = any(isinstance(element, _WAITS) for element in self.script)
        match self.style:
            case "iterable" if not waits:
                return from_iterable(self.iterate)
            case "pages":
                return from_pages(self._play_lists, page_size=self.declares)
            case "seekable":
                return from_pages(self.play_pages, seekable=True, page_size=self.declares)
            case "observable":
                return from_observable(self.observable())
            case _:
                return from_async_iterable(self.play)

    def observable(self) -> AsyncObservable[Any]:
        """Return an aioreactive observable that plays the script, also after ``End`` and ``Raise``."""
        return _Observable(self)

    def iterate(self) -> Iterator[Any]:
        """Play as a plain iterable, without waiting; ``Forever`` is the end."""
        self.counts.opened += 1
        try:
            for item in played(takewhile(lambda element: not isinstance(element, Forever), self.script)):
                self.hand(1)
                yield item
        finally:
            self.counts.closed += 1

    async def play(self) -> AsyncGenerator[Any, None]:
        """Play as an async generator."""
        began = self.open()
        try:
            for element in self.script:
                if isinstance(element, End):
                    return
                await self.obey(element, began)
                for item in items_in(element):
                    self.hand(1)
                    yield item
        finally:
            await self.close()

    async def play_pages(self, position: int | None = None) -> AsyncGenerator[Page[Any], None]:
        """Play as pages, after the first ``position`` items; an instruction ends a page."""
        began = self.open()
        sizes = cycle(self.page)
        at = 0
        page: list[Any] = []
        size = next(sizes)
        try:
            for element in self.script:
                if isinstance(element, Instruction) and page:
                    yield self._turn(page, at)
                    page = []
                if isinstance(element, End):
                    return
                await self.obey(element, began)
                for item in items_in(element):
                    at += 1
                    if at > (position or 0):
                        page.append(item)
                    if len(page) >= size:
                        yield self._turn(page, at)
                        page, size = [], next(sizes)
            if page:
                yield self._turn(page, at)
        finally:
            await self.close()

    async def _play_lists(self) -> AsyncIterator[list[Any]]:
        async with aclosing(self.play_pages()) as pages:
            async for page in pages:
                yield page.items

    def expect_close(self) -> None:
        """Stop counting interruptions, because the source is about to be closed."""
        self._closing = True

    def _turn(self, page: list[Any], at: int) -> Page[Any]:
        self.hand(len(page))
        return Page(page, position=at)

    def open(self) -> float:
        """Count an opening, and return the time of it."""
        self.counts.opened += 1
        return asyncio.get_running_loop().time()

    def hand(self, count: int) -> None:
        """Count items that are handed over."""
        self.counts.handed += count
        if self._on_handed is not None:
            self._on_handed()

    async def obey(self, element: Any, began: float) -> None:
        """Follow an instruction; do nothing for an item."""
        try:
            await _obey(element, began)
        except (asyncio.CancelledError, GeneratorExit):
            if not self._closing:
                self.counts.interrupted += 1
            raise

    async def close(self) -> None:
        """Count a closing, and play ``on_close``."""
        self.counts.closed += 1
        began = asyncio.get_running_loop().time()
        for instruction in self._on_close:
            await _obey(instruction, began)


async def _obey(element: Any, began: float) -> None:
    match element:
        case Wait(count):
            await turns(count)
        case Sleep(seconds):
            await asyncio.sleep(seconds)
        case Until(seconds):
            await asyncio.sleep(max(began + seconds - asyncio.get_running_loop().time(), 0))
        case Forever():
            await asyncio.get_running_loop().create_future()
        case Raise(make):
            raise make()
        case Cling(seconds):
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                await asyncio.sleep(seconds)


class _Observable(AsyncObservable[Any]):
    """Sends the items of a source's script one at a time, each after ``asend`` of the last one returned.

    It sends the items of a ``Burst`` at once, and goes on with the script after ``End`` or ``Raise``.
    Disposing raises the error of an instruction in the source's ``on_close``.
    """

    def __init__(self, source: TestSource) -> None:
        self._source = source

    async def subscribe_async(self, send: Any = None, throw: Any = None, close: Any = None) -> Any:
        """Start a task that plays the script."""
        task = asyncio.create_task(self._play(as_observer(send, throw, close)))

        async def dispose() -> None:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

        return AsyncDisposable.create(dispose)

    async def _play(self, observer: AsyncObserver[Any]) -> None:
        source, ended = self._source, False
        began = source.open()
        try:
            for element in source.script:
                ended = ended or isinstance(element, End | Raise)
                await self._send(element, observer, began)
            if not ended:
                await observer.aclose()
        finally:
            await source.close()

    async def _send(self, element: Any, observer: AsyncObserver[Any], began: float) -> None:
        match element:
            case End():
                await observer.aclose()
            case Raise(make):
                error: Any = make()
                await observer.athrow(error)
            case Burst(items):
                self._source.hand(len(items))
                await asyncio.gather(*(observer.asend(item) for item in items))
            case _ if isinstance(element, Instruction):
                await self._source.obey(element, began)
            case _:
                self._source.hand(1)
                await observer.asend(element)

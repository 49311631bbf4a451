"""``TestSource``: a source that plays a script and counts what is done to it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

from penstock.abc import Page
from penstock.flow import Flow
from penstock.interop.aioreactive import from_observable
from penstock.sources.from_async_iterable import from_async_iterable
from penstock.sources.from_iterable import from_iterable
from penstock.sources.from_pages import from_pages
from penstock.testing.foreign import PlayedObservable
from penstock.testing.script import Burst, Cling, End, Forever, Instruction, Raise, Sleep, Until, Wait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

__all__ = ["SourceCounts", "TestSource"]

Style = Literal["iterable", "generator", "pages", "seekable", "observable"]
_WAITS = (Wait, Sleep, Until, Forever, Cling)


@dataclass(slots=True)
class SourceCounts:
    """What has been done to a source so far, over all its runs.

    ``interrupted`` counts exceptions that were thrown into a running generator at one of its waits
    while nobody was closing it.
    """

    opened: int = 0
    closed: int = 0
    handed: int = 0
    interrupted: int = 0


class TestSource(Flow[Any]):
    """A flow that plays ``script`` as a plain iterable, an async generator, or pages, and counts.

    Where a flow is not wanted, ``iterate``, ``play``, ``play_pages`` and ``observable`` are the raw things.

    Args:
        script: Items and instructions (see ``penstock.testing.script``).
        style: As what it is played: a plain iterable, an async generator, pages, pages that can be
            fetched from a position, or an aioreactive observable. A script that waits cannot be an
            iterable and is a generator then.
        page: Sizes of the pages, in turn.
        declares: The page size that it declares: the largest, unless it is to say less than the truth.
        on_handed: Called after each handing over.
        on_close: Awaited instructions that play while the source is being closed (a ``Sleep`` for a
            slow close, a ``Raise`` for a failing one).
    """

    __test__ = False  # pytest, this is not a test

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

    def observable(self) -> PlayedObservable:
        """Return an aioreactive observable that plays, and misbehaves as told."""
        return PlayedObservable(self)

    def iterate(self) -> Iterator[Any]:
        """Play as a plain iterable: ``Wait`` and ``Sleep`` are passed over, ``Forever`` is the end."""
        self.counts.opened += 1
        try:
            for element in self.script:
                if isinstance(element, Raise):
                    raise element.make()
                if isinstance(element, Forever | End):
                    return
                for item in _items_in(element):
                    self.hand(1)
                    yield item
        finally:
            self.counts.closed += 1

    async def play(self) -> AsyncGenerator[Any, None]:
        """Play as an async generator; ``End`` is the end, and a ``Burst`` is its items."""
        began = self.open()
        try:
            for element in self.script:
                if isinstance(element, End):
                    return
                await self.obey(element, began)
                for item in _items_in(element):
                    self.hand(1)
                    yield item
        finally:
            await self.close()

    async def play_pages(self, position: int | None = None) -> AsyncGenerator[Page[Any], None]:
        """Play as pages, from the item that ``position`` counts on; an instruction ends a page."""
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
                for item in _items_in(element):
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
        """Say that from now on an interruption is a close, and not to be counted."""
        self._closing = True

    def _turn(self, page: list[Any], at: int) -> Page[Any]:
        self.hand(len(page))
        return Page(page, position=at)

    # -- for the raw things

    def open(self) -> float:
        """Count an opening and return the time at which it was."""
        self.counts.opened += 1
        return asyncio.get_running_loop().time()

    def hand(self, count: int) -> None:
        """Count items that are handed over."""
        self.counts.handed += count
        if self._on_handed is not None:
            self._on_handed()

    async def obey(self, element: Any, began: float) -> None:
        """Do what an instruction says; an item says nothing."""
        try:
            await _obey(element, began)
        except (asyncio.CancelledError, GeneratorExit):
            if not self._closing:
                self.counts.interrupted += 1
            raise

    async def close(self) -> None:
        """Count a closing and play what was asked for then."""
        self.counts.closed += 1
        began = asyncio.get_running_loop().time()
        for instruction in self._on_close:
            await _obey(instruction, began)


def _items_in(element: Any) -> tuple[Any, ...]:
    if isinstance(element, Burst):
        return element.items
    return () if isinstance(element, Instruction) else (element,)


async def _obey(element: Any, began: float) -> None:
    match element:
        case Wait(turns):
            for _ in range(turns):
                await asyncio.sleep(0)
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
